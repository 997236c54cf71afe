"""Long work in a process of its own: started, watched, stopped through its folder, by whichever page process is there.

The state is the exit code that the supervisor wrote, never hope: without one, and without a sign of life, it was
killed. It knows no command.
"""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from dermaflux.domain.errors import DataNotFound, InvalidRequest
from dermaflux.run_status import (
    DONE,
    FAILED,
    KILLED,
    RUNNING,
    STOPPED,
    is_alive,
    status_of,
    write_json,
)
from dermaflux.settings import PREFIX, Settings
from dermaflux.supervisor import BEAT_SECONDS, COMMAND, LOG, PROCESS

REPOSITORY = Path(__file__).resolve().parents[2]
_STALE_SECONDS = 15 * BEAT_SECONDS
_STOPPED_CODES = (130, -signal.SIGTERM, -signal.SIGINT)
_TAIL_BYTES = 64_000
_START_SECONDS = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """What is to be run. `stdout` and `results` as in `dermaflux.supervisor`."""

    argv: Sequence[str]
    settings: Settings
    stdout: str | None = None
    results: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkState:
    """How work stands: running, done, stopped, failed or killed; since when (ISO 8601), how long, and why it failed."""

    state: str
    since: str = ""
    seconds: float | None = None
    why: str = ""

    @property
    def is_running(self) -> bool:
        """Whether it is still under way."""
        return self.state == RUNNING


def launch(folder: Path, command: Command) -> None:
    """Start the work of a folder in a session of its own; returns at once."""
    said = {
        "argv": list(command.argv),
        "cwd": str(REPOSITORY),
        "stdout": command.stdout,
        "results": list(command.results),
    }
    write_json(folder / COMMAND, said)
    begun = _now().isoformat()
    write_json(folder / PROCESS, {"pid": 0, "started": begun, "beat": begun, "exit_code": None})
    process = subprocess.Popen(
        [sys.executable, "-m", "dermaflux.supervisor", str(folder.resolve())],
        cwd=REPOSITORY, env=_environment(command.settings), start_new_session=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    threading.Thread(target=process.wait, daemon=True, name="dermaflux-reaper").start()


def state_of(folder: Path) -> WorkState:
    """How the work of a folder stands; work that was not started here says so itself. Raises DataNotFound."""
    told = _told(folder)
    if told is None:
        said = status_of(folder)
        return WorkState(state=said.state, since=said.since, why=said.why)
    started, ended = told["started"], told.get("ended")
    last = _moment(ended or told["beat"])
    seconds = (last - _moment(started)).total_seconds()
    if (code := told["exit_code"]) is not None:
        since = ended or told["beat"]
        return WorkState(state=_state_of_code(code), since=since, seconds=seconds, why=_why(folder, code))
    if (_now() - last).total_seconds() < _STALE_SECONDS:
        return WorkState(state=RUNNING, since=started, seconds=(_now() - _moment(started)).total_seconds())
    return WorkState(state=KILLED, since=told["beat"], seconds=seconds, why="Its process is gone. Resume goes on.")


def request_stop(folder: Path) -> None:
    """Ask the work of a folder to end; training ends between two steps. Raises InvalidRequest when nothing runs."""
    if not state_of(folder).is_running:
        raise InvalidRequest("This is not under way, so there is nothing to stop.")
    pid, deadline = _pid(folder), time.monotonic() + _START_SECONDS
    while not pid and time.monotonic() < deadline:  # its process has not said its number yet
        time.sleep(0.1)
        pid = _pid(folder)
    if not pid or not is_alive(pid):
        raise InvalidRequest("It is only just starting or just ending. Try again in a few seconds.")
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)


def log_tail(folder: Path, num_lines: int = 60) -> str:
    """The last lines of the output; of a progress bar that redrew itself the last state."""
    try:
        with (folder / LOG).open("rb") as handle:
            handle.seek(0, os.SEEK_END)
            handle.seek(max(0, handle.tell() - _TAIL_BYTES))
            text = handle.read().decode("utf-8", errors="replace")
    except FileNotFoundError:
        return ""
    lines = [line.rstrip("\r").rsplit("\r", 1)[-1] for line in text.split("\n")]
    return "\n".join([line for line in lines if line.strip()][-num_lines:])


def _pid(folder: Path) -> int:
    told = _told(folder)
    return told["pid"] if told else status_of(folder).pid


def _told(folder: Path) -> dict | None:
    try:
        return json.loads((folder / PROCESS).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise DataNotFound(f"{folder / PROCESS} is damaged ({error}). Remove the folder.") from error


def _state_of_code(code: int) -> str:
    if code == 0:
        return DONE
    return STOPPED if code in _STOPPED_CODES else FAILED


def _why(folder: Path, code: int) -> str:
    """The reason of a failure: what the run said itself, else the last line of its log."""
    if _state_of_code(code) != FAILED:
        return ""
    with suppress(DataNotFound):
        if (said := status_of(folder)).state == FAILED and said.why:
            return said.why
    lines = log_tail(folder, 1)
    return f"Exit code {code}. {lines}" if lines else f"Exit code {code}, and it said nothing."


def _environment(settings: Settings) -> Mapping[str, str]:
    """This process's environment with the settings in force, paths absolute."""
    clean = {name: value for name, value in os.environ.items() if not name.upper().startswith(PREFIX)}
    for name, value in settings.model_dump(exclude_none=True).items():
        clean[PREFIX + name.upper()] = str(value.resolve() if isinstance(value, Path) else value)
    return clean


def _now() -> datetime:
    return datetime.now(UTC)


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)
