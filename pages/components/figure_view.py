"""A figure on a page: the plot, what it says, and its downloads as PNG, HTML and CSV.

The plot is drawn by the plotly that Gradio brings, so nothing is fetched from elsewhere. It knows no report.
"""

import html
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import gradio as gr

from dermaflux.domain.roles import Role
from pages.components.web import plain_html, read_web
from pages.page import IN_WORDS, in_words, visitor_of

if TYPE_CHECKING:
    from dermaflux.figures import Drawing
    from dermaflux.services import Services

_numbers = itertools.count(1)
_TYPES = {"html": "text/html", "csv": "text/csv"}


@dataclass(frozen=True, slots=True, kw_only=True)
class FigureView:
    """The components of one figure."""

    plot: gr.Plot
    says: gr.HTML
    files: gr.HTML

    @property
    def outputs(self) -> list[Any]:
        """What `shown` gives values for."""
        return [self.plot, self.says]


def figure_view(elem_id: str, alt: str, otherwise: str = "") -> FigureView:
    """An empty figure in the current context, and what stands in its place. alt: what it will show, in words."""
    with gr.Column(elem_classes="df-plot", elem_id=f"{elem_id}-box"):
        plot = gr.Plot(label=alt, show_label=False, container=False, elem_id=elem_id)
        says = plain_html(_said(otherwise), elem_id=f"{elem_id}-says")
        files = gr.HTML(
            value="", html_template=read_web("figure_files.html"), js_on_load=read_web("figure_files.js"),
            apply_default_css=False, elem_id=f"{elem_id}-files", plot_id=elem_id, file=None,
        )  # fmt: skip
    return FigureView(plot=plot, says=says, files=files)


def shown(drawing: "Drawing | None", otherwise: str = "") -> tuple[Any, str]:
    """The values of a view's outputs; without a drawing, a sentence in its place."""
    text = otherwise if drawing is None else drawing.says
    return None if drawing is None else drawing.figure, _said(text)


def _said(text: str) -> str:
    return f'<p class="df-says" role="status">{html.escape(text)}</p>'


def wire_downloads(
    services: "Services", view: FigureView, draw: Callable[..., "Drawing"], inputs: Sequence[Any]
) -> None:
    """Answer the download buttons with what `draw(visitor, *inputs)` draws."""
    from dermaflux.figures import csv_text, page_html

    @in_words
    def asked(evt: gr.EventData, request: gr.Request, *values: Any) -> Any:
        visitor = visitor_of(services, request).require(Role.VIEWER, "download a figure")
        drawing = draw(visitor, *values)
        text = csv_text(drawing) if evt.kind == "csv" else page_html(drawing)
        kind = "csv" if evt.kind == "csv" else "html"
        return gr.HTML(
            file={"name": f"{drawing.name}.{kind}", "type": _TYPES[kind], "text": text, "number": next(_numbers)}
        )

    view.files.asked(asked, list(inputs), view.files, **IN_WORDS)
