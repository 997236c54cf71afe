"""What the Dataset tab does: pages of stored images by verdict, and the export."""

import html
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr

from dermaflux.domain.records import StoredImage
from dermaflux.domain.roles import Role
from pages.components.card_view import Card, requested_of, stored_card
from pages.components.pictures import thumbnail_uri
from pages.page import in_words, visitor_of

if TYPE_CHECKING:
    from dermaflux.services import Services

PAGE_SIZE = 60
FILTERS = (
    ("Accepted", "accept"),
    ("Rejected", "reject"),
    ("Unsure", "unsure"),
    ("To review", "undecided"),
    ("All", "all"),
)
FORMATS = (
    ("Image folder + metadata.jsonl", "imagefolder"),
    ("Parquet (datasets)", "parquet"),
    ("WebDataset shards", "webdataset"),
    ("DICOM", "dicom"),
    ("COCO with lesion masks", "coco"),
)
_EMPTY = {
    "accept": "Nothing accepted yet. Accept good samples in the Generate tab, or under To review.",
    "reject": "Nothing rejected.",
    "unsure": "Nothing marked unsure.",
    "undecided": "Everything has been reviewed.",
    "all": "No image has been generated yet.",
}


# Where a visitor is in a list: the cursors of the pages up to the shown one, and that of the next, if any.
Place = dict[str, Any]
FIRST_PLACE: Place = {"trail": [None], "next": None}


class DatasetActions:
    """The handlers of one tab."""

    def __init__(self, services: "Services", *, page_size: int) -> None:
        self._services = services
        self._page_size = page_size

    @in_words
    def choices(self, current: str, request: gr.Request) -> Any:
        """The datasets there are now. The field keeps its value: the visitor may have chosen another one meanwhile."""
        visitor_of(self._services, request).require(Role.VIEWER, "see datasets")
        names = self._services.datasets()
        return gr.Dropdown(choices=sorted({*names, current}))

    @in_words
    def first_page(self, dataset: str, shown: str, request: gr.Request) -> tuple[Any, ...]:
        """The newest images of a verdict."""
        return self._page(dataset, shown, FIRST_PLACE["trail"], self._viewer(request))

    @in_words
    def later_page(self, dataset: str, shown: str, place: Place, request: gr.Request) -> tuple[Any, ...]:
        """The page after the one that is shown."""
        viewer = self._viewer(request)
        return self._page(dataset, shown, [*place["trail"], place["next"]], viewer)

    @in_words
    def earlier_page(self, dataset: str, shown: str, place: Place, request: gr.Request) -> tuple[Any, ...]:
        """The page before the one that is shown."""
        viewer = self._viewer(request)
        return self._page(dataset, shown, place["trail"][:-1] or FIRST_PLACE["trail"], viewer)

    @in_words
    def export(self, dataset: str, layout: str, request: gr.Request) -> tuple[str, str]:
        """A zip of the accepted images in the layout asked for: its path, and a line on it."""
        visitor_of(self._services, request).require(Role.CURATOR, "export a dataset")
        path = self._services.export_zip(dataset, layout)
        return str(path), f"{html.escape(path.name)} is ready. For training splits only."

    def _viewer(self, request: gr.Request) -> str:
        return visitor_of(self._services, request).require(Role.VIEWER, "see images").name

    def _page(self, dataset: str, shown: str, trail: list[str | None], viewer: str) -> tuple[Any, ...]:
        page = self._services.page(
            dataset, verdict=shown, after=trail[-1], limit=self._page_size, viewer=viewer
        )
        cards = [self._card(stored) for stored in page.images]
        before = self._page_size * (len(trail) - 1)
        text = f"{before + 1}–{before + len(cards)} of {page.total}" if cards else ""
        return (
            {"job": None, "cards": cards, "empty": _EMPTY[shown]},
            {"trail": trail, "next": page.next_after},
            f'<span class="df-place">{text}</span>',
            gr.Button(interactive=len(trail) > 1),
            gr.Button(interactive=page.next_after is not None),
        )

    def _card(self, stored: StoredImage) -> Card:
        asked = requested_of(stored)
        title = asked.diagnosis.label.capitalize() if asked else "Free text"
        picture = thumbnail_uri(Path(stored.path))
        return stored_card(stored, key=stored.image_id, title=title, picture=picture) | {
            "is_thumbnail": True
        }
