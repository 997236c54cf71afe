"""What the Dataset tab does: counts, the export, and taking an export back in."""

import html
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr

from dermaflux.domain.errors import InvalidRequest
from dermaflux.domain.roles import Role
from pages.components.dataset_picker import counts_html
from pages.components.stepwise import stepwise
from pages.page import in_words, visitor_in, visitor_of

if TYPE_CHECKING:
    from dermaflux.services import Services

FORMATS = (
    ("Image folder + metadata.jsonl", "imagefolder"),
    ("Parquet (datasets)", "parquet"),
    ("WebDataset shards", "webdataset"),
    ("DICOM", "dicom"),
    ("COCO with lesion masks", "coco"),
)


class DatasetActions:
    """The handlers of one tab."""

    def __init__(self, services: "Services") -> None:
        self._services = services

    @in_words
    def counts(self, dataset: str, request: gr.Request) -> str:
        """How many images stand where, as far as the visitor may see it."""
        visitor = visitor_in(self._services, request, dataset, Role.VIEWER, "look at a dataset")
        return counts_html(self._services.counts(dataset, viewer=visitor.name))

    @in_words
    def export(self, dataset: str, layout: str, request: gr.Request) -> Iterator[tuple[Any, str, Any]]:
        """A zip of the accepted images in the layout asked for: its path, how far it is, and whether it can be stopped.

        Closed before its end it leaves nothing behind.
        """
        visitor_in(self._services, request, dataset, Role.CURATOR, "export a dataset")
        yield gr.skip(), "Beginning ...", gr.Button(interactive=True)
        for event in stepwise(partial(self._services.export_zip, dataset, layout)):
            if isinstance(event, Path):
                said = f"{html.escape(event.name)} is ready. For training splits only."
                yield str(event), said, gr.Button(interactive=False)
            else:
                yield gr.skip(), _so_far("Writing", event), gr.skip()

    @in_words
    def take_in(self, dataset: str, source: str | None, request: gr.Request) -> Iterator[tuple[str, Any]]:
        """Take an exported zip back in, in words as it goes; the file is let go when it is in."""
        visitor = visitor_of(self._services, request).require(Role.CURATOR, "take a dataset in")
        if not source:
            raise InvalidRequest("No file was chosen. Drop an exported zip first.")
        self._services.open_for_verdicts(dataset, visitor)
        yield "Unpacking ...", gr.skip()
        for event in stepwise(partial(self._services.import_zip, Path(source), dataset)):
            if isinstance(event, tuple):
                yield _so_far("Taking in", event), gr.skip()
                continue
            words = (
                f"{event.num_images:,} images are in, {event.num_new_images:,} of them new here, with "
                f"{event.num_decisions:,} verdicts."
            )
            yield words, None


def _so_far(doing: str, step: tuple[int, int]) -> str:
    done, total = step
    return f"{doing}: {done:,} of {total:,} images. For many this takes minutes."
