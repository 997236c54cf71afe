"""A sweep as one picture: headings, images, and under each what was found on it. It knows pixels, and no model."""

import io
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

from PIL import Image, ImageDraw, ImageFont, ImageOps
from PIL.PngImagePlugin import PngInfo

from dermaflux.domain.records import DISCLAIMER, StoredImage
from dermaflux.domain.sweep import Sweep
from dermaflux.services.records import assessment_of
from dermaflux.services.strip_sheet import strip_sheet

_TILE_PX, _GAP_PX, _SIDE_PX, _HEAD_PX, _LINE_PX, _FOOT_PX = 160, 8, 132, 40, 16, 44
_TEXT_PX = 12
_INK, _SOFT, _EMPTY = "#1b2530", "#5b6875", "#eef1f4"
_CELL_PX = (_TILE_PX + _GAP_PX, _TILE_PX + 2 * _LINE_PX + _GAP_PX)


@dataclass(frozen=True, slots=True, kw_only=True)
class SheetCell:
    """What a sheet shows of one image; a number that was refused is None."""

    picture: Image.Image
    measured: tuple[float | None, float | None, int | None]
    malignant: float | None
    threshold: float | None
    heading: str = ""

    @classmethod
    def of(cls, stored: StoredImage, picture: Image.Image) -> Self:
        """The cell of a stored image."""
        found = assessment_of(stored)
        measured = (found.measurement.asymmetry, found.measurement.border, found.measurement.num_colours)
        return cls(
            picture=picture,
            measured=measured,
            malignant=found.prediction.malignant,
            threshold=found.prediction.threshold,
        )

    @property
    def lines(self) -> tuple[str, str]:
        """The two lines under the picture."""
        words = (f"{name} {'–' if n is None else f'{n:.1f}'}" for name, n in zip("AB", self.measured, strict=False))
        colours = self.measured[2]
        share = "–" if self.malignant is None else f"{self.malignant:.2f}"
        return f"{'  '.join(words)}  C {'–' if colours is None else colours}", f"P(malignant) {share}"


def sheet_png(sweep: Sweep, cells: Sequence[SheetCell]) -> bytes:
    """The sheet of a sweep's finished cells, in their order, as a PNG that says that it is synthetic.

    One row along a slider has its probability as a curve below instead of numbers.
    """
    if sweep.rows:
        sheet = _grid_sheet(sweep, cells)
    else:
        sheet = strip_sheet([_headed(cell, sweep, place) for place, cell in enumerate(cells)])
    about, content = PngInfo(), io.BytesIO()
    about.add_itxt("Description", DISCLAIMER)
    sheet.save(content, "PNG", pnginfo=about)
    return content.getvalue()


def _headed(cell: SheetCell, sweep: Sweep, place: int) -> SheetCell:
    name = sweep.columns.axis.label.removeprefix("number of ")
    return replace(cell, heading=f"{name} {sweep.columns.heading(place)}")


def _grid_sheet(sweep: Sweep, cells: Sequence[SheetCell]) -> Image.Image:
    assert sweep.rows is not None, "a strip has a sheet of its own"
    num_columns, num_rows = len(sweep.columns.values), len(sweep.rows.values)
    width = _SIDE_PX + num_columns * _CELL_PX[0] + _GAP_PX
    sheet = Image.new("RGB", (max(560, width), _HEAD_PX + num_rows * _CELL_PX[1] + _FOOT_PX), "white")
    draw = ImageDraw.Draw(sheet)
    draw.font = ImageFont.load_default(size=_TEXT_PX)
    _draw_headings(draw, sweep)
    for place in range(num_rows * num_columns):
        left = _SIDE_PX + place % num_columns * _CELL_PX[0]
        top = _HEAD_PX + place // num_columns * _CELL_PX[1]
        if place >= len(cells):
            draw.rectangle([left, top, left + _TILE_PX - 1, top + _TILE_PX - 1], fill=_EMPTY)
            continue
        sheet.paste(ImageOps.fit(cells[place].picture.convert("RGB"), (_TILE_PX, _TILE_PX)), (left, top))
        for line, text in enumerate(cells[place].lines):
            draw.text((left, top + _TILE_PX + 2 + line * _LINE_PX), text, fill=_INK if line else _SOFT)
    for line, text in enumerate(("All else held. A asymmetry, B border, C colours as measured.", DISCLAIMER)):
        draw.text((_GAP_PX, sheet.height - _FOOT_PX + 6 + line * _LINE_PX), text, fill=_SOFT)
    return sheet


def _draw_headings(draw: ImageDraw.ImageDraw, sweep: Sweep) -> None:
    assert sweep.rows is not None
    draw.text((_SIDE_PX, 4), sweep.columns.axis.label, fill=_SOFT)
    for place in range(len(sweep.columns.values)):
        draw.text((_SIDE_PX + place * _CELL_PX[0], 20), sweep.columns.heading(place), fill=_INK)
    draw.text((_GAP_PX, 20), sweep.rows.axis.label, fill=_SOFT)
    for place in range(len(sweep.rows.values)):
        draw.text((_GAP_PX, _HEAD_PX + place * _CELL_PX[1] + _TILE_PX / 2), sweep.rows.heading(place), fill=_INK)
