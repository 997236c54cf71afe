"""How a training run stands, as it is said in the run's own folder. Trainers write it, services read it.

Only a run that reached its end says done. One that was killed cannot say so itself: it still says running, but its
process is gone. It knows no trainer; a run on another machine is believed.
"""

import json
import os
import socket
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from dermaflux.domain.errors import DataNotFound

FILE = "status.json"
RUNNING, DONE, STOPPED, FAILED, KILLED = "running", "done", "stopped", "failed", "killed"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStatus:
    """One run's state, since when (ISO 8601, UTC), the reason of a failure, and the process that said so.

    note: what a person should know of the run whatever its state, in words; it stays until it is written anew.
    """

    state: str
    since: str
    why: str = ""
    pid: int = 0
    host: str = ""
    note: str = ""


def write_status(folder: Path, state: str, why: str = "") -> None:
    """Say how the run of a folder stands, in the name of this process; the file is there whole or not at all."""
    note = note_of(folder)
    status = RunStatus(state=state, since=now(), why=why, pid=os.getpid(), host=socket.gethostname(), note=note)
    write_json(folder / FILE, asdict(status))


def write_note(folder: Path, note: str) -> None:
    """Say something of the run of a folder beside its state; empty takes back what was said. Raises as `status_of`."""
    write_json(folder / FILE, asdict(replace(status_of(folder), note=note)))


def note_of(folder: Path) -> str:
    """The note of a folder's run; empty where there is none."""
    try:
        return status_of(folder).note
    except DataNotFound:
        return ""


def status_of(folder: Path) -> RunStatus:
    """How the run of a folder stands. Raises DataNotFound when it says nothing that can be read."""
    path = folder / FILE
    try:
        said = RunStatus(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise DataNotFound(f"{path} does not say how the run stands ({error}).") from error
    if said.state == RUNNING and said.host == socket.gethostname() and not is_alive(said.pid):
        return replace(said, state=KILLED, why="its process is gone; the same command goes on")
    return said


def is_alive(pid: int) -> bool:
    """Whether there is a process of that number on this machine."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # there, but somebody else's
        return True
    return True


def now() -> str:
    """The moment as ISO 8601 in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def write_json(path: Path, values: object) -> None:
    """Write a small JSON file; an interruption leaves the earlier one whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(json.dumps(values) + "\n", encoding="utf-8")
    os.replace(temporary, path)
