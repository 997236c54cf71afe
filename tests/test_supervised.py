"""Real processes under the supervisor: done, failed, stopped and killed are what their exit codes say."""

import json
import os
import signal
import sys
import time

import pytest

from dermaflux.domain.errors import DataNotFound, InvalidRequest
from dermaflux.run_status import write_json
from dermaflux.services import supervised
from dermaflux.services.supervised import Command, launch, log_tail, request_stop, state_of
from dermaflux.settings import Settings

PATIENCE_SECONDS = 120


@pytest.fixture
def work(tmp_path):
    """Launches Python code in a folder of its own: work(code, **options) -> folder."""

    def start(code, **options):
        folder = tmp_path / "work"
        folder.mkdir(exist_ok=True)
        settings = Settings(data_dir=tmp_path / "data")
        launch(folder, Command(argv=[sys.executable, "-u", "-c", code], settings=settings, **options))
        return folder

    return start


def wait_for(folder, *states):
    deadline = time.monotonic() + PATIENCE_SECONDS
    while (found := state_of(folder)).state not in states:
        assert time.monotonic() < deadline, found
        time.sleep(0.1)
    return found


def wait_for_line(folder, line):
    deadline = time.monotonic() + PATIENCE_SECONDS
    while line not in log_tail(folder):
        assert time.monotonic() < deadline, log_tail(folder)
        time.sleep(0.1)


def test_what_it_prints_and_writes_is_there_when_it_is_done(work, tmp_path):
    picture = tmp_path / "work" / "pairs.png"
    code = (
        f"import os, sys; open({str(picture)!r}, 'w').close(); sys.stderr.write('at 1\\rat 2\\n'); "
        "print(os.environ['DERMAFLUX_DATA_DIR'])"
    )
    folder = work(code, stdout="answer.txt", results=("pairs.png",))
    assert state_of(folder).is_running  # from the first moment on
    assert wait_for(folder, "done").seconds >= 0
    assert (folder / "answer.txt").read_text() == f"{tmp_path / 'data'}\n"
    assert log_tail(folder) == "at 2"
    assert picture.exists()
    with pytest.raises(InvalidRequest, match="not under way"):
        request_stop(folder)


def test_a_failure_has_its_code_and_its_last_words_and_leaves_nothing(work, tmp_path):
    picture = tmp_path / "work" / "pairs.png"
    code = f"open({str(picture)!r}, 'w').close(); print('half'); raise SystemExit('rank is 0. Give 1 or more.')"
    folder = work(code, stdout="answer.txt", results=("pairs.png",))
    found = wait_for(folder, "failed")
    assert found.why == "Exit code 1. rank is 0. Give 1 or more."
    assert not picture.exists() and not (folder / "answer.txt").exists() and not list(folder.glob(".answer*"))


def test_a_stop_is_handed_on_and_the_work_may_end_as_it_likes(work):
    code = (
        "import signal, sys, time\n"
        "def end(*_): print('saved'); sys.exit(130)\n"
        "signal.signal(signal.SIGTERM, end); print('ready'); time.sleep(100)"
    )
    folder = work(code)
    wait_for_line(folder, "ready")
    request_stop(folder)
    assert wait_for(folder, "stopped", "failed").state == "stopped"
    assert log_tail(folder) == "ready\nsaved"


def test_a_stop_right_after_the_start_is_no_mistake(work):
    folder = work("import time; time.sleep(100)", stdout="answer.txt")
    request_stop(folder)  # its supervisor has hardly begun
    assert wait_for(folder, "stopped", "failed", "done").state == "stopped"
    assert not list(folder.glob("*answer*"))


def test_killed_work_does_not_run_for_ever(work, monkeypatch):
    folder = work("print('ready'); import time; time.sleep(100)")
    wait_for_line(folder, "ready")
    told = json.loads((folder / "process.json").read_text())
    for pid in (told["pid"], told["child"]):
        os.kill(pid, signal.SIGKILL)
    monkeypatch.setattr(supervised, "_STALE_SECONDS", 1.0)
    assert wait_for(folder, "killed").why


def test_a_run_of_the_command_line_says_itself_how_it_stands(tmp_path):
    with pytest.raises(DataNotFound):
        state_of(tmp_path)
    write_json(tmp_path / "status.json", {"state": "failed", "since": "2026-01-01T00:00:00+00:00", "why": "no data"})
    assert (state_of(tmp_path).state, state_of(tmp_path).why) == ("failed", "no data")
