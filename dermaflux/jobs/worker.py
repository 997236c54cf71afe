"""A thread that does jobs, one after the other. It knows handlers by their kind only.

A handler asks `should_stop` between steps and raises Cancelled, and says `progress` after every part, or `pass_over` of
one that was skipped; what it finished before is kept. Whoever follows a job is in `following`.
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

from dermaflux.domain.errors import Cancelled, DermaFluxError
from dermaflux.jobs.events import Channel, Ended, JobChannels, Progress, Result, Update
from dermaflux.jobs.heart import Heart
from dermaflux.jobs.queue import JobQueue
from dermaflux.jobs.records import SKIPPED, Job, JobState

log = logging.getLogger(__name__)

_RELAY_SECONDS: Final = 0.5  # at most two previews a second are written down
INTERNAL_ERROR = "An internal error stopped the job; the log of the program says more. Try again."

Pack = Callable[[Any], bytes | None]
"""The data of an Update as bytes for followers in other processes; None for what need not reach them."""


class Rests(Exception):
    """The job is to pause after the part that is finished. Not an error: a handler lets it pass."""


class JobContext:
    """What a handler may do with its job: ask whether to go on, say how far it is, show what it has."""

    def __init__(self, job: Job, worker: "JobWorker", channel: Channel) -> None:
        self._job_id = job.id
        self._worker = worker
        self._claims = worker.queue.claims
        self._channel = channel
        self._worked_since = time.monotonic()
        self._relayed_at = 0.0

    def should_stop(self) -> bool:
        """True once the job was cancelled or lost, from this process or another, or the program ends."""
        return self.parts_to_skip() is None

    def parts_to_skip(self) -> frozenset[int] | None:
        """The parts that its owner wants no more, None where should_stop is True: one question for both."""
        return None if self._worker.is_stopping else self._claims.skips_asked(self._job_id, self._worker.worker_id)

    def progress(self, done: int, total: int, worked_seconds: float | None = None) -> None:
        """Say and write down that `done` of `total` parts are finished. Raises Rests when the job is to pause now.

        worked_seconds: what the last part took, loading of models left out; None: the time since the one before.
        """
        now = time.monotonic()
        passed, self._worked_since = now - self._worked_since, now
        worked = passed if worked_seconds is None else worked_seconds
        rests = self._claims.record_progress(self._job_id, self._worker.worker_id, done, worked)
        self._channel.publish(Progress(done=done, total=total))
        if rests and done < total:
            raise Rests

    def publish(self, event: Update | Result) -> None:
        """Show followers something passing (Update) or lasting (Result); a Result is not written down here."""
        self._channel.publish(event)
        if isinstance(event, Update):
            self._relay(event)

    def add_result(self, item: str) -> None:
        """Write down the id of a part that is finished and stored. Raises Cancelled when the job was lost."""
        self._claims.add_result(self._job_id, self._worker.worker_id, item)

    def pass_over(self, part: int, total: int) -> None:
        """Write down and show that the next part was skipped; then as `progress`. Raises Cancelled when lost, Rests."""
        self.add_result(SKIPPED)
        self.publish(Result(key=part, data=SKIPPED))
        self.progress(part + 1, total, 0.0)

    def keep(self, num_parts: int) -> None:
        """Of what was finished before let only the first parts count; the others are to be made again."""
        self._claims.keep(self._job_id, self._worker.worker_id, num_parts)

    def _relay(self, event: Update) -> None:
        pack, now = self._worker.pack, time.monotonic()
        if pack is None or not isinstance(event.key, int) or now - self._relayed_at < _RELAY_SECONDS:
            return
        if (content := pack(event.data)) is not None:
            self._relayed_at = now
            self._worker.queue.previews.put(self._job_id, event.key, content)


Handler = Callable[[Job, JobContext], None]


class JobWorker:
    """Does jobs of a queue one after the other, on one daemon thread. Several may share a process (`crew`).

    pack: previews also go through the database, for followers in other processes.
    """

    def __init__(
        self,
        queue: JobQueue,
        handlers: Mapping[str, Handler],
        channels: JobChannels | None = None,
        *,
        poll_seconds: float = 2.0,
        pack: Pack | None = None,
    ) -> None:
        self.queue = queue
        self.pack = pack
        self.idle = threading.Event()
        self._handlers = dict(handlers)
        self._channels = channels or JobChannels()
        self._poll_seconds = poll_seconds
        self._heart = Heart(queue.roll)
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._job_id: str | None = None

    @property
    def worker_id(self) -> str:
        """Under what name it claims jobs; empty before it has started."""
        return self._heart.worker_id

    @property
    def is_alive(self) -> bool:
        """Whether it takes jobs."""
        return self._thread is not None and self._thread.is_alive()

    @property
    def is_stopping(self) -> bool:
        """Whether it was told to end."""
        return self._stopping.is_set()

    def start(self) -> None:
        """Begin to work, at first on what dead workers left. Raises StorageNotWritable."""
        assert self._thread is None, "a worker is started once"
        self._heart.start()
        self._thread = threading.Thread(target=self._run, name="dermaflux-jobs", daemon=True)
        self._thread.start()

    def ask_to_stop(self) -> None:
        """Say that it is to end; `stop` waits for it."""
        self._stopping.set()
        self.queue.wake()

    def stop(self, timeout_seconds: float = 10.0) -> bool:
        """End after the current step; the job under way goes back to the queue. True when the thread has ended."""
        self.ask_to_stop()
        if self._thread is None:
            return True
        self._thread.join(timeout_seconds)
        if self._thread.is_alive() and self._job_id:
            self._give_back(self._job_id)  # the step takes too long; what it still says is no longer heard
        self._heart.stop()
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            self._take_turns()
        except Exception:
            log.critical("the worker ended by a fault of ours; its job goes back to the queue", exc_info=True)
            self._heart.stop()

    def _take_turns(self) -> None:
        while not self._stopping.is_set():
            num_wakes = self.queue.num_wakes
            try:
                job = self.queue.claims.take(self.worker_id, self._handlers)
            except DermaFluxError:
                log.exception("no job could be claimed; trying again in %g s", self._poll_seconds)
                self._stopping.wait(self._poll_seconds)
                continue
            if job is None:
                self.idle.set()
                self.queue.wait_for_work(num_wakes, self._poll_seconds)
            else:
                self.idle.clear()
                self._work(job)

    def _work(self, job: Job) -> None:
        self._job_id, began = job.id, time.monotonic()
        channel = self._channels.begin(job.id)
        for index, item in enumerate(job.result):  # what an earlier run finished
            channel.publish(Result(key=index, data=item))
        log.info("job %s of %d parts, %d done, begins", job.id, job.total, job.done)
        end = self._handle(job, JobContext(job, self, channel))
        try:
            job = self._write_end(job, end)
        except DermaFluxError as failure:
            log.exception("the end of job %s could not be written down", job.id)
            job = replace(job, state=JobState.FAILED, error=str(failure))
        log.info("job %s: %s, %d of %d parts, %.1f s", job.id, job.state, job.done, job.total, time.monotonic() - began)
        self._job_id = None
        if job.state.is_final:
            channel.publish(Ended(job=job))
        else:
            channel.release()

    def _write_end(self, job: Job, end: tuple[JobState, str | None]) -> Job:
        state, error = end
        if state is JobState.WAITING:
            self._give_back(job.id)
        else:
            self.queue.claims.finish(job.id, self.worker_id, state, error)
        if self.pack is not None:
            self.queue.previews.drop(job.id)
        return self.queue.get(job.id)

    def _give_back(self, job_id: str) -> None:
        self.queue.claims.give_back(job_id, self.worker_id)

    def _handle(self, job: Job, context: JobContext) -> tuple[JobState, str | None]:
        """How the job ended and why; waiting: it is not over, and goes back to the queue."""
        try:
            self._handlers[job.kind](job, context)
        except Rests:
            return JobState.WAITING, None
        except Cancelled:
            return (JobState.WAITING if self.is_stopping else JobState.CANCELLED), None
        except DermaFluxError as error:
            log.info("job %s failed: %s", job.id, error)
            return JobState.FAILED, str(error)
        except Exception:
            # The boundary: a fault in one job must not end the thread that all other jobs wait for.
            log.exception("job %s failed by a fault of ours", job.id)
            return JobState.FAILED, INTERNAL_ERROR
        return JobState.DONE, None
