"""How a training run stands, said in its own folder: running, done, stopped, failed with the reason, or killed.

    python -m training.run_status runs/lora

Only a run that reached its end says done. One that was killed cannot say so itself: it still says running, but its
process is gone. It knows no trainer; a run on another machine is believed.
"""

import json
import os
import socket
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import tyro

from dermaflux.domain.errors import Cancelled, DataNotFound, InvalidRequest
from training.program import program
from training.whole_files import write_whole

FILE = "status.json"
RUNNING, DONE, STOPPED, FAILED, KILLED = "running", "done", "stopped", "failed", "killed"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStatus:
    """One run's state, since when (ISO 8601, UTC), the reason of a failure, and the process that said so."""

    state: str
    since: str
    why: str = ""
    pid: int = 0
    host: str = ""


def claim_folder(folder: Path, settings: Mapping[str, object]) -> None:
    """Write the settings of a run into its folder. Raises InvalidRequest when it holds a run of other settings."""
    wanted = json.loads(json.dumps(settings, default=str))
    path = folder / "config.json"
    if path.is_file():
        begun = json.loads(path.read_text())
        changed = [name for name in wanted if begun.get(name) != wanted[name]]
        if changed:
            raise InvalidRequest(
                f"{folder} holds a run with another {', '.join(changed)}. Choose another --name or remove it."
            )
    write_whole(path, json.dumps(wanted, indent=2) + "\n")


def forget_after(history: Path, step: int) -> None:
    """Drop the lines of steps that a kill took back: they are run again."""
    if history.is_file():
        lines = history.read_text().splitlines(keepends=True)
        kept = [line for line in lines if line.endswith("\n") and json.loads(line)["step"] <= step]
        write_whole(history, "".join(kept))


@contextmanager
def recorded(folder: Path) -> Iterator[None]:
    """Say in the folder that a run is under way, and at the end how it ended. Exceptions go on to the caller."""
    _write(folder, RUNNING)
    try:
        yield
    except (KeyboardInterrupt, Cancelled):
        _write(folder, STOPPED)
        raise
    except BaseException as error:
        _write(folder, FAILED, f"{type(error).__name__}: {error}")
        raise
    _write(folder, DONE)


def status_of(folder: Path) -> RunStatus:
    """How the run of a folder stands. Raises DataNotFound when it says nothing that can be read."""
    path = folder / FILE
    try:
        said = RunStatus(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise DataNotFound(f"{path} does not say how the run stands ({error}).") from error
    if said.state == RUNNING and said.host == socket.gethostname() and not _is_alive(said.pid):
        return replace(said, state=KILLED, why="its process is gone; the same command goes on")
    return said


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusConfig:
    """Which runs to list."""

    runs: tyro.conf.Positional[Path] = Path("runs")
    """A folder; runs anywhere below it are found."""


@program
def main() -> None:
    """List every run below a folder with its state."""
    config = tyro.cli(StatusConfig, description=__doc__)
    folders = sorted(path.parent for path in config.runs.rglob(FILE))
    if not folders:
        raise DataNotFound(f"There is no run below {config.runs}.")
    for folder in folders:
        status = status_of(folder)
        sys.stdout.write(f"{folder}  {status.state} since {status.since}{': ' if status.why else ''}{status.why}\n")


def _write(folder: Path, state: str, why: str = "") -> None:
    since = datetime.now(UTC).isoformat(timespec="seconds")
    status = RunStatus(state=state, since=since, why=why, pid=os.getpid(), host=socket.gethostname())
    write_whole(folder / FILE, json.dumps(asdict(status)) + "\n")


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # there, but somebody else's
        return True
    return True


if __name__ == "__main__":
    sys.exit(main())
