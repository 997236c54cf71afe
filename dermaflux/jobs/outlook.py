"""What is open in the queue at one moment, and when each job is likely to begin and to end. Pure; no database."""

import heapq
from collections.abc import Mapping
from dataclasses import dataclass

from dermaflux.jobs.records import JobState, QueuePause


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenJob:
    """What is needed of an open job to look ahead. seconds_per_part: None until jobs like it were measured."""

    id: str
    user: str
    state: JobState
    done: int
    total: int
    pause_asked: bool = False
    seconds_per_part: float | None = None

    @property
    def seconds_left(self) -> float | None:
        """How long the rest of it takes one worker, None when nothing is known yet."""
        return None if self.seconds_per_part is None else (self.total - self.done) * self.seconds_per_part


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """In how many seconds a job is likely to begin and to end; None where nothing can be said yet."""

    begins_in: float | None
    ends_in: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """All open jobs; those that wait in the order of their turns. num_workers: how many are alive."""

    running: tuple[OpenJob, ...]
    waiting: tuple[OpenJob, ...]
    paused: tuple[OpenJob, ...]
    num_workers: int
    pause: QueuePause | None = None

    def forecasts(self) -> Mapping[str, Forecast]:
        """When each running and waiting job begins and ends, if no other job comes. Each worker takes the next turn.

        A job of unknown pace leaves the beginning of those behind it unknown too, unless another worker is free.
        """
        unknown = float("inf")
        ends = {job.id: unknown if job.seconds_left is None else job.seconds_left for job in self.running}
        begins = dict.fromkeys(ends, 0.0)
        free = [*ends.values(), *[0.0] * (max(1, self.num_workers) - len(ends))]
        heapq.heapify(free)
        for job in self.waiting:
            begins[job.id] = heapq.heappop(free)
            ends[job.id] = unknown if job.seconds_left is None else begins[job.id] + job.seconds_left
            heapq.heappush(free, ends[job.id])
        return {job_id: Forecast(begins_in=_known(begins[job_id]), ends_in=_known(ends[job_id])) for job_id in ends}


def _known(seconds: float) -> float | None:
    return seconds if seconds != float("inf") else None
