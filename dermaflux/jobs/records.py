"""What the rest of the product sees of a job: a frozen record and its states. No database here."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final


class JobState(StrEnum):
    """Where a job stands.

    `paused`: its owner holds it back; what is finished is kept. `interrupted`: left behind by a version of the program
    that did not give such jobs back to the queue; it can be tried again.
    """

    WAITING = "waiting"
    RUNNING = "running"
    PAUSED = "paused"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"
    INTERRUPTED = "interrupted"

    @property
    def is_final(self) -> bool:
        """Whether nothing more will happen unless someone tries it again."""
        return self not in OPEN


SKIPPED: Final = "skipped"
"""In a job's result, in the place of a part that was skipped. No id is that."""

OPEN = (JobState.WAITING, JobState.RUNNING, JobState.PAUSED)
RETRYABLE = (JobState.FAILED, JobState.CANCELLED, JobState.INTERRUPTED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One piece of work as it stood when it was read.

    `payload` is what the handler needs, as JSON; `done` of `total` parts are finished, `result` names them in order,
    SKIPPED where one was passed over; `error` is one line for the user, set when failed. `pause_asked`: a running job
    that rests after its present part.
    """

    id: str
    user: str
    kind: str
    payload: Mapping[str, Any]
    state: JobState
    created_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None
    done: int = 0
    total: int = 0
    error: str | None = None
    result: tuple[str, ...] = ()
    pause_asked: bool = False

    @property
    def made(self) -> tuple[str, ...]:
        """The result without what was skipped."""
        return tuple(item for item in self.result if item != SKIPPED)

    @property
    def num_skipped(self) -> int:
        """How many of the `done` parts were skipped; the result may be a part ahead of them."""
        return self.result[: self.done].count(SKIPPED)


@dataclass(frozen=True, slots=True, kw_only=True)
class QueuePause:
    """The whole queue stands still: since when and by whom."""

    paused_at: datetime
    paused_by: str
