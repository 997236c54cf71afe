"""Jobs that a page follows: whose they are, and their images with the verdicts of a dataset. It knows no component."""

import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import gradio as gr

from dermaflux.domain.errors import DataNotFound
from dermaflux.domain.roles import Role, Visitor
from dermaflux.services.records import Finished, GenerationJob, JobEvent, Preview, Skipped
from pages.page import visitor_of

if TYPE_CHECKING:
    from dermaflux.services import Services

_PREVIEW_SECONDS = 0.25


def job_of(services: "Services", job_id: str | None, visitor: Visitor) -> GenerationJob | None:
    """The job that the browser remembers; None when it has none, it is of another database, or somebody else's."""
    try:
        return services.job_of(visitor, job_id) if job_id else None
    except DataNotFound:
        return None


def stop_job(services: "Services", job_id: str | None, request: gr.Request) -> None:
    """Stop the visitor's own job within a step; what is finished stays."""
    visitor = visitor_of(services, request).require(Role.REVIEWER, "stop a job")
    if job := job_of(services, job_id, visitor):
        services.cancel(job.job_id)


def with_verdict(services: "Services", event: JobEvent, dataset: str, visitor: Visitor) -> JobEvent:
    """The event, its image with the verdict that it has in a dataset as far as the visitor may see it."""
    if not isinstance(event, Finished) or services.open_dataset(dataset, visitor) is None:
        return event
    return replace(event, stored=services.image(event.stored.image_id, dataset, visitor.name))


def paced(events: Iterable[JobEvent]) -> Iterator[JobEvent]:
    """All events but previews that follow one another faster than an eye needs them: a browser has other work too.

    Of images drawn together each has its turn, and the first preview of each is shown at once.
    """
    shown_at: dict[int, float] = {}  # of the images that are being drawn
    last = 0.0
    for event in events:
        if isinstance(event, Preview):
            now = time.monotonic()
            if not _is_due(event.image_index, shown_at, now - last):
                continue
            last = shown_at[event.image_index] = now
        if isinstance(event, Finished | Skipped):
            shown_at.pop(event.image_index, None)
        yield event


def _is_due(image_index: int, shown_at: Mapping[int, float], since_last: float) -> bool:
    if image_index not in shown_at:
        return bool(shown_at) or since_last >= _PREVIEW_SECONDS
    is_next = image_index == min(shown_at, key=lambda index: shown_at[index])
    return is_next and since_last >= _PREVIEW_SECONDS
