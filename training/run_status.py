"""A training run says in its own folder what it is and how it stands; this lists all runs below a folder.

    python -m training.run_status runs/lora

What is said, and how it is read, is `dermaflux.run_status`. It knows no trainer.
"""

import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import tyro

from dermaflux.domain.errors import Cancelled, DataNotFound, InvalidRequest
from dermaflux.run_status import DONE, FAILED, FILE, RUNNING, STOPPED, status_of, write_status
from training.program import program
from training.whole_files import write_whole


def claim_folder(folder: Path, settings: Mapping[str, object]) -> None:
    """Write the settings of a run into its folder. Raises InvalidRequest when it holds a run of other settings."""
    wanted = json.loads(json.dumps(settings, default=str))
    path = folder / "config.json"
    if path.is_file():
        begun = json.loads(path.read_text())
        changed = [name for name in wanted if name in begun and begun[name] != wanted[name]]  # else: newer than the run
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
    write_status(folder, RUNNING)
    try:
        yield
    except (KeyboardInterrupt, Cancelled):
        write_status(folder, STOPPED)
        raise
    except BaseException as error:
        write_status(folder, FAILED, f"{type(error).__name__}: {error}")
        raise
    write_status(folder, DONE)


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
        said = " ".join(text for text in (status.why, status.note) if text)
        sys.stdout.write(f"{folder}  {status.state} since {status.since}{': ' if said else ''}{said}\n")


if __name__ == "__main__":
    sys.exit(main())
