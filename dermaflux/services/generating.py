"""Generation as a job: queue it, do it on a worker's thread here or in another process, follow it from any page.

The handler streams: previews to followers, then each finished image judged, stored and shown while the next one is
drawn. A job that rested or was given back goes on behind its last finished image; one that is skipped leaves its place.
"""

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING

from dermaflux.domain.errors import DataNotFound, ModelNotAvailable
from dermaflux.domain.records import GeneratedImage, SamplingRequest, StepPreview
from dermaflux.services import records
from dermaflux.services.behind import OneBehind
from dermaflux.services.job_events import passing, record_of, tell_loading
from dermaflux.services.making import Making
from dermaflux.services.resuming import pace_key
from dermaflux.services.skipping import PassedOver, passing_over
from dermaflux.services.wiring import Once
from dermaflux.settings import Settings

if TYPE_CHECKING:
    from dermaflux.jobs import Following, Job, JobChannels, JobContext, JobCrew, JobQueue
    from dermaflux.jobs.worker import Handler

log = logging.getLogger(__name__)

GENERATE = "generate"
WARM_UP_DELAY_SECONDS = 4.0
_POLL_SECONDS = 2.0  # a job submitted in this process wakes its worker at once
_POLL_APART_SECONDS = 0.5


class Generating(Making):
    """The queue of generation jobs and its worker."""

    def __init__(self, settings: Settings | None = None) -> None:
        super().__init__(settings)
        self._queue = Once(self._build_queue)
        self._channels = Once(self._build_channels)
        self._following = Once(self._build_following)
        self._worker = Once(self._build_worker)
        self._is_apart = False

    def start(self) -> None:
        """Open and migrate the storage, and begin to work unless the settings leave that to others.

        Raises StorageNotWritable.
        """
        super().start()
        self._begin_work()

    def start_apart(self) -> "JobCrew":
        """Open and migrate the storage and do jobs, for pages in other processes. Raises StorageNotWritable."""
        self._is_apart = True
        super().start()
        return self._worker()

    def close(self) -> None:
        """Stop the worker after its current step, then give the storage back. May be called twice."""
        if self._worker.is_built:
            self._worker().stop()
        super().close()

    def warm_up(self, delay_seconds: float = WARM_UP_DELAY_SECONDS) -> None:
        """Load the default model in the background, so that the first click need not wait for it.

        It begins after a moment: importing torch at once would hold up the first page.
        """
        timer = threading.Timer(delay_seconds, self._warm_up)
        timer.name, timer.daemon = "dermaflux-warm-up", True
        timer.start()

    def submit_generation(self, user: str, request: SamplingRequest) -> records.GenerationJob:
        """Queue a request. Raises InvalidRequest, ModelNotAvailable or QueueFull at once."""
        request = self.resolve(request)
        self._begin_work()
        payload, pace = request.to_dict(), pace_key(request)
        return record_of(self._queue().submit(user, GENERATE, payload, request.num_images, pace))

    def job(self, job_id: str) -> records.GenerationJob:
        """The job as it stands. Raises DataNotFound."""
        return record_of(self._queue().get(job_id))

    def jobs(self, user: str, limit: int = 20) -> tuple[records.GenerationJob, ...]:
        """The user's latest jobs, the newest first."""
        return tuple(record_of(job) for job in self._queue().list(user, limit))

    def cancel(self, job_id: str) -> records.GenerationJob:
        """Take a waiting job out, stop a running one at its next step; what is finished is kept."""
        return record_of(self._queue().cancel(job_id))

    def retry(self, job_id: str) -> records.GenerationJob:
        """Let a failed, cancelled or interrupted job wait again; it goes on behind what is finished.

        Raises InvalidRequest or QueueFull.
        """
        self._begin_work()
        return record_of(self._queue().retry(job_id))

    def follow(self, job_id: str) -> Iterator[records.JobEvent]:
        """The job's events until it ended: first all that is there already, then what comes.

        Raises DataNotFound at once. Closing the iterator ends the following, not the job.
        """
        self._queue().state(job_id)
        return self._follow(job_id)

    def _follow(self, job_id: str) -> Iterator[records.JobEvent]:
        from dermaflux.jobs import events

        shown: set[tuple[object, str]] = set()
        for event in self._following().follow(job_id):
            match event:
                case events.Result(key=index, data=item):
                    shown.add((index, item))
                    yield from self._finished(job_id, index, item)
                case events.Ended(job=job):
                    yield from self._rest(job, shown)
                    yield records.Ended(job_id=job_id, state=str(job.state), error=job.error)
                case _:
                    yield passing(job_id, event)

    def _rest(self, job: "Job", shown: set[tuple[object, str]]) -> Iterator[records.JobEvent]:
        """The images that were finished or skipped before this process, or before this follower came."""
        for place in enumerate(job.result):
            if place not in shown:
                yield from self._finished(job.id, *place)

    def _finished(self, job_id: str, index: object, item: str) -> Iterator[records.JobEvent]:
        """The image as an event, or that it was skipped; nothing when it was removed since."""
        from dermaflux.jobs import SKIPPED

        assert isinstance(index, int)
        if item == SKIPPED:
            yield records.Skipped(job_id=job_id, image_index=index)
            return
        try:
            stored = self.image(item)
        except DataNotFound:
            return
        yield records.Finished(
            job_id=job_id, image_index=index, stored=stored, assessment=records.assessment_of(stored)
        )

    def _do(self, job: "Job", context: "JobContext") -> None:
        """The handler: runs on the worker's thread."""
        from dermaflux.jobs import Update

        request = SamplingRequest.from_dict(job.payload)
        first, told = self._num_kept(job, context), tell_loading(context)
        if first > job.done:  # the worker before died between an image and its count
            context.progress(first, request.num_images, 0.0)
        images = passing_over(
            request, first, lambda rest, should_stop: self.generate(rest, should_stop, told), context.parts_to_skip
        )
        with OneBehind() as behind, closing(images) as stream:
            for event in stream:
                behind.check()
                match event:
                    case StepPreview():
                        context.publish(Update(key=event.image_index, data=event))
                    case PassedOver():
                        behind.put(partial(context.pass_over, event.image_index, job.total))
                    case GeneratedImage():
                        behind.put(partial(self._finish, event, job, context))

    def _finish(self, generated: GeneratedImage, job: "Job", context: "JobContext") -> None:
        """Keep an image and say so; runs behind, while the next one is drawn, so that the slower of both counts."""
        began = time.monotonic()
        self._keep(generated, job, context)
        worked_seconds = max(generated.seconds, time.monotonic() - began)
        context.progress(generated.image_index + 1, job.total, worked_seconds)

    def _num_kept(self, job: "Job", context: "JobContext") -> int:
        """How many of what an earlier run finished or skipped still hold; what was removed is drawn again."""
        from dermaflux.jobs import SKIPPED

        kept = 0
        try:
            for item in job.result:
                if item != SKIPPED:
                    self.image(item)
                kept += 1
        except DataNotFound:
            context.keep(kept)
        return kept

    def _keep(self, generated: GeneratedImage, job: "Job", context: "JobContext") -> None:
        found = self.assess_as_far_as_can_be(generated.image)
        stored = self._store().add_image(generated, found, job.id)
        if found.nearest is not None:
            self._store().mark_memorised([stored.image_id], [stored.image_id] if found.nearest.is_copy else [])
        self._show(stored.image_id, generated.image_index, context)

    def _show(self, image_id: str, index: int, context: "JobContext") -> None:
        from dermaflux.jobs import Result

        context.add_result(image_id)
        context.publish(Result(key=index, data=image_id))

    def _warm_up(self) -> None:
        try:
            if self.settings.worker or self._is_apart:
                self._generator().catalogue.model(self.settings.model)
                self._generator().warm_up(self.settings.model)
            self._classifier()
            self._measurer()
        except ModelNotAvailable as error:
            log.warning("not warmed up: %s", error)

    def _begin_work(self) -> None:
        if self.settings.worker:
            self._worker()

    def _build_queue(self) -> "JobQueue":
        from dermaflux.jobs import JobQueue

        return JobQueue(self._engine(), self.settings.max_waiting, self.settings.worker_timeout_s)

    def _build_channels(self) -> "JobChannels":
        from dermaflux.jobs import JobChannels

        return JobChannels()

    def _build_following(self) -> "Following":
        from dermaflux.jobs import Following
        from dermaflux.services.preview_bytes import unpack_preview

        return Following(self._queue(), self._channels(), unpack_preview)

    def _handlers(self) -> "dict[str, Handler]":
        """What the worker does, by the kind of job."""
        return {GENERATE: self._do}

    def _build_worker(self) -> "JobCrew":
        """As many workers as images are drawn together: with fewer, jobs of several users would never meet."""
        from dermaflux.jobs import JobCrew, JobWorker
        from dermaflux.services.preview_bytes import pack_preview

        # Followers in this process are told in memory; previews are written down only where others may follow.
        elsewhere = self._is_apart or self.settings.is_shared
        workers = [
            JobWorker(
                self._queue(),
                self._handlers(),
                self._channels(),
                poll_seconds=_POLL_APART_SECONDS if self._is_apart else _POLL_SECONDS,
                pack=pack_preview if elsewhere else None,
            )
            for _ in range(self.settings.chosen_speed.batch)
        ]
        crew = JobCrew(workers)
        crew.start()
        return crew
