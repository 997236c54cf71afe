"""Small pictures of unfinished samples: clean-latent estimate -> RGB, at a small share of a step's time.

A linear autoencoder is decoded exactly. Any other VAE gets a linear map from latents to colour, and at every k-th step
and the last a tiny decoder, where one was chosen. It samples nothing.
"""

from collections.abc import Callable

import numpy as np
from diffusers import FluxPipeline
from PIL import Image
from torch import Tensor

from dermaflux.generation.denoising import DenoisingStep, decode_all, unpack
from dermaflux.generation.latent_rgb import LatentRgbMap
from dermaflux.generation.patch_autoencoder import PatchAutoencoder
from dermaflux.generation.preview_decoder import PreviewDecoder

MAX_PREVIEW_PX = 256
MAX_DECODING_SHARE = 0.05
"""How much of the time of the steps the tiny decoder may take; the last step's picture comes on top."""


class Previewer:
    """Makes the previews of unfinished samples, by the best way that their time allows."""

    def __init__(
        self, pipe: FluxPipeline, map_of_vae: Callable[[], LatentRgbMap], decoder: PreviewDecoder | None = None
    ) -> None:
        """map_of_vae: asked once, before the first picture that needs it."""
        self._pipe = pipe
        self._map_of_vae = map_of_vae
        self._mapping: LatentRgbMap | None = None
        self._exact = isinstance(pipe.vae, PatchAutoencoder)
        self._decoder = decoder
        self._spare_seconds = 0.0

    def pictures(self, state: DenoisingStep, size_px: int, step_seconds: float) -> list[Image.Image]:
        """Pictures of all the square samples that a step was made for, at most 256 px; it took step_seconds."""
        if self._exact:
            return [_shrunk(image, size_px) for image in decode_all(self._pipe, state.clean, size_px)]
        latents = unpack(self._pipe, state.clean, size_px)
        if self._decoder is not None and self._affords_decoding(self._decoder, state, step_seconds):
            colours = self._decoder.decode(latents, MAX_PREVIEW_PX)
        else:
            self._mapping = self._mapping or self._map_of_vae()
            colours = self._mapping.apply(latents)
        return [_shrunk(_to_image(one), size_px) for one in colours]

    def _affords_decoding(self, decoder: PreviewDecoder, state: DenoisingStep, step_seconds: float) -> bool:
        """Every k-th step, k as large as it must be, and the last."""
        self._spare_seconds += MAX_DECODING_SHARE * step_seconds
        if self._spare_seconds < decoder.seconds and state.step < state.num_steps:
            return False
        self._spare_seconds = 0.0
        return True


def _shrunk(image: Image.Image, size_px: int) -> Image.Image:
    side_px = min(size_px, MAX_PREVIEW_PX)
    return image if image.width == side_px else image.resize((side_px, side_px), Image.Resampling.BICUBIC)


def _to_image(colours: Tensor) -> Image.Image:
    levels = ((colours + 1) * 127.5).round().byte().permute(1, 2, 0)
    return Image.fromarray(np.ascontiguousarray(levels.numpy()))
