"""The Dataset tab: what was generated, by verdict and page; verdicts, undo, the export as one zip, and the probe."""

from typing import TYPE_CHECKING

import gradio as gr

from pages.components.board import sample_board
from pages.components.dataset_picker import counts_html, dataset_picker
from pages.components.web import plain_html
from pages.dataset_actions import FILTERS, FIRST_PLACE, FORMATS, PAGE_SIZE, DatasetActions
from pages.page import IN_WORDS
from pages.probe_panel import probe_panel
from pages.review import ReviewActions, wire_review

if TYPE_CHECKING:
    from dermaflux.services import Services

_EXPORT_NOTE = (
    "Images with captions, measurements, provenance and a data card. For training splits only."
)
_EMPTY = "No image here. Generate some, then accept the good ones."

def build(services: "Services", app: gr.Blocks, tab: gr.Tab) -> gr.HTML:
    """Lay out the tab in the current Blocks context and wire it; its board."""
    with gr.Row(elem_classes="df-bar"):
        dataset = dataset_picker(services.datasets(), elem_id="dataset-name")
        counts = plain_html(counts_html(None), elem_id="dataset-counts")
        undo = gr.Button("Undo last verdict", elem_classes="df-minor", min_width=140, scale=0)
    export = _export_row()
    probe_panel(services, dataset, tab)
    with gr.Row(elem_classes="df-bar df-bar-pages"):
        shown = gr.Radio(FILTERS, value=FILTERS[0][1], show_label=False, container=False,
                         elem_classes="df-segments df-filter", elem_id="dataset-filter", scale=2)  # fmt: skip
        place = plain_html("", elem_id="dataset-place")
        earlier = gr.Button(
            "← Newer", elem_classes="df-minor", min_width=80, scale=0, interactive=False
        )
        later = gr.Button(
            "Older →", elem_classes="df-minor", min_width=80, scale=0, interactive=False
        )
    board = sample_board(elem_id="dataset-board", empty=_EMPTY, compact=True, reusable=True,
                         calibration=services.calibration_note())  # fmt: skip
    actions = DatasetActions(services, page_size=PAGE_SIZE)
    where = gr.State(FIRST_PLACE)
    shows = [board, where, place, earlier, later]
    for trigger in (tab.select, dataset.change, shown.change):
        trigger(actions.first_page, [dataset, shown], shows, trigger_mode="always_last", **IN_WORDS)
    tab.select(actions.choices, dataset, dataset, **IN_WORDS)
    later.click(actions.later_page, [dataset, shown, where], shows, **IN_WORDS)
    earlier.click(actions.earlier_page, [dataset, shown, where], shows, **IN_WORDS)
    wire_review(
        ReviewActions(services), board=board, dataset=dataset, counts=counts, undo=undo, app=app
    )
    tab.select(ReviewActions(services).counts, dataset, counts, **IN_WORDS)
    layout, button, result, report = export
    button.click(actions.export, [dataset, layout], [result, report], api_visibility="private", concurrency_limit=1,
                 show_progress_on=[report])  # fmt: skip
    return board


def _export_row() -> tuple[gr.Dropdown, gr.Button, gr.File, gr.HTML]:
    with gr.Row(elem_classes="df-export"):
        layout = gr.Dropdown(
            FORMATS, value=FORMATS[0][1], label="Export accepted images as", elem_id="export-format"
        )
        button = gr.Button("Export zip", elem_id="export", min_width=120, scale=0)
        report = plain_html(_EXPORT_NOTE, elem_id="export-report")
    result = gr.File(label="Download", interactive=False, elem_id="export-file")
    return layout, button, result, report
