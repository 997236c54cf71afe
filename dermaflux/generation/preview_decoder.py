"""A tiny autoencoder that shows unfinished samples sharper than a linear map can: TAEF1 for the VAE of FLUX.1.

Found by name, folder or hub repository; read strictly; held to the base model before that is loaded. It knows no
steps: when it is worth its time is `previews`' to say.
"""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderTiny
from torch import Tensor
from torch.nn import functional

from dermaflux.domain.errors import ModelNotAvailable
from dermaflux.generation.hub import check_sums, download_files
from dermaflux.generation.model_files import ModelFiles
from dermaflux.generation.strict_loading import load_strictly

TAEF1 = "taef1"
_TAEF1_REPOSITORY = "madebyollin/taef1"  # MIT, 2.5 M weights, 9.9 MB
_TAEF1_REVISION = "2d552378e58c9c94201075708d7de4e1163b2689"
_FILES = ("config.json", "*.safetensors")


def locate_preview_decoder(word: str, *, endpoint: str | None = None) -> Path:
    """The folder of a tiny autoencoder: taef1 (at a fixed commit), a folder, or a hub repository OWNER/NAME[@COMMIT].

    Downloads it when it is not there yet. Raises ModelNotAvailable when it cannot.
    """
    folder = Path(word).expanduser()
    if folder.is_dir():
        return folder
    repository, _, revision = word.partition("@")
    if word in (TAEF1, _TAEF1_REPOSITORY):
        repository, revision = _TAEF1_REPOSITORY, _TAEF1_REVISION
    if repository.count("/") != 1 or repository.startswith((".", "/", "~")):
        raise ModelNotAvailable(
            f"The preview VAE {word!r} is neither a folder nor a hub repository. Set DERMAFLUX_PREVIEW_VAE to taef1, "
            "to a folder that holds an AutoencoderTiny, or to OWNER/NAME, or unset it."
        )
    found = download_files(repository, _FILES, revision=revision or None, endpoint=endpoint)
    check_sums(found.glob("*.safetensors"), repository)
    return found


class PreviewDecoder:
    """The decoder in memory. `seconds`: what a picture of it takes here, the least that was measured; 0 before that."""

    def __init__(self, vae: Any, clock: Callable[[], float] = time.perf_counter) -> None:
        self._vae = vae
        self._clock = clock
        self._seconds: dict[tuple[int, ...], float] = {}
        self.seconds = 0.0

    @classmethod
    def load(cls, folder: Path, dtype: torch.dtype, base: ModelFiles) -> "PreviewDecoder":
        """Read it, on the CPU, for the latents of a base model's VAE.

        Raises ModelNotAvailable for what is no AutoencoderTiny, is incomplete, or decodes other latents.
        """
        wanted, found = base.latent_shape(), _decoded_shape(folder)
        if wanted != found:
            raise ModelNotAvailable(
                f"The preview VAE in {folder} decodes {_said(found)}, but the model makes {_said(wanted)}. Choose the "
                "one made for this model (DERMAFLUX_PREVIEW_VAE; taef1 is for FLUX.1), or unset it."
            )
        return cls(load_strictly(AutoencoderTiny, folder, dtype, called=f"The preview VAE in {folder}"))

    def to(self, device: torch.device) -> None:
        """Move it to where the samples are; it stays there, whatever moves about it."""
        self._vae.to(device)

    @torch.no_grad()
    def decode(self, latents: Tensor, max_px: int) -> Tensor:
        """Scaled latents (B, C, h, w) as colours (B, 3, H, W) in -1..1 on the CPU, no side longer than max_px.

        Larger latents are averaged first: a picture of 1024 px would cost sixteen times as much, to be shrunk after.
        """
        began = self._clock()
        config = self._vae.config
        side = min(latents.shape[-1], max_px // _px_a_latent(config))
        small = functional.adaptive_avg_pool2d(latents.float(), side)
        # As FluxPipeline scales for whatever VAE it is given; TAEF1 takes latents as they are (1 and 0).
        unscaled = small / config.scaling_factor + config.shift_factor
        colours = self._vae.decode(unscaled.to(self._vae.device, self._vae.dtype)).sample.float().clamp(-1, 1).cpu()
        self._note(tuple(unscaled.shape), self._clock() - began)
        return colours

    def _note(self, shape: tuple[int, ...], seconds: float) -> None:
        """The first of a shape prepares kernels and memory: it says nothing of the next ones."""
        if shape in self._seconds:
            self._seconds[shape] = min(self._seconds[shape] or seconds, seconds)
        self.seconds = self._seconds.setdefault(shape, 0.0)


def _decoded_shape(folder: Path) -> tuple[int, int]:
    """How many channels its latents have, and for how many pixels a side one stands; diffusers' defaults where unsaid.

    Raises ModelNotAvailable for what is no AutoencoderTiny of colour pictures.
    """
    try:
        config = json.loads((folder / "config.json").read_text())
        kind, num_colours = config["_class_name"], config.get("out_channels", 3)
        shape = int(config.get("latent_channels", 4)), _px_a_latent(config)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelNotAvailable(
            f"The preview VAE in {folder} has no config.json that can be read ({error!r}). Set DERMAFLUX_PREVIEW_VAE "
            "to taef1 or to a folder that holds an AutoencoderTiny, or unset it."
        ) from error
    if kind != AutoencoderTiny.__name__ or num_colours != 3:
        raise ModelNotAvailable(
            f"The preview VAE in {folder} is of class {kind} for {num_colours} colours, not an AutoencoderTiny for 3. "
            "Choose taef1, or unset DERMAFLUX_PREVIEW_VAE."
        )
    return shape


def _px_a_latent(config: Any) -> int:
    """One block of the decoder keeps the size, each other doubles it."""
    blocks = config.get("decoder_block_out_channels", (64, 64, 64, 64))
    return config.get("upsampling_scaling_factor", 2) ** (len(blocks) - 1)


def _said(shape: tuple[int, int]) -> str:
    return f"latents of {shape[0]} channels for {shape[1]} px"
