"""One picture of what the sliders do: each moved alone from the middle of a nevus, without and with contrast.

`python -m benchmarks.control_sheet --out docs/images/control.png`. The columns are the levels, one seed throughout.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import tyro
from PIL import Image

from dermaflux.domain.caption import ASYMMETRY_WORDS, BORDER_WORDS, compose
from dermaflux.domain.lesion import Diagnosis, LesionSpec, typical_colours
from dermaflux.domain.records import GeneratedImage, SamplingRequest
from dermaflux.evaluation.adherence import middle_spec
from dermaflux.generation import Generator
from training.contact_sheet import draw_sheet
from training.program import program


@dataclass(frozen=True, slots=True, kw_only=True)
class SheetOptions:
    """What is drawn, and where it goes."""

    out: Path = Path("docs/images/control.png")
    model: str = "nano"
    diagnosis: Diagnosis = Diagnosis.NV
    seeds: tuple[int, ...] = (200, 204)
    tile_px: int = 128


def sweeps(diagnosis: Diagnosis) -> Iterator[tuple[str, list[LesionSpec]]]:
    """Each slider with the lesions of its levels."""
    middle = middle_spec(diagnosis)
    yield "asymmetry", [replace(middle, asymmetry=level) for level in ASYMMETRY_WORDS]
    yield "border", [replace(middle, border=level) for level in BORDER_WORDS]
    yield "colours", [replace(middle, colours=typical_colours(count, diagnosis)) for count in (1, 2, 3, 4, 5)]


def rows(options: SheetOptions) -> Iterator[tuple[str, list[Image.Image]]]:
    """A row for each slider, seed and contrast."""
    generator = Generator.load(options.model)
    for name, specs in sweeps(options.diagnosis):
        for seed in options.seeds:
            for contrast, word in ((0.0, "without"), (None, "contrast")):
                requests = [
                    SamplingRequest(
                        caption=compose(s), spec=s, seed=seed, model=options.model, contrast_scale=contrast
                    )
                    for s in specs
                ]
                events = (event for request in requests for event in generator.stream(request))
                yield f"{name}, {word}", [event.image for event in events if isinstance(event, GeneratedImage)]


@program
def main() -> None:
    """The command line."""
    options = tyro.cli(SheetOptions, description=__doc__)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    draw_sheet(list(rows(options)), options.tile_px).save(options.out)


if __name__ == "__main__":
    main()
