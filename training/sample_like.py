"""One image for each of a sample of real pictures, asked to show what that picture was measured to show.

    python -m training.sample_like --model nano --num-images 300 --out runs/like/nano
    python -m dermaflux evaluate quality runs/like/nano --real ham10000_224.zip --split val

The set then has the real pictures' mix of diagnoses and attributes, so that a distance between the two says how the
images look and not what was asked for. It judges nothing, and writes no real picture.
"""

import random
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import tyro
from tqdm import tqdm

from dermaflux.domain.caption import compose
from dermaflux.domain.lesion import LesionSpec
from dermaflux.domain.records import GeneratedImage, SamplingRequest, Split
from dermaflux.generation import Generator
from dermaflux.provenance import from_generated, png_bytes
from training.nano_data import load_specs
from training.program import program


@dataclass(frozen=True, slots=True, kw_only=True)
class LikeConfig:
    """Which pictures are followed, and with what. Steps, guidance and contrast are the model's own when not given."""

    model: str = "nano"
    adapter: str | None = None
    adapter_weight: float = 1.0
    num_images: int = 300
    split: Split = Split.VAL
    seed: int = 0
    num_steps: int | None = None
    guidance_scale: float | None = None
    contrast_scale: float | None = None
    precision: str = "auto"
    """As DERMAFLUX_PRECISION: int8 is onnxruntime's, of a model that says it was checked."""
    exports: Path = Path("runs/exports")
    """Where the exported transformer of int8 is kept."""
    data_dir: Path = Path("../shared/data")
    measured: Path = Path("runs/measured_ham10000.csv")
    out: Path = Path("runs/like/nano")


def requests_like(specs: Sequence[LesionSpec], config: LikeConfig) -> Iterator[SamplingRequest]:
    """A request for each of `num_images` lesions drawn without repeats, each with a seed of its own."""
    rng = random.Random(config.seed)
    chosen = rng.sample(list(specs), min(config.num_images, len(specs)))
    for index, spec in enumerate(chosen):
        yield SamplingRequest(
            caption=compose(spec, rng),
            spec=spec,
            seed=config.seed + index,
            num_images=1,
            model=config.model,
            adapter=config.adapter,
            adapter_weight=config.adapter_weight,
            num_steps=config.num_steps,
            guidance_scale=config.guidance_scale,
            contrast_scale=config.contrast_scale,
        )


def write_samples(config: LikeConfig, requests: Sequence[SamplingRequest]) -> None:
    """Sample every request and write it with its provenance, one PNG each; one that is there already is kept."""
    generator = Generator(precision=config.precision, exports_dir=config.exports)
    config.out.mkdir(parents=True, exist_ok=True)
    for request in tqdm(requests, desc="sampling", mininterval=5):
        path = config.out / f"{request.seed:06d}.png"
        if path.exists():
            continue
        for event in generator.stream(request):
            if isinstance(event, GeneratedImage):
                partial = path.with_suffix(".partial")
                partial.write_bytes(png_bytes(event.image, from_generated(event)))
                partial.replace(path)


@program
def main() -> None:
    """The command line."""
    config = tyro.cli(LikeConfig, description=__doc__)
    specs = load_specs(config.data_dir, config.measured, config.split)
    write_samples(config, list(requests_like(specs, config)))


if __name__ == "__main__":
    sys.exit(main())
