"""A figure with the numbers it shows, and how it leaves the app: one HTML page without outside parts, or CSV.

Colours stand out (3:1 or more) from white paper and from the app's dark surface. It knows nothing of what is drawn.
"""

import csv
import html
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from dermaflux.domain.records import DISCLAIMER

COLOURS = ("#1c8a9c", "#cf5a50", "#a87a1c", "#5b7fd6", "#35935f", "#a569bd", "#76848f", "#c96f2a")
INK, GRID, QUIET = "#16212b", "#d9e0e6", "#76848f"
FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif'
_HEIGHT_PX = 440
_FOOT_PX = 36
"""Below the axes, for the statement; it comes on top of the height that a figure asks for."""
_ABOVE_FOOT = "<br> "
"""An empty line under the axis title: labels that are turned push it down, and without one onto the statement."""
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    """A plotly figure, the numbers in it as a table, and what it shows in words.

    name: what a file of it is called, without ending; title: the figure's name for people, also those who only hear it;
    says: what it shows with its main numbers.
    """

    name: str
    title: str
    figure: Any
    header: Sequence[str]
    rows: Sequence[Sequence[Any]]
    says: str = ""


def colour(index: int) -> str:
    """The colour of the n-th curve."""
    return COLOURS[index % len(COLOURS)]


def blank(x: str, y: str, *, height_px: int = _HEIGHT_PX) -> Any:
    """An empty figure with named axes, on white paper."""
    from plotly import graph_objects

    figure = graph_objects.Figure()
    dress(figure, height_px)
    figure.update_xaxes(title={"text": f"{x}{_ABOVE_FOOT}", "standoff": 12})
    figure.update_yaxes(title=y)
    return figure


def dress(figure: Any, height_px: int = _HEIGHT_PX) -> None:
    """Give a figure the look of all others."""
    figure.update_layout(
        template="none", height=height_px + _FOOT_PX, paper_bgcolor="#ffffff", plot_bgcolor="#ffffff",
        font={"family": FONT, "size": 13, "color": INK}, margin={"l": 64, "r": 20, "t": 28, "b": 56 + _FOOT_PX},
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0, "bgcolor": "rgba(0,0,0,0)"},
        hoverlabel={"font": {"family": FONT}},
        title={  # at the foot, so that the statement is in the picture too, however it is taken out of the app
            "text": DISCLAIMER, "font": {"size": 10, "color": QUIET}, "xref": "container", "x": 0, "xanchor": "left",
            "yref": "container", "y": 0, "yanchor": "bottom", "pad": {"l": 8, "b": 4}, "automargin": False,
        },
    )  # fmt: skip
    lines = {"gridcolor": GRID, "linecolor": GRID, "zeroline": False, "automargin": True}
    figure.update_xaxes(**lines)
    figure.update_yaxes(**lines)


def page_html(drawing: Drawing) -> str:
    """A page that shows the figure anywhere, also without a network."""
    plot = drawing.figure.to_html(full_html=False, include_plotlyjs=True, config={"displaylogo": False})
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{html.escape(drawing.title)}</title></head>'
        f'<body style="font-family:sans-serif;margin:24px"><h1 style="font-size:20px" id="title">'
        f'{html.escape(drawing.title)}</h1><p id="says">{html.escape(drawing.says)}</p>'
        f'<div role="figure" aria-labelledby="title" aria-describedby="says">{plot}</div>'
        f"<p><strong>{html.escape(DISCLAIMER)}</strong></p></body></html>"
    )


def csv_text(drawing: Drawing) -> str:
    """The numbers as CSV, each row with the statement; what a spreadsheet takes for a formula gets an apostrophe."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([*drawing.header, "statement"])
    writer.writerows([[*map(_cell, row), DISCLAIMER] for row in drawing.rows])
    return out.getvalue()


def _cell(value: Any) -> Any:
    if value is None:
        return ""
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value
