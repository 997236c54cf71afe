"""Many synthetic pictures in batches, as many of each diagnosis, for training classifiers with and without them.

    python -m training.synthetic_pool --model nano --num-images 2400 --out runs/study/flow

Every request is the lesion that a picture of split=train was measured to show, so that the set is as varied as real
lesions are. Flow models and the diffusion of `train_nano --objective epsilon` are drawn alike: same captions, same
noise, same number of steps. Batches in bfloat16 are several times faster than single images and differ from them in the
last bits, so the record in each file names the model as drawn in batches. A run that was stopped goes on.
"""

import logging
import random
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import tyro
from diffusers import FlowMatchEulerDiscreteScheduler, FluxPipeline
from PIL import Image
from torch import Tensor
from tqdm import tqdm

from dermaflux.domain.caption import compose
from dermaflux.domain.errors import InvalidRequest
from dermaflux.domain.lesion import HAM_DIAGNOSES, LesionSpec
from dermaflux.domain.records import GeneratedImage, ModelIdentity, SamplingRequest, Split
from dermaflux.generation.catalogue import ModelCatalogue, ModelEntry
from dermaflux.generation.loading import load_parts
from dermaflux.generation.model_files import locate
from dermaflux.generation.placement import choose_placement
from dermaflux.provenance import from_generated, png_bytes
from training.flow_model import FlowModel
from training.flux_velocity import flux_velocity, sampling_times, time_shift
from training.nano_data import load_specs
from training.objectives import EpsilonDiffusion
from training.precision import autocast, check_precision
from training.program import program
from training.rollout import Velocity, guided, trajectory

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolConfig:
    """Which model draws how many pictures, and how. Size is the model's own."""

    model: str = "nano"
    """nano, or the folder of a pipeline: a flow, or a diffusion made by `train_nano --objective epsilon`."""
    num_images: int = 2400
    seed: int = 0
    num_steps: int = 20
    guidance_scale: float = 2.0
    batch_size: int = 32
    device: str = "auto"
    precision: str = "auto"
    """auto, bf16 (autocast) or fp32."""
    data_dir: Path = Path("../shared/data")
    measured: Path = Path("runs/measured_ham10000.csv")
    out: Path = Path("runs/study/flow")

    def __post_init__(self) -> None:
        """Raise InvalidRequest naming the field outside its range."""
        check_precision(self.precision)
        if min(self.num_images, self.num_steps, self.batch_size) < 1:
            raise InvalidRequest("num_images, num_steps and batch_size must be 1 or more.")


class BatchSampler:
    """A pipeline of this project's training that draws batches; t = 1 is noise."""

    def __init__(self, entry: ModelEntry, config: PoolConfig) -> None:
        files = locate(entry)
        folder = files.folder
        self.entry, self.config = entry, config
        self.device = choose_placement(config.device).device
        scheduler: Any = FlowMatchEulerDiscreteScheduler.from_pretrained(folder, subfolder="scheduler")
        self.pipe = FluxPipeline(**load_parts(files, torch.float32), scheduler=scheduler)
        self.model = FlowModel(self.pipe, entry.text_tokens).to(self.device).eval()
        self.pipe.vae.to(self.device)
        self.is_flow = _is_flow(folder)
        self.identity = ModelIdentity(
            model=f"{entry.name} (in batches)", model_sha256=files.sha256(), licence=entry.licence
        )

    @torch.no_grad()
    def draw(self, captions: Sequence[str], seeds: Sequence[int]) -> list[Image.Image]:
        """One picture a caption, each from the noise of its own seed."""
        noise = torch.stack([self._noise(seed) for seed in seeds]).to(self.device)
        under = guided(
            self._predict(list(captions)), self._predict([""] * len(captions)), self.config.guidance_scale
        )
        latents = self._flow(under, noise) if self.is_flow else self._diffusion(under, noise)
        pictures: Any = self.pipe.image_processor.postprocess(
            self.pipe.vae.decode(latents, return_dict=False)[0], output_type="pil"
        )
        return pictures

    def _predict(self, captions: list[str]) -> Velocity:
        with autocast(self.config.precision, self.device):
            text, pooled = self.model.encode(captions, self.device)

        def predict(latents: Tensor, times: Tensor) -> Tensor:
            with autocast(self.config.precision, self.device):
                return flux_velocity(self.model.transformer, latents, times, text, pooled).float()

        return predict

    def _flow(self, velocity: Velocity, noise: Tensor) -> Tensor:
        times = sampling_times(self.config.num_steps, time_shift(self.pipe.scheduler.config, noise)).to(noise.device)
        return trajectory(velocity, noise, times, keep_every=self.config.num_steps)[:, -1]

    def _diffusion(self, epsilon: Velocity, noise: Tensor) -> Tensor:
        objective = EpsilonDiffusion()
        solver, latents = objective.sampler(self.config.num_steps), noise
        for step in solver.timesteps:
            times = objective.time_of(step).expand(len(noise)).to(noise.device)
            latents = solver.step(epsilon(latents, times), step, latents).prev_sample
        return latents

    def _noise(self, seed: int) -> Tensor:
        side = 2 * (self.entry.size_px // (self.pipe.vae_scale_factor * 2))
        shape = (self.pipe.transformer.config.in_channels // 4, side, side)
        return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def even_specs(specs: Sequence[LesionSpec], count: int, seed: int) -> list[LesionSpec]:
    """`count` lesions, the diagnoses in turn, each a lesion of that diagnosis among `specs` drawn at random.

    Raises InvalidRequest when a diagnosis of HAM10000 does not occur.
    """
    by_class = {diagnosis: [s for s in specs if s.diagnosis == diagnosis] for diagnosis in HAM_DIAGNOSES}
    if missing := [diagnosis for diagnosis, found in by_class.items() if not found]:
        raise InvalidRequest(f"No measured training picture shows {missing[0]}. Use the whole data set.")
    rng = random.Random(seed)
    return [rng.choice(by_class[HAM_DIAGNOSES[i % len(HAM_DIAGNOSES)]]) for i in range(count)]


def write_pool(config: PoolConfig, specs: Sequence[LesionSpec]) -> None:
    """Draw every lesion and write it with its provenance; files that are there already are kept."""
    entry = ModelCatalogue().model(config.model)
    config.out.mkdir(parents=True, exist_ok=True)
    missing = [index for index in range(len(specs)) if not _path(config, index).exists()]
    if not missing:
        return
    sampler = BatchSampler(entry, config)
    with tqdm(total=len(specs), initial=len(specs) - len(missing), desc="drawing", mininterval=5) as bar:
        for start in range(0, len(missing), config.batch_size):
            chosen = missing[start : start + config.batch_size]
            for index, generated in zip(chosen, _drawn(sampler, specs, chosen), strict=True):
                path = _path(config, index)
                partial = path.with_suffix(".partial")
                partial.write_bytes(png_bytes(generated.image, from_generated(generated)))
                partial.replace(path)
            bar.update(len(chosen))


def _drawn(sampler: BatchSampler, specs: Sequence[LesionSpec], chosen: Sequence[int]) -> Iterator[GeneratedImage]:
    config, began = sampler.config, time.perf_counter()
    seeds = [config.seed + index for index in chosen]
    captions = [compose(specs[index], random.Random(config.seed + index)) for index in chosen]
    pictures = sampler.draw(captions, seeds)
    seconds = (time.perf_counter() - began) / len(pictures)
    for index, seed, caption, picture in zip(chosen, seeds, captions, pictures, strict=True):
        request = SamplingRequest(
            caption=caption, spec=specs[index], seed=seed, num_images=1, model=sampler.identity.model,
            num_steps=config.num_steps, guidance_scale=config.guidance_scale, contrast_scale=0.0,
            size_px=sampler.entry.size_px,
        )  # fmt: skip
        yield GeneratedImage(
            image=picture, image_index=0, seed=seed, request=request, identity=sampler.identity, seconds=seconds
        )


def _path(config: PoolConfig, index: int) -> Path:
    return config.out / f"{config.seed + index:06d}.png"


def _is_flow(folder: Path) -> bool:
    index: Any = FluxPipeline.load_config(folder)
    return index["scheduler"][1] == FlowMatchEulerDiscreteScheduler.__name__


@program
def main() -> None:
    """The command line."""
    config = tyro.cli(PoolConfig, description=__doc__)
    specs = even_specs(load_specs(config.data_dir, config.measured, Split.TRAIN), config.num_images, config.seed)
    write_pool(config, specs)


if __name__ == "__main__":
    sys.exit(main())
