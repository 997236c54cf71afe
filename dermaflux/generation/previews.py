"""Small pictures of unfinished samples: clean-latent estimate -> RGB, in a few milliseconds.

A linear autoencoder is decoded exactly; any other VAE gets a linear map from latent channels to colour, read from
`latent_rgb.json` beside the model or fitted once on synthetic colour fields. It samples nothing.
"""

import json
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from diffusers import FluxPipeline
from PIL import Image
from torch import Tensor
from torch.nn import functional

from dermaflux.domain.errors import ModelNotAvailable
from dermaflux.generation.denoising import decode, unpack
from dermaflux.generation.patch_autoencoder import PatchAutoencoder

MAP_FILE = "latent_rgb.json"
MAX_PREVIEW_PX = 256
_NUM_FIELDS = 24
_FIELD_PX = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class LatentRgbMap:
    """rgb = latent @ weight + bias, in -1..1; weight (channels, 3), bias (3), for scaled latents."""

    weight: Tensor
    bias: Tensor

    def apply(self, latents: Tensor) -> Tensor:
        """Latents (1, channels, h, w) as colours (1, 3, h, w) in -1..1."""
        colours = torch.einsum("bchw,ck->bkhw", latents.float().cpu(), self.weight)
        return (colours + self.bias[:, None, None]).clamp(-1, 1)


def fit_latent_rgb(latents: Tensor, images: Tensor) -> LatentRgbMap:
    """The least-squares map from latents (B, C, h, w) to images (B, 3, H, W) in -1..1 averaged to h x w."""
    small = functional.adaptive_avg_pool2d(images.float(), (latents.shape[-2], latents.shape[-1]))
    rows = latents.float().movedim(1, -1).flatten(0, 2)
    rows = torch.cat((rows, torch.ones(len(rows), 1)), dim=1)
    colours = small.movedim(1, -1).flatten(0, 2)
    # lstsq with rank-revealing driver: latent channels that never vary must not blow up.
    solution = torch.linalg.lstsq(rows.double(), colours.double(), driver="gelsd").solution.float()
    return LatentRgbMap(weight=solution[:-1], bias=solution[-1])


def save_latent_rgb(folder: Path, mapping: LatentRgbMap) -> None:
    """Write the map beside model_index.json, whole or not at all."""
    text = json.dumps({"weight": mapping.weight.tolist(), "bias": mapping.bias.tolist()})
    partial = folder / f".{MAP_FILE}.partial"
    partial.write_text(text + "\n")
    os.replace(partial, folder / MAP_FILE)


def load_latent_rgb(folder: Path) -> LatentRgbMap | None:
    """The map shipped with a model, None when there is none. Raises ModelNotAvailable when it is damaged."""
    path = folder / MAP_FILE
    if not path.is_file():
        return None
    try:
        values = json.loads(path.read_text())
        weight, bias = torch.tensor(values["weight"]), torch.tensor(values["bias"])
        if weight.ndim != 2 or weight.shape[1] != 3 or bias.shape != (3,):
            raise ValueError(f"shapes {tuple(weight.shape)} and {tuple(bias.shape)}")
    except (ValueError, TypeError, KeyError) as error:
        raise ModelNotAvailable(f"{path} is damaged: {error}. Reinstall the model.") from error
    return LatentRgbMap(weight=weight.float(), bias=bias.float())


class Previewer:
    """Makes the preview of an unfinished sample, by the cheapest way that its VAE allows."""

    def __init__(self, pipe: FluxPipeline, mapping: LatentRgbMap | None = None) -> None:
        self._pipe = pipe
        self._mapping = mapping
        self._exact = isinstance(pipe.vae, PatchAutoencoder)

    def picture(self, clean: Tensor, size_px: int) -> Image.Image:
        """The picture of packed clean latents of a square image, at most 256 px."""
        side_px = min(size_px, MAX_PREVIEW_PX)
        if self._exact:
            image = decode(self._pipe, clean, size_px)
        else:
            if self._mapping is None:
                self._mapping = fit_on_colour_fields(self._pipe)
            image = _to_image(self._mapping.apply(unpack(self._pipe, clean, size_px)))
        return (
            image
            if image.width == side_px
            else image.resize((side_px, side_px), Image.Resampling.BICUBIC)
        )


@torch.no_grad()
def fit_on_colour_fields(pipe: FluxPipeline) -> LatentRgbMap:
    """The map of a pipeline's VAE, fitted on smooth random colours; needs no pictures."""
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand(_NUM_FIELDS, 3, 4, 4, generator=generator) * 2 - 1
    fields = functional.interpolate(coarse, size=(_FIELD_PX, _FIELD_PX), mode="bilinear")
    vae = pipe.vae
    scaled = []
    for field in fields.split(1):  # one at a time: the encoder of a large VAE is hungry
        latents = vae.encode(field.to(pipe._execution_device, vae.dtype)).latent_dist.mode()
        scaled.append((latents - vae.config.shift_factor) * vae.config.scaling_factor)
    return fit_latent_rgb(torch.cat(scaled).float().cpu(), fields)


def _to_image(colours: Tensor) -> Image.Image:
    levels = ((colours[0] + 1) * 127.5).round().byte().permute(1, 2, 0)
    return Image.fromarray(np.ascontiguousarray(levels.numpy()))
