"""The picker of the dataset that verdicts go to, and the counts beside it."""

import html
from collections.abc import Sequence

import gradio as gr

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


def counts_html(counts: object | None) -> str:
    """How many images of a dataset stand where; zeros for None."""
    cells = [
        f'<span class="df-count is-{field}"><b>{getattr(counts, field, 0)}</b>{html.escape(name)}</span>'
        for field, name in _NAMES
    ]
    return f'<div class="df-counts" role="status">{"".join(cells)}</div>'
