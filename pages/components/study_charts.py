"""Two drawings of a reader study as SVG: accuracies with their intervals, and the readers' ROC curves.

Colours come from the style sheet, so both themes fit. Every text is escaped.
"""

import html
from collections.abc import Sequence
from dataclasses import dataclass

_ROW, _LEFT, _WIDE, _RIGHT, _TOP = 24, 150, 380, 100, 22
_SIDE, _EDGE = 240, 34
Point = tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class IntervalRow:
    """A share with its interval, all 0..1; `is_group` sets it off from single readers."""

    label: str
    value: float
    low: float
    high: float
    is_group: bool


def interval_chart(rows: Sequence[IntervalRow]) -> str:
    """Accuracies beside the line of guessing, as an SVG."""
    height = _TOP + _ROW * len(rows) + 26
    bottom = _TOP + _ROW * len(rows)
    lines = "".join(
        f'<path class="{"guess" if share == 50 else "grid"}" d="M{_x(share / 100)} {_TOP - 6}V{bottom}"/>'
        f'<text class="soft" x="{_x(share / 100)}" y="{bottom + 16}" text-anchor="middle">{share} %</text>'
        for share in (0, 25, 50, 75, 100)
    )
    said = "; ".join(f"{row.label} {_percent(row.value)}" for row in rows)
    return (
        f'<svg viewBox="0 0 {_LEFT + _WIDE + _RIGHT} {height}" role="img" '
        f'aria-label="Right answers: {html.escape(said)}. Guessing gives 50 %.">'
        f'<text class="soft" x="{_x(0.5)}" y="11" text-anchor="middle">guessing</text>{lines}'
        f"{''.join(_interval(row, _TOP + _ROW * (n + 0.5)) for n, row in enumerate(rows))}</svg>"
    )


def roc_chart(readers: Sequence[Sequence[Point]], mean: Sequence[Point], area: str) -> str:
    """The curves of single readers, and their mean, as an SVG; area: the mean's AUC in words."""
    side = _SIDE + 2 * _EDGE
    curves = "".join(f'<path class="one" d="{_path(curve)}"/>' for curve in readers)
    frame = f"M{_EDGE} {_EDGE}h{_SIDE}v{_SIDE}h-{_SIDE}z"
    middle, end = _EDGE + _SIDE / 2, _EDGE + _SIDE
    return (
        f'<svg class="df-roc" viewBox="0 0 {side} {side}" role="img" aria-label="ROC curves of the readers. '
        f'{html.escape(area)}"><path class="grid" d="{frame}"/>'
        f'<path class="guess" d="M{_EDGE} {end}L{end} {_EDGE}"/>{curves}<path class="all" d="{_path(mean)}"/>'
        f'<text x="{end - 8}" y="{end - 12}" text-anchor="end">{html.escape(area)}</text>'
        f'<text class="soft" x="{middle}" y="{end + 22}" text-anchor="middle">real taken for synthetic</text>'
        f'<text class="soft" transform="translate({_EDGE - 14} {middle}) rotate(-90)" text-anchor="middle">'
        "synthetic found</text></svg>"
    )


def _interval(row: IntervalRow, y: float) -> str:
    kind, radius = ("all", 5) if row.is_group else ("one", 4)
    return (
        f'<text x="{_LEFT - 12}" y="{y + 4}" text-anchor="end">{html.escape(_short(row.label))}</text>'
        f'<path class="{kind}" d="M{_x(row.low)} {y}H{_x(row.high)}"/>'
        f'<circle class="dot is-{kind}" cx="{_x(row.value)}" cy="{y}" r="{radius}"/>'
        f'<text x="{_LEFT + _WIDE + 14}" y="{y + 4}">{_percent(row.value)}</text>'
    )


def _path(curve: Sequence[Point]) -> str:
    return "M" + "L".join(f"{_EDGE + _SIDE * x:.1f} {_EDGE + _SIDE * (1 - y):.1f}" for x, y in curve)


def _x(share: float) -> float:
    return round(_LEFT + _WIDE * share, 1)


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _short(label: str) -> str:
    return label if len(label) <= 22 else label[:21] + "…"
