"""A run says how it stands: at its end, when it is stopped, when it fails, and when it could not say anything more."""

import os
import signal
import subprocess
import sys

import pytest

from dermaflux.domain.errors import DataNotFound, InvalidRequest
from training.run_status import recorded, status_of


def test_a_run_is_done_only_when_it_came_to_its_end(tmp_path):
    with recorded(tmp_path):
        assert status_of(tmp_path).state == "running"
    assert status_of(tmp_path).state == "done"


def test_a_stopped_and_a_failed_run_say_so_and_why(tmp_path):
    with pytest.raises(KeyboardInterrupt), recorded(tmp_path):
        raise KeyboardInterrupt
    assert status_of(tmp_path).state == "stopped"
    with pytest.raises(InvalidRequest), recorded(tmp_path):
        raise InvalidRequest("rank is 0. Give 1 or more.")
    status = status_of(tmp_path)
    assert (status.state, status.why) == ("failed", "InvalidRequest: rank is 0. Give 1 or more.")
    with recorded(tmp_path):
        pass
    assert (status_of(tmp_path).state, status_of(tmp_path).why) == ("done", "")


def test_a_killed_run_is_not_taken_for_one_that_runs_or_is_done(tmp_path, repository):
    code = (
        "import sys, time, pathlib; from training.run_status import recorded\n"
        "with recorded(pathlib.Path(sys.argv[1])): print('under way', flush=True); time.sleep(60)"
    )
    run = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], cwd=repository, stdout=subprocess.PIPE)
    assert run.stdout is not None and run.stdout.readline() == b"under way\n"
    assert status_of(tmp_path).state == "running"
    os.kill(run.pid, signal.SIGKILL)
    run.wait()
    run.stdout.close()
    assert status_of(tmp_path).state == "killed"
    listed = subprocess.run(
        [sys.executable, "-m", "training.run_status", str(tmp_path)], cwd=repository, capture_output=True, text=True
    )
    assert listed.returncode == 0 and f"{tmp_path}  killed since" in listed.stdout


def test_a_folder_that_says_nothing_is_refused(tmp_path):
    with pytest.raises(DataNotFound, match="does not say"):
        status_of(tmp_path)
    (tmp_path / "status.json").write_text("{broken")
    with pytest.raises(DataNotFound, match="does not say"):
        status_of(tmp_path)
