"""Sheets to judge a generator by eye: every diagnosis by seed, and what was asked for at both ends.

    python -m training.contact_sheet --model assets/models/nano --out docs/images/nano_contact_sheet.png

A sheet of real pictures beside it, for comparison, goes to an ignored folder and is never committed.
"""

import random
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import tyro
from PIL import Image, ImageDraw, ImageFont

from dermaflux.domain.caption import compose
from dermaflux.domain.lesion import HAM_DIAGNOSES, Diagnosis, LesionSpec, typical_colours
from dermaflux.domain.records import GeneratedImage, SamplingRequest, Split
from dermaflux.generation import Generator
from training.dataset import LesionDataset, load_ham10000
from training.lesion_records import without_masks
from training.pictures import centre_square
from training.program import program

_MARGIN_PX, _LABEL_PX = 4, 150
_TYPICAL = {  # asymmetry, border, number of colours: about the median of each class in training
    Diagnosis.NV: (0.5, 2, 2),
    Diagnosis.BKL: (1.0, 4, 3),
    Diagnosis.DF: (0.5, 4, 2),
    Diagnosis.VASC: (0.5, 2, 1),
    Diagnosis.MEL: (1.5, 6, 4),
    Diagnosis.BCC: (1.0, 4, 3),
    Diagnosis.AKIEC: (1.5, 6, 3),
}
_PLAINEST = LesionSpec(
    asymmetry=0, border=0, colours=typical_colours(1, Diagnosis.NV), diagnosis=Diagnosis.NV
)
_WILDEST = LesionSpec(
    asymmetry=2, border=8, colours=typical_colours(5, Diagnosis.MEL), diagnosis=Diagnosis.MEL
)
_EXTREMES = (("nevus A0 B0 C1", _PLAINEST), ("melanoma A2 B8 C5", _WILDEST))


@dataclass(frozen=True, slots=True, kw_only=True)
class SheetConfig:
    """Where the model is and where the sheets go; real_out makes the sheet of real training pictures too."""

    model: str = "nano"
    out: Path = Path("docs/images/nano_contact_sheet.png")
    num_seeds: int = 6
    guidance_scale: float | None = None
    num_steps: int | None = None
    tile_px: int = 128
    real_out: Path | None = None
    data_dir: Path = Path("../shared/data")


def generated_rows(config: SheetConfig) -> list[tuple[str, list[Image.Image]]]:
    """A labelled row of `num_seeds` samples for each diagnosis, then the two extremes."""
    generator = Generator.load(config.model)
    specs = [(d.label, _typical(d)) for d in HAM_DIAGNOSES] + list(_EXTREMES)
    return [(label, _samples(generator, config, spec)) for label, spec in specs]


def real_rows(config: SheetConfig) -> list[tuple[str, list[Image.Image]]]:
    """Real training pictures of each diagnosis, drawn with a fixed seed."""
    dataset = load_ham10000(config.data_dir, 224, centre_square(config.tile_px)).split(Split.TRAIN)
    rows, rng = [], random.Random(0)
    for diagnosis in HAM_DIAGNOSES:
        records = [without_masks(r) for r in dataset.records if r.diagnosis == diagnosis]
        part = LesionDataset(rng.sample(records, config.num_seeds), dataset.source, dataset.fit)
        rows.append((diagnosis.label, [image for image, _, _ in part]))
    return rows


def draw_sheet(rows: Sequence[tuple[str, Sequence[Image.Image]]], tile_px: int) -> Image.Image:
    """The rows as one picture, each with its label on the left."""
    columns = max(len(tiles) for _, tiles in rows)
    pitch = tile_px + _MARGIN_PX
    sheet = Image.new("RGB", (_LABEL_PX + columns * pitch, len(rows) * pitch + _MARGIN_PX), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(14)
    for row, (label, tiles) in enumerate(rows):
        top = _MARGIN_PX + row * pitch
        draw.text((8, top + tile_px // 2 - 8), label, fill="black", font=font)
        for column, tile in enumerate(tiles):
            sheet.paste(tile.resize((tile_px, tile_px)), (_LABEL_PX + column * pitch, top))
    return sheet


def _typical(diagnosis: Diagnosis) -> LesionSpec:
    asymmetry, border, count = _TYPICAL[diagnosis]
    return LesionSpec(
        asymmetry=asymmetry, border=border, colours=typical_colours(count, diagnosis), diagnosis=diagnosis
    )


def _samples(generator: Generator, config: SheetConfig, spec: LesionSpec) -> list[Image.Image]:
    request = SamplingRequest(
        caption=compose(spec),
        spec=spec,
        num_images=config.num_seeds,
        model=config.model,
        guidance_scale=config.guidance_scale,
        num_steps=config.num_steps,
    )
    return _finished(generator.stream(request))


def _finished(stream: Iterable[object]) -> list[Image.Image]:
    return [item.image for item in stream if isinstance(item, GeneratedImage)]


@program
def main() -> None:
    """The command line."""
    config = tyro.cli(SheetConfig, description=__doc__)
    config.out.parent.mkdir(parents=True, exist_ok=True)
    draw_sheet(generated_rows(config), config.tile_px).save(config.out)
    if config.real_out:
        config.real_out.parent.mkdir(parents=True, exist_ok=True)
        draw_sheet(real_rows(config), config.tile_px).save(config.real_out)


if __name__ == "__main__":
    sys.exit(main())
