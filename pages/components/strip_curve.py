"""What was found along a strip, drawn under its images: P(malignant) with the operating point, and the measure itself.

Our own SVG in the colours of the page, one column an image, with the same said in words. Pure: numbers in, HTML out.
"""

import html
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

_WIDTH, _HEIGHT, _TOP, _BOTTOM = 1000, 150, 12, 10
_STEADY, _MOSTLY = 0.9, 0.5

Point = tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """One figure along the strip; None where it was refused or is not there yet.

    `limit` is a line across, `asked` what was requested, drawn beside what was found; rho is Spearman's.
    """

    name: str
    found: Sequence[float | None]
    highest: float
    rho: float | None
    limit: float | None = None
    asked: Sequence[float] | None = None

    @property
    def known(self) -> list[tuple[int, float]]:
        """The columns and values that are there."""
        return [(column, value) for column, value in enumerate(self.found) if value is not None]


def strip_curves(attribute: str, headings: Sequence[str], probability: Curve, measured: Curve) -> str:
    """The curves of what was found and what they say; in words alone where every image so far was refused."""
    figures = "".join(_figure(curve, headings) for curve in (probability, measured) if curve.known)
    words = "".join(f"<p>{html.escape(text)}</p>" for text in _words(attribute, headings, probability, measured))
    return f'<div class="df-curves">{figures}<div class="df-curve-words" role="status">{words}</div></div>'


def trend_words(rho: float | None) -> str:
    """What a rank correlation says, in two words."""
    if rho is None:
        return "too few values to say"
    if abs(rho) < _MOSTLY:
        return "does not follow"
    return f"{'rises' if rho > 0 else 'falls'} {'steadily' if abs(rho) >= _STEADY else 'mostly'}"


def _words(attribute: str, headings: Sequence[str], probability: Curve, measured: Curve) -> list[str]:
    span = f"{attribute} from {headings[0]} to {headings[-1]}"
    said = []
    for curve in (probability, measured):
        if not curve.known:
            said.append(f"{curve.name}: refused on every image so far.")
            continue
        digits = 2 if curve is probability else 1
        ends = f"{curve.known[0][1]:.{digits}f} to {curve.known[-1][1]:.{digits}f}"
        figure = "" if curve.rho is None else f"; Spearman {curve.rho:+.2f} over {len(curve.known)} images"
        said.append(f"{curve.name} along {span}: {trend_words(curve.rho)}, {ends}{figure}.")
    if crossing := _crossing(headings, probability):
        said.append(crossing)
    return [*said, "One seed is one lesion: look at several before you call it a rule. Not a diagnosis."]


def _crossing(headings: Sequence[str], curve: Curve) -> str | None:
    limit = curve.limit
    if limit is None:
        return None
    sides = [(column, value >= limit) for column, value in curve.known]
    turns = [(a, b) for (a, below), (b, above) in pairwise(sides) if below is not above]
    if not turns:
        return None
    places = ", ".join(f"between {headings[a]} and {headings[b]}" for a, b in turns)
    return f"It crosses the operating point of {limit:.2f} {places}."


def _figure(curve: Curve, headings: Sequence[str]) -> str:
    columns = len(headings)
    marks = "".join(_mark(curve, share) for share in (0.0, 0.5, 1.0))
    across = [] if curve.limit is None else [(0, curve.limit), (columns, curve.limit)]
    limit = _line(curve, across, "limit", 0.0, columns)
    asked = _line(curve, list(enumerate(curve.asked or ())), "asked", 0.5, columns)
    runs = "".join(_line(curve, run, "found", 0.5, columns) for run in _runs(curve.found))
    dots = "".join(_dot(curve, column, value, columns) for column, value in curve.known)
    values = ", ".join(f"{headings[column]}: {value:.2f}" for column, value in curve.known)
    return (
        f'<figure class="df-curve"><figcaption>{html.escape(curve.name)}{_key(curve)}</figcaption>'
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{html.escape(f"{curve.name}: {values}")}">'
        f"{marks}{limit}{asked}{runs}{dots}</svg></figure>"
    )


def _key(curve: Curve) -> str:
    limit = "" if curve.limit is None else f'<span class="is-limit">operating point {curve.limit:.2f}</span>'
    return limit + ("" if curve.asked is None else '<span class="is-asked">requested</span>')


def _runs(found: Sequence[float | None]) -> list[list[Point]]:
    """The stretches without a gap."""
    runs: list[list[Point]] = [[]]
    for column, value in enumerate(found):
        if value is None:
            runs.append([])
        else:
            runs[-1].append((column, value))
    return [run for run in runs if len(run) > 1]


def _line(curve: Curve, points: Sequence[Point], kind: str, shift: float, columns: int) -> str:
    places = " ".join(f"{_x(column + shift, columns):.1f},{_y(curve, value):.1f}" for column, value in points)
    return f'<polyline class="is-{kind}" points="{places}"/>' if places else ""


def _dot(curve: Curve, column: int, value: float, columns: int) -> str:
    x, y = _x(column + 0.5, columns), _y(curve, value)
    text_y = y - 9 if y - _TOP > 20 else y + 20
    text = f"{value:.2f}" if curve.highest <= 1 else f"{value:.1f}"
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4.5"/><text x="{x:.1f}" y="{text_y:.1f}">{text}</text>'


def _mark(curve: Curve, share: float) -> str:
    y = _y(curve, share * curve.highest)
    return (
        f'<line class="is-mark" x1="28" x2="{_WIDTH}" y1="{y:.1f}" y2="{y:.1f}"/>'
        f'<text class="is-mark" x="22" y="{y + 4:.1f}">{share * curve.highest:g}</text>'
    )


def _x(place: float, columns: int) -> float:
    return place / columns * _WIDTH


def _y(curve: Curve, value: float) -> float:
    share = min(1.0, max(0.0, value / curve.highest))
    return _TOP + (1 - share) * (_HEIGHT - _TOP - _BOTTOM)
