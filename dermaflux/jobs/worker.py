"""The one thread that does the jobs, and the way to follow them. It knows handlers by their kind only.

A handler asks `should_stop` between steps and raises Cancelled; what it finished before is kept.
"""

import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Final

from dermaflux.domain.errors import Cancelled, DermaFluxError
from dermaflux.jobs.events import (
    Channel,
    Ended,
    JobChannels,
    JobEvent,
    Progress,
    Result,
    Update,
    Waiting,
)
from dermaflux.jobs.queue import JobQueue
from dermaflux.jobs.records import Job, JobState

log = logging.getLogger(__name__)

_FOLLOW_POLL_SECONDS: Final = 0.25
INTERNAL_ERROR = "An internal error stopped the job; the log of the program says more. Try again."


class JobContext:
    """What a handler may do with its job: ask whether to go on, say how far it is, show what it has."""

    def __init__(
        self, job: Job, queue: JobQueue, channel: Channel, stopping: threading.Event
    ) -> None:
        self._job_id = job.id
        self._queue = queue
        self._channel = channel
        self._stopping = stopping

    def should_stop(self) -> bool:
        """True once the job was cancelled, from this process or another, or the program ends."""
        return self._stopping.is_set() or self._queue.state(self._job_id) is not JobState.RUNNING

    def progress(self, done: int, total: int) -> None:
        """Say and write down that `done` of `total` parts are finished."""
        self._queue.record_progress(self._job_id, done, total)
        self._channel.publish(Progress(done=done, total=total))

    def publish(self, event: Update | Result) -> None:
        """Show followers something passing (Update) or lasting (Result); neither is written down."""
        self._channel.publish(event)

    def add_result(self, item: str) -> None:
        """Write down the id of a part that is finished and stored."""
        self._queue.add_result(self._job_id, item)


Handler = Callable[[Job, JobContext], None]


class JobWorker:
    """Does the jobs of a queue one after the other, on one daemon thread that alone runs the handlers."""

    def __init__(
        self, queue: JobQueue, handlers: Mapping[str, Handler], *, poll_seconds: float = 2.0
    ) -> None:
        self._queue = queue
        self._handlers = dict(handlers)
        self._poll_seconds = poll_seconds
        self._channels = JobChannels()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to work. What a killed process left running is marked interrupted first."""
        assert self._thread is None, "a worker is started once"
        self._queue.mark_interrupted_on_start()
        self._thread = threading.Thread(target=self._run, name="dermaflux-jobs", daemon=True)
        self._thread.start()

    def stop(self, timeout_seconds: float = 10.0) -> bool:
        """End after the current step; the job under way becomes interrupted. True when the thread has ended."""
        self._stopping.set()
        self._queue.wake()
        if self._thread is None:
            return True
        self._thread.join(timeout_seconds)
        return not self._thread.is_alive()

    def follow(self, job_id: str) -> Iterator[JobEvent]:
        """The events of a job until Ended: first its present state, then what comes. Raises DataNotFound at once."""
        self._queue.state(job_id)
        return self._follow(job_id)

    def _follow(self, job_id: str) -> Iterator[JobEvent]:
        channel = self._channels.attach(job_id)
        seen, said, timeout = 0, None, 0.0
        while True:
            reading = channel.read(seen, timeout)
            yield from reading.events
            if reading.ended:
                return
            seen, timeout = reading.seen, _FOLLOW_POLL_SECONDS
            standing = None if channel.is_taken else self._standing(job_id)
            if channel.is_taken:  # asked again: what a worker says supersedes the database
                continue
            if standing is not None and standing != said:
                said = standing
                yield standing
            if isinstance(standing, Ended):
                return

    def _standing(self, job_id: str) -> JobEvent | None:
        job = self._queue.get(job_id)
        if job.state.is_final:
            return Ended(job=job)
        if job.state is JobState.RUNNING:
            return Progress(done=job.done, total=job.total)
        ahead = self._queue.position(job_id)
        return None if ahead is None else Waiting(ahead=ahead)

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                job = self._queue.claim_next(self._handlers)
            except DermaFluxError:
                log.exception("no job could be claimed; trying again in %g s", self._poll_seconds)
                self._stopping.wait(self._poll_seconds)
                continue
            if job is None:
                self._queue.wait_for_work(self._poll_seconds)
            else:
                self._work(job)

    def _work(self, job: Job) -> None:
        channel = self._channels.begin(job.id)
        state, error = self._handle(job, JobContext(job, self._queue, channel, self._stopping))
        try:
            job = self._queue.finish(job.id, state, error)
        except DermaFluxError as failure:
            log.exception("the end of job %s could not be written down", job.id)
            job = replace(job, state=JobState.FAILED, error=str(failure))
        channel.publish(Ended(job=job))

    def _handle(self, job: Job, context: JobContext) -> tuple[JobState, str | None]:
        try:
            self._handlers[job.kind](job, context)
        except Cancelled:
            return (JobState.INTERRUPTED if self._stopping.is_set() else JobState.CANCELLED), None
        except DermaFluxError as error:
            log.info("job %s failed: %s", job.id, error)
            return JobState.FAILED, str(error)
        except Exception:
            # The boundary: a fault in one job must not end the thread that all other jobs wait for.
            log.exception("job %s failed by a fault of ours", job.id)
            return JobState.FAILED, INTERNAL_ERROR
        return JobState.DONE, None
