"""The grid of curation as a Gradio component: its template, its scripts and its events.

`value` is a page: {"seq", "dataset", "cards", "total", "next", "empty"}; `acks`, `facts`, `choices`, `refresh` and
`picked` are sent beside it, so that an answer to one verdict never disturbs the page.
"""

import gradio as gr

from pages.components.web import read_web

_SCRIPTS = (
    "card.js", "curate_filters.js", "curate_boards.js", "curate_outbox.js", "curate.js", "curate_dialogs.js",
    "curate_keys.js",
)  # fmt: skip
EMPTY_PAGE = {"cards": [], "total": 0, "next": None, "empty": "Looking …"}


def curation_grid(*, elem_id: str, calibration: str = "") -> gr.HTML:
    """An empty grid; calibration: what is said beside every probability.

    Events: `asked` (seq, words, after), `sent` (seq, dataset, entries), `opened` (image_id), `saved` (name, words),
    `unsaved` (name), `assigned` (), `settled` (), `used` (image_id, remix).
    """
    return gr.HTML(
        value=dict(EMPTY_PAGE),
        html_template=read_web("curate.html"),
        js_on_load=read_web(*_SCRIPTS),
        apply_default_css=False,
        elem_id=elem_id,
        calibration=calibration,
        acks=None,
        facts=None,
        choices=None,
        refresh=None,
        picked=None,
    )
