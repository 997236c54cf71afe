"""Jobs and what they tell in passing, as the records that front ends know. It knows no store and no queue."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from dermaflux.domain.records import StepPreview
from dermaflux.services import records

if TYPE_CHECKING:
    from dermaflux.jobs import Job, JobContext

LOADING = "loading"  # the key of what is said of a model's load; those of images are their numbers


def record_of(job: "Job") -> records.GenerationJob:
    """What front ends see of a job."""
    return records.GenerationJob(
        job_id=job.id,
        user=job.user,
        state=str(job.state),
        request=job.payload.get("base", job.payload),
        sweep=job.payload if "base" in job.payload else None,
        done=job.done,
        total=job.total,
        error=job.error,
        image_ids=job.made,
    )


def tell_loading(context: "JobContext") -> Callable[[str, int, int], None]:
    """Lets the followers of a job hear how far the load of its model is."""
    from dermaflux.jobs import Update

    def told(doing: str, done: int, total: int) -> None:
        context.publish(Update(key=LOADING, data=(doing, done, total)))

    return told


def passing(job_id: str, event: Any) -> records.JobEvent:
    """What is true for a moment only, as pages know it."""
    from dermaflux.jobs import events

    match event:
        case events.Waiting(ahead=ahead):
            return records.Waiting(job_id=job_id, ahead=ahead)
        case events.Paused(done=done, total=total):
            return records.Paused(job_id=job_id, done=done, total=total)
        case events.Update(data=(doing, loaded, of)):
            return records.Loading(job_id=job_id, doing=doing, done=loaded, total=of)
        case events.Update(data=preview):
            return _preview(job_id, preview)
    return records.Progress(job_id=job_id, done=event.done, total=event.total)


def _preview(job_id: str, preview: StepPreview) -> records.Preview:
    return records.Preview(
        job_id=job_id,
        image_index=preview.image_index,
        step=preview.step,
        num_steps=preview.num_steps,
        image=preview.image,
    )
