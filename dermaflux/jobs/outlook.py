"""What is open in the queue at one moment, and when each job is likely to begin and to end. Pure; no database."""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

from dermaflux.jobs.records import JobState, QueuePause

_UNKNOWN = float("inf")


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenJob:
    """What is needed of an open job to look ahead. crew: the process that runs it, "" while none does.

    seconds_per_part: work, as `JobContext.progress` counts it; None until jobs like it were measured.
    """

    id: str
    user: str
    state: JobState
    done: int
    total: int
    pause_asked: bool = False
    crew: str = ""
    seconds_per_part: float | None = None

    @property
    def seconds_left(self) -> float | None:
        """How much work is left of it, None when nothing is known yet."""
        return None if self.seconds_per_part is None else (self.total - self.done) * self.seconds_per_part


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """In how many seconds a job is likely to begin and to end; None where nothing can be said yet."""

    begins_in: float | None
    ends_in: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """All open jobs; those that wait in the order of their turns. crews: living workers by the process they are of."""

    running: tuple[OpenJob, ...]
    waiting: tuple[OpenJob, ...]
    paused: tuple[OpenJob, ...]
    crews: Mapping[str, int]
    pause: QueuePause | None = None

    @property
    def num_workers(self) -> int:
        """How many workers live."""
        return sum(self.crews.values())

    def forecasts(self) -> Mapping[str, Forecast]:
        """When each running and waiting job begins and ends, if no other job comes. Whoever is free takes the next.

        Jobs of one process take turns at its model or share its batches, and each counts its own share of the work: a
        job beside n - 1 others takes n times as long. A job of unknown pace leaves the beginning of those behind it
        unknown too, unless another worker is free.
        """
        desks, line, now = self._desks(), deque(self.waiting), 0.0
        begins, ends = dict.fromkeys((job.id for job in self.running), 0.0), {}
        while True:
            while line and (free := [desk for desk in desks if desk.num_free > 0]):
                job = line.popleft()
                begins[job.id] = now
                min(free, key=lambda desk: len(desk.left)).take(job)
            passed = min((desk.next_end for desk in desks), default=_UNKNOWN)
            if passed == _UNKNOWN:
                break
            now += passed
            ends |= {job_id: now for desk in desks for job_id in desk.work(passed)}
        return {
            job.id: Forecast(begins_in=begins.get(job.id), ends_in=ends.get(job.id))
            for job in (*self.running, *self.waiting)
        }

    def _desks(self) -> "list[_Desk]":
        """The crews with what they are at; where none lives, as if there were one worker."""
        desks = {crew: _Desk(num_workers=number) for crew, number in self.crews.items()}
        for job in self.running:
            desks.setdefault(job.crew, _Desk(num_workers=1)).take(job)
        return list(desks.values()) or [_Desk(num_workers=1)]


@dataclass(slots=True, kw_only=True)
class _Desk:
    """One process at work: what is left of its jobs, in seconds of its own work, which it gives them evenly."""

    num_workers: int
    left: dict[str, float] = field(default_factory=dict)

    @property
    def num_free(self) -> int:
        return self.num_workers - len(self.left)

    @property
    def next_end(self) -> float:
        """In how many seconds the first of its jobs ends."""
        return min(self.left.values()) * len(self.left) if self.left else _UNKNOWN

    def take(self, job: OpenJob) -> None:
        self.left[job.id] = _UNKNOWN if job.seconds_left is None else job.seconds_left

    def work(self, seconds: float) -> list[str]:
        """Let time pass, no more than to the next end; the jobs that end with it."""
        ended = [job_id for job_id, left in self.left.items() if left * len(self.left) <= seconds]
        share = seconds / max(1, len(self.left))
        self.left = {job_id: left - share for job_id, left in self.left.items() if job_id not in ended}
        return ended
