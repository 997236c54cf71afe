"""The picker of the dataset that verdicts go to, and the counts beside it."""

import html
from collections.abc import Sequence
from typing import TYPE_CHECKING

import gradio as gr

from pages.page import IN_WORDS, in_words, visitor_of

if TYPE_CHECKING:
    from dermaflux.services import Services

DEFAULT_DATASET = "my-dataset"
_NAMES = (
    ("accept", "accepted"),
    ("reject", "rejected"),
    ("unsure", "unsure"),
    ("undecided", "to review"),
)


def dataset_picker(names: Sequence[str], *, elem_id: str) -> gr.Dropdown:
    """A dropdown of the datasets there are; a new name typed in makes a new one with its first verdict."""
    choices = list(names) or [DEFAULT_DATASET]
    return gr.Dropdown(
        choices,
        value=choices[0],
        label="Dataset",
        allow_custom_value=True,
        elem_id=elem_id,
        min_width=180,
        scale=1,
    )


def wire_picker(services: "Services", picker: gr.Dropdown, app: gr.Blocks, tab: gr.Tab | None = None) -> None:
    """Offer a visitor what they may see, when they come and when they open the tab.

    The field keeps its value: the visitor may have chosen another one meanwhile.
    """

    @in_words
    def choices(current: str, request: gr.Request) -> object:
        visitor = visitor_of(services, request)
        return gr.Dropdown(choices=sorted({*services.dataset_names(visitor), current}))

    triggers = [app.load] if tab is None else [app.load, tab.select]
    gr.on(triggers, choices, picker, picker, **IN_WORDS)


def counts_html(counts: object | None) -> str:
    """How many images of a dataset stand where; zeros for None."""
    cells = [
        f'<span class="df-count is-{field}"><b>{getattr(counts, field, 0)}</b>{html.escape(name)}</span>'
        for field, name in _NAMES
    ]
    return f'<div class="df-counts" role="status">{"".join(cells)}</div>'
