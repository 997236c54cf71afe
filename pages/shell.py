"""The one page: header, notice, tabs. Each tab is built by its own module; this one only sets them side by side."""

import html
from typing import TYPE_CHECKING

import gradio as gr

from pages import about, dataset, evaluate, generate, train
from pages.api import add_api
from pages.components.web import plain_html, read_web
from pages.page import IN_WORDS, disclaimer

if TYPE_CHECKING:
    from dermaflux.services import Services
    from dermaflux.services.limits import DiskUse

TITLE = "DermaFlux"
_KEEP_CACHE_S = 24 * 3600


def build_app(services: "Services") -> gr.Blocks:
    """The app over these services; nothing is launched and no model is loaded."""
    with gr.Blocks(
        title=TITLE, analytics_enabled=False, delete_cache=(3600, _KEEP_CACHE_S), fill_width=True
    ) as app:
        plain_html(_header(services.settings.model))
        disclaimer()
        disk_note = plain_html("", elem_id="disk-note")
        app.load(lambda: disk_note_html(services.disk_use()), outputs=disk_note, **IN_WORDS)
        add_api(services)
        with gr.Tabs(elem_id="tabs"):
            with gr.Tab("Generate", id="generate") as generate_tab:
                generate.build(services, app, generate_tab)
            with gr.Tab("Dataset", id="dataset") as dataset_tab:
                dataset.build(services, app, dataset_tab)
            with gr.Tab("Train", id="train") as train_tab:
                train.build(services, app, train_tab)
            with gr.Tab("Evaluate", id="evaluate") as evaluate_tab:
                evaluate.build(services, app, evaluate_tab)
            with gr.Tab("About and limits", id="about"):
                about.build()
    return app


def disk_note_html(use: "DiskUse | None") -> str:
    """What is said above the tabs when the disk budget is nearly used up, else nothing."""
    warning = use and use.warning
    return f'<p class="df-notice" role="alert"><span>{html.escape(warning)}</span></p>' if warning else ""


def _header(model: str) -> str:
    return read_web("header.html").replace("{{model}}", html.escape(model))
