"""What a LoRA changes: the same requests and seeds without and with it, judged by classifier and measurement.

`python -m benchmarks.adapter_effect --adapter rare --sheet docs/images/rare.png`

Each class is asked for as training pictures of it were measured. Real val pictures of the classes stand beside: what
the same judges say of them is the most that can be hoped for.
"""

import random
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tyro
from PIL import Image
from tqdm import tqdm

from dermaflux.classification import LesionClassifier
from dermaflux.domain.caption import compose
from dermaflux.domain.lesion import Diagnosis, LesionSpec
from dermaflux.domain.records import GeneratedImage, SamplingRequest, Split
from dermaflux.evaluation.adherence import spearman
from dermaflux.evaluation.quality import set_distance
from dermaflux.generation import Generator
from dermaflux.measurement.measurer import Measurer
from training.contact_sheet import draw_sheet
from training.nano_data import load_captioned, load_specs
from training.program import program

_SHOWN = 8  # pictures a row of the sheet
_REAL_PX = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class EffectOptions:
    """Which LoRA, on which classes, with how many images of each."""

    adapter: str
    model: str = "nano"
    diagnoses: tuple[str, ...] = ("df", "vasc", "akiec")
    num_images: int = 32
    """A class."""
    seed: int = 5000
    data_dir: Path = Path("../shared/data")
    measured: Path = Path("runs/measured_ham10000.csv")
    models_dir: Path = Path("assets/models")
    sheet: Path | None = None


class Judge:
    """The embedded judges, and the real pictures to compare with."""

    def __init__(self, options: EffectOptions) -> None:
        self._classifier = LesionClassifier.from_folder(options.models_dir / "classifier")
        self._measurer = Measurer.from_folder(options.models_dir)
        self.real = _real(options)
        self._reference = self._classifier.embed([image for images in self.real.values() for image in images])

    def recognised(self, diagnosis: Diagnosis, images: Sequence[Image.Image]) -> str:
        """How often the class is named first, and the mean of its probability."""
        said = [prediction.diagnosis for prediction in self._classifier.predict(images)]
        first = np.mean([max(one, key=one.__getitem__) == diagnosis for one in said])
        return f"named first {first:.2f}, mean P {np.mean([one[diagnosis] for one in said]):.2f}"

    def adherence(self, specs: Sequence[LesionSpec], images: Sequence[Image.Image]) -> str:
        """Spearman of what was asked for against what is measured."""
        pairs = [(s, m) for s, i in zip(specs, images, strict=True) if not (m := self._measurer.measure(i)).refused]
        both = {
            "asymmetry": [(spec.asymmetry, found.asymmetry) for spec, found in pairs],
            "border": [(spec.border, found.border) for spec, found in pairs],
            "colours": [(len(spec.colours), found.num_colours) for spec, found in pairs],
        }
        found = {name: spearman(*np.array(values, dtype=float).T) for name, values in both.items()}
        return ", ".join(f"{name} {value:.2f}" for name, value in found.items() if value is not None)

    def distance(self, images: Sequence[Image.Image]) -> str:
        """KID and diversity against the real val pictures of the same classes."""
        scale = np.sqrt(self._reference.shape[1])  # as `evaluate quality` does
        features = self._classifier.embed(images)
        found = set_distance(self._reference * scale, features * scale, np.random.default_rng(0))
        return f"KID {found.kid:.3f} (sd {found.kid_sd:.3f}), FID {found.fid:.2f}, diversity {found.diversity:.2f}"


def draw(options: EffectOptions, specs: Sequence[LesionSpec], adapter: str | None) -> list[Image.Image]:
    """One image for each spec, the same seeds whatever the adapter."""
    generator, rng = Generator.load(options.model), random.Random(options.seed)
    images = []
    for index, spec in enumerate(tqdm(specs, desc=f"adapter {adapter}", mininterval=5)):
        request = SamplingRequest(
            caption=compose(spec, rng), spec=spec, seed=options.seed + index, model=options.model, adapter=adapter
        )
        images += [event.image for event in generator.stream(request) if isinstance(event, GeneratedImage)]
    return images


@program
def main() -> None:
    """The command line."""
    options = tyro.cli(EffectOptions, description=__doc__)
    specs = _requests(options)
    judge = Judge(options)
    for diagnosis, images in judge.real.items():
        sys.stdout.write(f"real val, {len(images)} {diagnosis}: {judge.recognised(diagnosis, images)}\n")
    rows = []
    for adapter in (None, options.adapter):
        images = draw(options, specs, adapter)
        by_class = {d: [i for s, i in zip(specs, images, strict=True) if s.diagnosis == d] for d in judge.real}
        for diagnosis, some in by_class.items():
            sys.stdout.write(f"{adapter}, {len(some)} {diagnosis}: {judge.recognised(diagnosis, some)}\n")
            rows.append((f"{diagnosis} {'with' if adapter else 'without'}", some[:_SHOWN]))
        sys.stdout.write(f"{adapter}: {judge.distance(images)}; {judge.adherence(specs, images)}\n")
    if options.sheet:
        draw_sheet(sorted(rows, key=lambda row: row[0].split()[0]), tile_px=128).save(options.sheet)


def _requests(options: EffectOptions) -> list[LesionSpec]:
    rng = random.Random(options.seed)
    seen = load_specs(options.data_dir, options.measured, Split.TRAIN)
    return [
        spec
        for name in options.diagnoses
        for spec in rng.sample([spec for spec in seen if spec.diagnosis == name], options.num_images)
    ]


def _real(options: EffectOptions) -> dict[Diagnosis, list[Image.Image]]:
    """The val pictures of each class at the model's usual size, as the model was shown its training pictures."""
    pictures = load_captioned(options.data_dir, options.measured, Split.VAL, _REAL_PX, options.diagnoses)
    images = [Image.fromarray(image.permute(1, 2, 0).numpy()) for image in pictures.images]
    return {
        Diagnosis(name): [i for s, i in zip(pictures.specs, images, strict=True) if s.diagnosis == name]
        for name in options.diagnoses
    }


if __name__ == "__main__":
    sys.exit(main())
