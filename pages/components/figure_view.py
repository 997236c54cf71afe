"""A figure on a page: its name and what it says, the plot, its numbers as a table, and downloads as PNG, HTML and CSV.

The plot is drawn by the plotly that Gradio brings, so nothing is fetched from elsewhere. To a screen reader the plot is
one picture of that name and that description; figure_files.js ties them together. It knows no report.
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
_MOST_ROWS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class FigureView:
    """The components of one figure."""

    says: gr.HTML
    plot: gr.Plot
    numbers: gr.HTML
    files: gr.HTML

    @property
    def outputs(self) -> list[Any]:
        """What `shown` gives values for."""
        return [self.says, self.plot, self.numbers]


def figure_view(elem_id: str, alt: str, otherwise: str = "") -> FigureView:
    """An empty figure in the current context, and what stands in its place. alt: what it will show, in words."""
    with gr.Column(elem_classes="df-plot", elem_id=f"{elem_id}-box"):
        says = plain_html(_said("", otherwise), elem_id=f"{elem_id}-says")
        plot = gr.Plot(label=alt, show_label=False, container=False, elem_id=elem_id)
        numbers = plain_html("", elem_id=f"{elem_id}-numbers")
        files = gr.HTML(
            value="", html_template=read_web("figure_files.html"), js_on_load=read_web("figure_files.js"),
            apply_default_css=False, elem_id=f"{elem_id}-files", plot_id=elem_id, file=None,
        )  # fmt: skip
    return FigureView(says=says, plot=plot, numbers=numbers, files=files)


def shown(drawing: "Drawing | None", otherwise: str = "", *, with_numbers: bool = False) -> tuple[str, Any, str]:
    """The values of a view's outputs; without a drawing, a sentence in its place. with_numbers: the table is open."""
    if drawing is None:
        return _said("", otherwise), None, ""
    return _said(drawing.title, drawing.says), drawing.figure, _numbers_html(drawing, is_open=with_numbers)


def _said(title: str, text: str) -> str:
    """The words above a figure. Only those in its place are read out as they come: the curves of a run keep growing."""
    if not title:
        return f'<p class="df-says" role="status">{html.escape(text)}</p>'
    return f'<p class="df-plot-title">{html.escape(title)}</p><p class="df-says">{html.escape(text)}</p>'


def _numbers_html(drawing: "Drawing", *, is_open: bool) -> str:
    """The plotted numbers for who would rather read them; a long table is cut, and says so."""
    rows, total = drawing.rows[:_MOST_ROWS], len(drawing.rows)
    cut = "" if total <= _MOST_ROWS else f'<p class="df-says">The first {_MOST_ROWS} of {total:,}; the CSV has all.</p>'
    return (
        f'<details class="df-numbers"{" open" if is_open else ""}><summary>The numbers as a table</summary>'
        f"{table_html(drawing.header, rows, drawing.title)}{cut}</details>"
    )


def table_html(header: Sequence[str], rows: Sequence[Sequence[Any]], name: str) -> str:
    """A plain table that can be scrolled, also by keyboard; every text is escaped."""
    head = "".join(f'<th scope="col">{html.escape(str(column))}</th>' for column in header)
    body = "".join(f"<tr>{''.join(f'<td>{_cell(value)}</td>' for value in row)}</tr>" for row in rows)
    table = f'<table class="df-table"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'
    return f'<div class="df-scrolled" role="region" tabindex="0" aria-label="{html.escape(name)}">{table}</div>'


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    return html.escape(f"{value:.4g}" if isinstance(value, float) else str(value))


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
