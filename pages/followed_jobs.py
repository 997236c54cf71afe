"""Jobs that a page follows: whose they are, and their images with the verdicts of a dataset. It knows no component."""

from dataclasses import replace
from typing import TYPE_CHECKING

import gradio as gr

from dermaflux.domain.errors import DataNotFound
from dermaflux.domain.roles import Visitor
from dermaflux.services.records import Finished, GenerationJob, JobEvent
from pages.page import visitor_of

if TYPE_CHECKING:
    from dermaflux.services import Services


def job_of(services: "Services", job_id: str | None, request: gr.Request) -> GenerationJob | None:
    """The job that the browser remembers; None when it has none, it is of another database, or somebody else's."""
    try:
        job = services.job(job_id) if job_id else None
    except DataNotFound:
        return None
    return job if job and visitor_of(services, request).may_see(job.user) else None


def with_verdict(services: "Services", event: JobEvent, dataset: str, visitor: Visitor) -> JobEvent:
    """The event, its image with the verdict that it has in a dataset as far as the visitor may see it."""
    if not isinstance(event, Finished) or services.open_dataset(dataset, visitor) is None:
        return event
    return replace(event, stored=services.image(event.stored.image_id, dataset, visitor.name))
