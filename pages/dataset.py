"""The Dataset tab: the finished set leaves as one zip or comes back from one, and the probe asks whether it helps.

Images are looked at and judged in the Curate tab.
"""

from typing import TYPE_CHECKING

import gradio as gr

from pages.components.dataset_picker import counts_html, dataset_picker, wire_picker
from pages.components.web import plain_html
from pages.dataset_actions import FORMATS, DatasetActions
from pages.page import IN_WORDS, LATEST
from pages.probe_panel import probe_panel

if TYPE_CHECKING:
    from dermaflux.services import Services

_EXPORT_NOTE = (
    "Images with captions, measurements, provenance and a data card. For training splits only."
)
_STOPPED = "Stopped. Nothing of it was kept; what was exported before is still there."
_IMPORT_NOTE = "Takes a zip that was exported here as image folder back in, verdicts and all, or nothing of it."


def build(services: "Services", app: gr.Blocks, tab: gr.Tab) -> None:
    """Lay out the tab in the current Blocks context and wire it."""
    with gr.Row(elem_classes="df-bar"):
        dataset = dataset_picker(services.shared_datasets(), elem_id="dataset-name")
        counts = plain_html(counts_html(None), elem_id="dataset-counts")
    layout, button, stop, result, report = _export_row()
    probe_panel(services, dataset, tab)
    source, take_in, came_in = _import_row()
    actions = DatasetActions(services)
    wire_picker(services, dataset, app, tab)
    gr.on([app.load, tab.select, dataset.change], actions.counts, dataset, counts, **LATEST)
    running = button.click(
        actions.export, [dataset, layout], [result, report, stop], api_visibility="private", concurrency_limit=1,
        show_progress="hidden",
    )  # fmt: skip
    running.failure(_export_failed, None, [report, stop], **IN_WORDS)
    stop.click(_export_stopped, None, [report, stop], cancels=running, **IN_WORDS)
    coming = take_in.click(
        actions.take_in, [dataset, source], [came_in, source], api_visibility="private", concurrency_limit=1,
        show_progress="hidden",
    )  # fmt: skip
    coming.failure(_import_failed, None, came_in, **IN_WORDS)
    coming.then(actions.counts, dataset, counts, **IN_WORDS)


def _export_failed() -> tuple[str, gr.Button]:
    return _EXPORT_NOTE, gr.Button(interactive=False)


def _export_stopped() -> tuple[str, gr.Button]:
    return _STOPPED, gr.Button(interactive=False)


def _import_failed() -> str:
    return _IMPORT_NOTE


def _export_row() -> tuple[gr.Dropdown, gr.Button, gr.Button, gr.File, gr.HTML]:
    with gr.Row(elem_classes="df-export"):
        layout = gr.Dropdown(
            FORMATS, value=FORMATS[0][1], label="Export accepted images as", elem_id="export-format"
        )
        button = gr.Button("Export zip", elem_id="export", min_width=120, scale=0)
        stop = gr.Button("Stop", elem_id="export-stop", min_width=60, scale=0, interactive=False)
        report = plain_html(_EXPORT_NOTE, elem_id="export-report")
    result = gr.File(label="Download", interactive=False, elem_id="export-file")
    return layout, button, stop, result, report


def _import_row() -> tuple[gr.File, gr.Button, gr.HTML]:
    with gr.Row(elem_classes="df-export"):
        source = gr.File(label="Take in an exported zip", file_types=[".zip"], height=170, elem_id="import-file")
        button = gr.Button("Take in", elem_id="import", min_width=120, scale=0)
        report = plain_html(_IMPORT_NOTE, elem_id="import-report")
    return source, button, report
