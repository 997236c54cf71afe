"""A strip as one picture: the images in a row, under them P(malignant) as a curve. It knows pixels, and no model."""

from collections.abc import Sequence
from textwrap import wrap
from typing import Protocol

from PIL import Image, ImageDraw, ImageFont, ImageOps

from dermaflux.domain.records import DISCLAIMER


class SheetStep(Protocol):
    """One image of a strip: a `StripStep`, or a stored image of a sweep."""

    @property
    def picture(self) -> Image.Image:
        """Its pixels."""
        ...

    @property
    def heading(self) -> str:
        """What moved, and how far."""
        ...

    @property
    def malignant(self) -> float | None:
        """P(malignant), None where it was refused."""
        ...

    @property
    def threshold(self) -> float | None:
        """The classifier's operating point, None where it was refused."""
        ...


_TILE_PX, _GAP_PX = 160, 8
_PLOT_PX, _LABEL_PX, _MARGIN_PX, _LINE_PX = 120, 20, 44, 16
_DOT_PX, _TEXT_PX = 4, 12
_INK, _SOFT, _LINE, _CURVE, _LIMIT = "#1b2530", "#5b6875", "#d8dee4", "#2b6cb0", "#b7791f"
_LETTER_PX = 6.5  # of a line of text, on average and a little more
_MIN_WIDTH_PX = 560

Point = tuple[float, float]


def strip_sheet(steps: Sequence[SheetStep]) -> Image.Image:
    """The images left to right, the value asked for under each, and the curve on 0..1 below; a refusal leaves a gap."""
    width = _MARGIN_PX + len(steps) * (_TILE_PX + _GAP_PX) + _GAP_PX
    top = _GAP_PX + _TILE_PX + _LABEL_PX + _GAP_PX
    whole = max(width, _MIN_WIDTH_PX)
    foot = wrap(f"All of one seed. Dashed: the operating point. {DISCLAIMER}", int(whole / _LETTER_PX))
    height = top + _PLOT_PX + 2 * _GAP_PX + len(foot) * _LINE_PX
    sheet = Image.new("RGB", (whole, height), "white")
    draw = ImageDraw.Draw(sheet)
    draw.font = ImageFont.load_default(size=_TEXT_PX)
    for index, step in enumerate(steps):
        tile = ImageOps.fit(step.picture.convert("RGB"), (_TILE_PX, _TILE_PX))
        sheet.paste(tile, (_left(index), _GAP_PX))
        draw.text((_centre(index), _GAP_PX + _TILE_PX + 3), step.heading, fill=_INK, anchor="ma")
    _draw_axis(draw, top, width)
    _draw_limit(draw, steps, top, width)
    _draw_curve(draw, steps, top)
    draw.multiline_text((_GAP_PX, top + _PLOT_PX + _GAP_PX), "\n".join(foot), fill=_SOFT)
    return sheet


def _left(index: int) -> int:
    return _MARGIN_PX + index * (_TILE_PX + _GAP_PX)


def _centre(index: int) -> float:
    return _left(index) + _TILE_PX / 2


def _height(probability: float, top: int) -> float:
    return top + (1 - probability) * _PLOT_PX


def _draw_axis(draw: ImageDraw.ImageDraw, top: int, width: int) -> None:
    for mark in (0.0, 0.5, 1.0):
        y = _height(mark, top)
        draw.line([(_MARGIN_PX, y), (width - _GAP_PX, y)], fill=_LINE)
        draw.text((_MARGIN_PX - 6, y), f"{mark:g}", fill=_SOFT, anchor="rm")


def _draw_limit(draw: ImageDraw.ImageDraw, steps: Sequence[SheetStep], top: int, width: int) -> None:
    threshold = next((t for step in steps if (t := step.threshold) is not None), None)
    if threshold is not None:
        y = _height(threshold, top)
        for x in range(_MARGIN_PX, width - _GAP_PX, 8):
            draw.line([(x, y), (x + 3, y)], fill=_LIMIT)


def _draw_curve(draw: ImageDraw.ImageDraw, steps: Sequence[SheetStep], top: int) -> None:
    before: Point | None = None
    for index, step in enumerate(steps):
        if step.malignant is None:
            before = None
            continue
        x, y = here = (_centre(index), _height(step.malignant, top))
        if before:
            draw.line([before, here], fill=_CURVE, width=2)
        draw.ellipse([x - _DOT_PX, y - _DOT_PX, x + _DOT_PX, y + _DOT_PX], fill=_CURVE)
        above = y - top > _LABEL_PX
        place, anchor = ((x, y - 7), "mb") if above else ((x, y + 7), "mt")
        draw.text(place, f"{step.malignant:.2f}", fill=_INK, anchor=anchor)
        before = here
