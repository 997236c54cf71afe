"""Trainings and evaluations take a whole machine: one at a time, whoever starts it.

It knows where their folders are, not what they do.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock

from dermaflux.domain.errors import InvalidRequest
from dermaflux.services.exporting import Exporting
from dermaflux.services.supervised import state_of
from dermaflux.services.wiring import RUNS
from dermaflux.supervisor import PROCESS

EVALUATIONS = "evaluations"  # in the data folder: evaluations that pages started, each with its report
_LOCK = ".heavy-work.lock"


class HeavyWork(Exporting):
    """The one place for heavy work."""

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Hold back every other start meanwhile. Raises InvalidRequest when heavy work is under way."""
        self.prepare_folder(self.settings.data_dir)
        with FileLock(self.settings.data_dir / _LOCK):
            if any(state_of(folder).is_running for folder in self._heavy_folders()):
                raise InvalidRequest(
                    "Another training or evaluation is under way on this machine, and two at once would starve each "
                    "other. Wait for its end, or stop it first."
                )
            yield

    def _heavy_folders(self) -> list[Path]:
        data = self.settings.data_dir
        found = [*(data / RUNS).glob(f"*/*/{PROCESS}"), *(data / EVALUATIONS).glob(f"*/{PROCESS}")]
        return [path.parent for path in found]
