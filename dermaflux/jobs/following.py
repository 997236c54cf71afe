"""Follow a job until it ended, wherever it is done: by a worker of this process, of another one, or by none yet.

A worker of this process tells its followers over a channel in memory; of any other the database is asked a few times a
second. Either way each result is said once.
"""

from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from dermaflux.jobs.events import (
    Ended,
    JobChannels,
    JobEvent,
    Paused,
    Progress,
    Result,
    Update,
    Waiting,
)
from dermaflux.jobs.queue import JobQueue
from dermaflux.jobs.records import Job, JobState

POLL_SECONDS: Final = 0.25


@dataclass(slots=True)
class _Told:
    """What one follower was told already."""

    standing: JobEvent | None = None
    preview_number: int = 0
    results: set[tuple[Hashable, Any]] = field(default_factory=set)

    def is_news(self, event: JobEvent) -> bool:
        """Whether it is worth saying; from then on a result is not."""
        if not isinstance(event, Result):
            return True
        known = (event.key, event.data) in self.results
        self.results.add((event.key, event.data))
        return not known


class Following:
    """Followers of the jobs of one queue. `unpack` reads the previews that workers elsewhere have packed."""

    def __init__(
        self, queue: JobQueue, channels: JobChannels, unpack: Callable[[bytes], Any] | None = None
    ) -> None:
        self._queue = queue
        self._channels = channels
        self._unpack = unpack

    def follow(self, job_id: str) -> Iterator[JobEvent]:
        """The events of a job until Ended: first its present state, then what comes. Raises DataNotFound at once."""
        self._queue.state(job_id)
        return self._follow(job_id)

    def _follow(self, job_id: str) -> Iterator[JobEvent]:
        channel, told = self._channels.attach(job_id), _Told()
        seen, timeout = 0, 0.0
        while True:
            reading = channel.read(seen, timeout)
            yield from filter(told.is_news, reading.events)
            if reading.ended:
                return
            seen, timeout = reading.seen, POLL_SECONDS
            if channel.is_taken:
                told.standing = None
                continue
            standing = list(self._standing(job_id, told))
            if channel.is_taken:  # asked again: what a worker here says supersedes the database
                continue
            yield from filter(told.is_news, standing)
            if standing and isinstance(standing[-1], Ended):
                return

    def _standing(self, job_id: str, told: _Told) -> Iterator[JobEvent]:
        """What the database says of a job that was not told before."""
        job = self._queue.get(job_id)
        if job.state.is_final:
            yield Ended(job=job)
            return
        for index, item in enumerate(job.result):
            yield Result(key=index, data=item)
        standing = self._place(job)
        if standing is not None and standing != told.standing:
            told.standing = standing
            yield standing
        if job.state is JobState.RUNNING and self._unpack is not None:
            yield from self._preview(job, told, self._unpack)

    def _place(self, job: Job) -> JobEvent | None:
        if job.state is JobState.RUNNING:
            return Progress(done=job.done, total=job.total)
        if job.state is JobState.PAUSED:
            return Paused(done=job.done, total=job.total)
        ahead = self._queue.position(job.id)
        return None if ahead is None else Waiting(ahead=ahead)

    def _preview(self, job: Job, told: _Told, unpack: Callable[[bytes], Any]) -> Iterator[Update]:
        preview = self._queue.previews.other(job.id, told.preview_number)
        if preview is None:
            return
        told.preview_number = preview.number
        if preview.part >= len(job.result):  # of a part that is not finished
            yield Update(key=preview.part, data=unpack(preview.content))
