"""The queue as its visitors see and steer it: positions, likely waiting times, pause, resume, and a stop of it all.

Whose a job is, is asked here: of what is not theirs visitors learn no more than that there is something in the line.
"""

from dataclasses import replace
from typing import TYPE_CHECKING

from dermaflux.domain.errors import DataNotFound, InvalidRequest
from dermaflux.domain.roles import Role, Visitor
from dermaflux.services.generating import GENERATE, Generating
from dermaflux.services.queue_records import JobAction, QueueEntry, QueueView, asked_in_words
from dermaflux.services.records import GenerationJob

if TYPE_CHECKING:
    from dermaflux.jobs import Forecast, Job, OpenJob, Outlook

_SHOWN = 30
_ACTIONS = {
    "waiting": (JobAction.PAUSE, JobAction.CANCEL),
    "running": (JobAction.PAUSE, JobAction.CANCEL),
    "paused": (JobAction.RESUME, JobAction.CANCEL),
    "failed": (JobAction.RETRY,),
    "cancelled": (JobAction.RETRY,),
    "interrupted": (JobAction.RETRY,),
}


class Queueing(Generating):
    """The view of the queue and what may be done to it. Methods that name a visitor check whose the job is."""

    def queue_view(self, visitor: Visitor) -> QueueView:
        """The queue as far as a visitor may see it: no caption and no name of another user, but for administrators."""
        queue = self._queue()
        outlook = queue.outlook(queue.roll.crews())
        forecasts, is_admin = outlook.forecasts(), visitor.role is Role.ADMIN
        mine = [_own_entry(job, outlook, forecasts.get(job.id)) for job in queue.list(visitor.name, _SHOWN)]
        open_jobs = (*outlook.running, *outlook.waiting, *outlook.paused)
        others = [job for job in open_jobs if job.user != visitor.name]
        return QueueView(
            mine=tuple(mine),
            others=tuple(_foreign_entry(job, outlook, forecasts.get(job.id), is_admin) for job in others),
            num_workers=outlook.num_workers,
            is_paused=outlook.pause is not None,
            paused_by=outlook.pause.paused_by if outlook.pause and is_admin else "",
            may_pause_all=is_admin,
        )

    def job_of(self, visitor: Visitor, job_id: str) -> GenerationJob:
        """A job that the visitor may see. Raises DataNotFound for any other, whether it is there or not."""
        job = self.job(job_id)
        if not visitor.may_see(job.user):
            raise DataNotFound(f"There is no job {job_id!r} of yours. Reload the page.")
        return job

    def act_on_job(self, visitor: Visitor, job_id: str, action: JobAction) -> None:
        """Pause, resume, cancel or retry a job of the visitor's. Raises DataNotFound, InvalidRequest, QueueFull."""
        self.job_of(visitor, job_id)
        match action:
            case JobAction.PAUSE:
                self._queue().pause(job_id)
            case JobAction.RESUME:
                self._begin_work()
                self._queue().resume(job_id)
            case JobAction.CANCEL:
                self.cancel(job_id)
            case JobAction.RETRY:
                self.retry(job_id)

    def skip_image(self, visitor: Visitor, job_id: str, image_index: int) -> None:
        """Leave out one image of a job of the visitor's, the one being drawn at its next step; the others are drawn.

        One that is finished stays. Raises DataNotFound, InvalidRequest for a grid or strip.
        """
        if self.job_of(visitor, job_id).sweep is not None:
            raise InvalidRequest("No cell of a grid or strip can be skipped. Stop it, then draw it with other values.")
        self._queue().skip(job_id, image_index)

    def clear_jobs(self, visitor: Visitor) -> int:
        """Take the visitor's jobs that are over from their list; how many. Their images stay."""
        return self._queue().clear(visitor.name)

    def pause_queue(self, visitor: Visitor) -> None:
        """Begin no more jobs; running ones go back in line after their present image. For administrators."""
        visitor.require(Role.ADMIN, "pause the queue")
        self._queue().pause_all(visitor.name)

    def resume_queue(self, visitor: Visitor) -> None:
        """Let the queue go on. For administrators."""
        visitor.require(Role.ADMIN, "resume the queue")
        self._queue().resume_all()


def _own_entry(job: "Job", outlook: "Outlook", forecast: "Forecast | None") -> QueueEntry:
    state = str(job.state)
    actions = _ACTIONS.get(state, ())
    if job.pause_asked:
        actions = (JobAction.RESUME, JobAction.CANCEL)
    if job.kind == GENERATE:  # a board shows images of one request only
        actions = (*actions, JobAction.SHOW)
    entry = QueueEntry(
        state=state,
        done=job.done,
        total=job.total,
        num_skipped=job.num_skipped,
        is_mine=True,
        job_id=job.id,
        asked=asked_in_words(job.kind, job.payload, job.total),
        error=job.error,
        is_pausing=job.pause_asked,
        actions=actions,
    )
    return _with_place(entry, job.id, outlook, forecast)


def _foreign_entry(job: "OpenJob", outlook: "Outlook", forecast: "Forecast | None", is_admin: bool) -> QueueEntry:
    entry = QueueEntry(
        state=str(job.state), done=job.done, total=job.total, is_mine=False, is_pausing=job.pause_asked
    )
    if is_admin:
        actions = (JobAction.RESUME, JobAction.CANCEL) if job.pause_asked else _ACTIONS[entry.state]
        entry = replace(entry, job_id=job.id, owner=job.user, actions=actions)
    return _with_place(entry, job.id, outlook, forecast)


def _with_place(entry: QueueEntry, job_id: str, outlook: "Outlook", forecast: "Forecast | None") -> QueueEntry:
    ahead = next((place for place, job in enumerate(outlook.waiting) if job.id == job_id), None)
    if forecast is None:
        return replace(entry, ahead=ahead)
    return replace(entry, ahead=ahead, begins_in=forecast.begins_in, ends_in=forecast.ends_in)
