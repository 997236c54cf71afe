"""A linear map from a VAE's latents to colour: fitted, kept as `latent_rgb.json`, applied in a moment.

A map belongs to one VAE and says to which. It knows no pipeline and no steps.
"""

import hashlib
import json
import logging
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from dermaflux.domain.errors import ModelNotAvailable, StorageNotWritable
from dermaflux.generation.model_files import ModelFiles
from dermaflux.generation.weights import sha256_of_file

log = logging.getLogger(__name__)

MAP_FILE = "latent_rgb.json"
_NUM_FIELDS = 24
_FIELD_PX = 64  # together fewer pixels than one picture of 320 px, so that all are encoded at once
_FIT_VERSION = 1  # of `fit_on_colour_fields`: a kept map of another version is not read


@dataclass(frozen=True, slots=True, kw_only=True)
class LatentRgbMap:
    """rgb = latent @ weight + bias, in -1..1; weight (channels, 3), bias (3), for scaled latents.

    vae: the key (`vae_key`) of the VAE that it was fitted to; empty in files of earlier versions, which did not say.
    """

    weight: Tensor
    bias: Tensor
    vae: str = ""

    def apply(self, latents: Tensor) -> Tensor:
        """Latents (B, channels, h, w) as colours (B, 3, h, w) in -1..1."""
        colours = torch.einsum("bchw,ck->bkhw", latents.float().cpu(), self.weight)
        return (colours + self.bias[:, None, None]).clamp(-1, 1)


def fit_latent_rgb(latents: Tensor, images: Tensor, vae: str = "") -> LatentRgbMap:
    """The least-squares map from latents (B, C, h, w) to images (B, 3, H, W) in -1..1 averaged to h x w."""
    small = functional.adaptive_avg_pool2d(images.float(), (latents.shape[-2], latents.shape[-1]))
    rows = latents.float().movedim(1, -1).flatten(0, 2)
    rows = torch.cat((rows, torch.ones(len(rows), 1)), dim=1)
    colours = small.movedim(1, -1).flatten(0, 2)
    # lstsq with rank-revealing driver: latent channels that never vary must not blow up.
    solution = torch.linalg.lstsq(rows.double(), colours.double(), driver="gelsd").solution.float()
    return LatentRgbMap(weight=solution[:-1], bias=solution[-1], vae=vae)


def fit_on_colour_fields(vae: Any, device: torch.device | str, key: str = "") -> LatentRgbMap:
    """The map of a VAE, fitted on smooth random colours in one small batch; needs no pictures."""
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand(_NUM_FIELDS, 3, 4, 4, generator=generator) * 2 - 1
    fields = functional.interpolate(coarse, size=(_FIELD_PX, _FIELD_PX), mode="bilinear")
    return fit_latent_rgb(encode_scaled(vae, fields, device), fields, key)


@torch.no_grad()
def encode_scaled(vae: Any, images: Tensor, device: torch.device | str) -> Tensor:
    """Images (B, 3, H, W) in -1..1 as latents (B, C, h, w) as the transformer sees them, float32 on the CPU."""
    latents = vae.encode(images.to(device, vae.dtype)).latent_dist.mode()
    return ((latents - vae.config.shift_factor) * vae.config.scaling_factor).float().cpu()


def mean_error(mapping: LatentRgbMap, latents: Tensor, images: Tensor) -> float:
    """How far a map's colours for latents are off those of their images on average, in levels of 0..255."""
    small = functional.adaptive_avg_pool2d(images.float(), (latents.shape[-2], latents.shape[-1]))
    return float((mapping.apply(latents) - small).abs().mean() * 127.5)


def vae_key(files: ModelFiles) -> str:
    """What names a VAE: its weights, and the configuration that scales its latents."""
    parts = [*map(sha256_of_file, files.weights_of("vae")), files.vae_config_text()]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def map_of(vae: Any, device: torch.device | str, files: ModelFiles, kept_in: Path | None) -> LatentRgbMap:
    """The map of a loaded VAE: the one beside its model, else the one kept from before, else fitted and kept.

    One that was fitted to another VAE is left aside. Raises ModelNotAvailable for a damaged one beside the model.
    """
    key = vae_key(files)
    beside = load_latent_rgb(files.folder)
    if beside is not None and beside.vae in ("", key):
        return beside
    if beside is not None:
        log.warning("%s was fitted to another VAE and is not used: fit it anew", files.folder / MAP_FILE)
    kept = kept_in / f"latent_rgb-{_FIT_VERSION}-{key[:16]}.json" if kept_in else None
    if kept is not None and (found := _kept_map(kept, key)) is not None:
        return found
    fitted = fit_on_colour_fields(vae, device, key)
    if kept is not None:
        _keep(kept, fitted)
    return fitted


def save_latent_rgb(folder: Path, mapping: LatentRgbMap) -> Path:
    """Write the map beside model_index.json, whole or not at all. Raises StorageNotWritable."""
    path = folder / MAP_FILE
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _write(path, mapping)
    except OSError as error:
        raise StorageNotWritable(f"{path} cannot be written: {error}. Choose another folder.") from error
    return path


def load_latent_rgb(folder: Path) -> LatentRgbMap | None:
    """The map shipped with a model, None when there is none. Raises ModelNotAvailable when it is damaged."""
    path = folder / MAP_FILE
    if not path.is_file():
        return None
    try:
        return _read(path)
    except (ValueError, TypeError, KeyError) as error:
        raise ModelNotAvailable(f"{path} is damaged: {error}. Reinstall the model.") from error


def _kept_map(path: Path, key: str) -> LatentRgbMap | None:
    try:
        found = _read(path)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError) as error:
        log.warning("%s is damaged (%s) and is made anew", path, error)
        return None
    return found if found.vae == key else None


def _keep(path: Path, mapping: LatentRgbMap) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _write(path, mapping)
    except OSError as error:  # fitted again at the next start: a second's work
        log.warning("the map of previews cannot be kept in %s: %s", path, error)


def _write(path: Path, mapping: LatentRgbMap) -> None:
    values = {"weight": mapping.weight.tolist(), "bias": mapping.bias.tolist(), "vae": mapping.vae}
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    partial.write_text(json.dumps(values) + "\n")
    os.replace(partial, path)


def _read(path: Path) -> LatentRgbMap:
    values = json.loads(path.read_text())
    weight, bias = torch.tensor(values["weight"]), torch.tensor(values["bias"])
    if weight.ndim != 2 or weight.shape[1] != 3 or bias.shape != (3,):
        raise ValueError(f"shapes {tuple(weight.shape)} and {tuple(bias.shape)}")
    return LatentRgbMap(weight=weight.float(), bias=bias.float(), vae=str(values.get("vae", "")))
