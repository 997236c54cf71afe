"""Fit the colours of a model's step previews on own pictures.

    python -m training.fit_latent_rgb --model flux-dev --images FOLDER

Writes `latent_rgb.json` beside the model, which the app then reads in place of the map that it fits on synthetic colour
fields by itself. Only the VAE is loaded, and of the pictures nothing stays but three numbers a latent channel and three
more. One picture in ten is held out to judge by.
"""

import logging
import random
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import tyro
from torch import Tensor
from torch.nn import functional
from tqdm import tqdm

from dermaflux.domain.errors import DataNotFound, ImageNotReadable, InvalidRequest
from dermaflux.generation import ModelCatalogue, choose_placement
from dermaflux.generation.latent_rgb import (
    encode_scaled,
    fit_latent_rgb,
    fit_on_colour_fields,
    mean_error,
    save_latent_rgb,
    vae_key,
)
from dermaflux.generation.loading import load_vae
from dermaflux.generation.model_files import locate
from training.pictures import IMAGE_SUFFIXES, centre_square, decode_rgb
from training.program import program

log = logging.getLogger(__name__)
_HELD_OUT = 10  # one picture in so many
_MIN_PICTURES = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class FitConfig:
    """Which VAE, and on which pictures."""

    model: str
    """flux-dev, flux-schnell, or a folder with a FluxPipeline."""
    images: Path
    """A folder of pictures, with those in its folders."""
    num_images: int = 200
    """At most so many, drawn at random."""
    size_px: int = 256
    """The centre square of each is brought to this size."""
    seed: int = 0
    device: str = "auto"
    out: Path | None = None
    """The folder to write latent_rgb.json into; without it the model's own."""

    def __post_init__(self) -> None:
        """Raise InvalidRequest for what no fit could be made with."""
        if self.num_images < _MIN_PICTURES:
            raise InvalidRequest(f"num-images is {self.num_images}; a fit needs {_MIN_PICTURES} at least.")
        if self.size_px % 16 or not 32 <= self.size_px <= 1024:
            raise InvalidRequest(f"size-px is {self.size_px}; choose a multiple of 16 from 32 to 1024.")


def fit(config: FitConfig) -> Path:
    """Fit the map, say how far its colours are off, and write it. Returns the file.

    Raises InvalidRequest for a model that needs none, DataNotFound, ModelNotAvailable, StorageNotWritable.
    """
    files = locate(ModelCatalogue().model(config.model))
    if files.previews_exactly:
        raise InvalidRequest(f"{config.model} is decoded exactly at every step, so it needs no map. Nothing to do.")
    pictures = find(config)
    placement = choose_placement(config.device)
    vae = load_vae(files, placement.dtype).to(placement.device)
    latents, images = _encoded(vae, pictures, config.size_px, placement.device)
    learn, judge = _parts(len(latents))
    mapping = fit_latent_rgb(latents[learn], images[learn], vae_key(files))
    plain = fit_on_colour_fields(vae, placement.device)
    log.info(
        "fitted on %d pictures; on %d others its colours are off by %.1f of 255, those of the map without pictures by "
        "%.1f", len(learn), len(judge), *(mean_error(m, latents[judge], images[judge]) for m in (mapping, plain)),
    )  # fmt: skip
    return save_latent_rgb(config.out or files.folder, mapping)


def find(config: FitConfig) -> list[Path]:
    """The pictures of the folder, at most `num_images` of them. Raises DataNotFound when they are too few."""
    found = sorted(path for path in config.images.rglob("*") if path.suffix.lower() in IMAGE_SUFFIXES)
    if len(found) < _MIN_PICTURES:
        raise DataNotFound(
            f"{config.images} holds {len(found)} pictures ({', '.join(IMAGE_SUFFIXES)}); a fit needs {_MIN_PICTURES} "
            "at least. Name another folder."
        )
    return random.Random(config.seed).sample(found, min(config.num_images, len(found)))


def _encoded(vae: Any, pictures: Sequence[Path], size_px: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Latents (N, C, h, w), and the mean colours of their pixels (N, 3, h, w) in -1..1."""
    latents, images = [], []
    for image in _images(pictures, size_px):
        latents.append(encode_scaled(vae, image, device))
        images.append(functional.adaptive_avg_pool2d(image, latents[-1].shape[-2:]))
    if len(latents) < _MIN_PICTURES:
        raise DataNotFound(f"Only {len(latents)} of the pictures can be read; a fit needs {_MIN_PICTURES} at least.")
    return torch.cat(latents), torch.cat(images)


def _images(pictures: Sequence[Path], size_px: int) -> Iterator[Tensor]:
    fit_square = centre_square(size_px)
    for path in tqdm(pictures, desc="encoding", mininterval=2):
        try:
            picture = decode_rgb(path.read_bytes(), path.name)
        except ImageNotReadable as error:
            log.warning("left out: %s", error)
            continue
        square = np.asarray(fit_square(picture).apply(picture), dtype=np.float32)
        yield torch.from_numpy(square / 127.5 - 1).permute(2, 0, 1)[None]


def _parts(num: int) -> tuple[list[int], list[int]]:
    judge = list(range(0, num, _HELD_OUT))
    return [index for index in range(num) if index % _HELD_OUT], judge


@program
def main() -> None:
    """The command line."""
    path = fit(tyro.cli(FitConfig, description=__doc__))
    sys.stdout.write(f"{path}\n")


if __name__ == "__main__":
    sys.exit(main())
