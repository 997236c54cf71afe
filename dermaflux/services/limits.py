"""How much may be kept: images a user, and gigabytes in the data folder. Refuses new work before it is begun.

What is kept already is never touched here; what may go says `curation.retention`.
"""

import os
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from dermaflux.domain.errors import QuotaExceeded

GB = 10**9
WARN_SHARE = 0.9
_FRESH_SECONDS = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskUse:
    """What the data folder takes of its budget, in bytes."""

    used_bytes: int
    budget_bytes: int

    @property
    def share(self) -> float:
        """Used over budget; above 1 it is exceeded."""
        return self.used_bytes / self.budget_bytes

    @property
    def warning(self) -> str | None:
        """What to tell people, None while there is room."""
        if self.share < WARN_SHARE:
            return None
        words = f"The data folder holds {self.used_bytes / GB:.2f} of {self.budget_bytes / GB:.2f} GB."
        advice = "Purge rejected images, move exports away or raise DERMAFLUX_DISK_BUDGET_GB."
        return f"{words} {'Nothing new is made. ' if self.share >= 1 else ''}{advice}"


class DiskBudget:
    """Watches one folder. Counting walks all of it, so the figure is up to a minute old; safe from many threads."""

    def __init__(self, folder: Path, budget_gb: float | None) -> None:
        self._folder = folder
        self._budget_bytes = None if budget_gb is None else round(budget_gb * GB)
        self._lock = threading.Lock()
        self._counted: tuple[float, int] | None = None

    def use(self) -> DiskUse | None:
        """The present use, None without a budget."""
        if self._budget_bytes is None:
            return None
        with self._lock:
            now = time.monotonic()
            if self._counted is None or now - self._counted[0] > _FRESH_SECONDS:
                self._counted = (now, folder_bytes(self._folder))
            return DiskUse(used_bytes=self._counted[1], budget_bytes=self._budget_bytes)

    def check(self) -> None:
        """Raise QuotaExceeded when nothing more may be written."""
        use = self.use()
        if use is not None and use.share >= 1:
            raise QuotaExceeded(use.warning or "")


def folder_bytes(folder: Path) -> int:
    """The bytes of all files below a folder; what vanishes meanwhile counts nothing."""
    total = 0
    for root, _, files in os.walk(folder):
        for name in files:
            try:
                total += os.lstat(os.path.join(root, name)).st_size
            except FileNotFoundError:
                continue
    return total


def check_quota(user: str, kept: int, asked: int, limit: int | None) -> None:
    """Raise QuotaExceeded when a user who keeps (and waits for) so many images asks for too many more."""
    if limit is not None and kept + asked > limit:
        raise QuotaExceeded(
            f"{user} keeps {kept} of at most {limit} images and asks for {asked} more. "
            "Delete some, or ask whoever runs this for a larger quota."
        )
