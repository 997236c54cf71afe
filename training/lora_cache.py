"""What a LoRA learns from, encoded once: latent moments of the pictures and embeddings of each unique caption.

Moments, not samples: a new sample is drawn each time. Everything lies in memory; the frozen encoders are not needed
while training. It knows no adapter and no optimiser.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import torch
from diffusers import FluxPipeline
from torch import Tensor
from tqdm import tqdm

from dermaflux.generation.prompts import PromptEncoder
from training.nano_data import (
    CaptionedPictures,
    CaptionStyle,
    caption_of,
    fixed_captions,
    to_unit_range,
    turned,
)

_CHUNK = 16
ENCODED_PX = 2**20  # so many pixels pass the VAE at once: four pictures of 512 px, whose layers take 1.6 GB in FLUX.1's

# Shapes: N pictures, V views of each (turned and flipped), C h w latents, U captions, L text tokens.


@dataclass(frozen=True, slots=True, kw_only=True)
class Texts:
    """Embeddings of captions: tokens (U, L, C), pooled (U, P), and where each caption stands."""

    tokens: Tensor
    pooled: Tensor
    rows: dict[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Latents (B, C, h, w) as the transformer sees data, text tokens (B, L, C) and pooled (B, P)."""

    data: Tensor
    tokens: Tensor
    pooled: Tensor

    def to(self, device: torch.device) -> "Batch":
        """The same batch on a device."""
        return Batch(**{field.name: getattr(self, field.name).to(device) for field in fields(self)})


@dataclass(frozen=True, slots=True, kw_only=True)
class Examples:
    """Pictures ready for training: mean and sd of their latents (N, V, C, h, w), captions and weights (N,).

    sd is None for an exact autoencoder. Both are scaled and shifted as the transformer expects.
    """

    mean: Tensor
    sd: Tensor | None
    captions: tuple[tuple[str, ...], ...]
    weights: Tensor
    texts: Texts

    def __len__(self) -> int:
        """How many pictures there are."""
        return len(self.captions)

    def draw(self, size: int, caption_dropout: float, generator: torch.Generator) -> Batch:
        """A batch that depends on the generator alone: picture by weight, then view, wording, latent sample."""
        index = torch.multinomial(self.weights, size, replacement=True, generator=generator)
        views = torch.randint(self.mean.shape[1], (size,), generator=generator)
        wordings = torch.randint(len(self.captions[0]), (size,), generator=generator)
        dropped = torch.rand(size, generator=generator) < caption_dropout
        captions = [
            "" if drop else self.captions[i][w] for drop, i, w in zip(dropped, index, wordings, strict=True)
        ]
        return self._batch(index, views, captions, generator)

    def first(self, size: int) -> Batch:
        """The first pictures as they are, for validation: first caption, mean latents."""
        size = min(size, len(self))
        index = torch.arange(size)
        return self._batch(index, torch.zeros_like(index), [self.captions[i][0] for i in range(size)], None)

    def _batch(self, index: Tensor, views: Tensor, captions: list[str], generator: torch.Generator | None) -> Batch:
        data = self.mean[index, views].float()
        if self.sd is not None and generator is not None:
            data = data + self.sd[index, views].float() * torch.randn(data.shape, generator=generator)
        rows = torch.tensor([self.texts.rows[caption] for caption in captions])
        return Batch(data=data, tokens=self.texts.tokens[rows].float(), pooled=self.texts.pooled[rows].float())


def encode_examples(
    pipeline: FluxPipeline, pictures: CaptionedPictures, text_tokens: int, *, num_wordings: int, seed: int
) -> Examples:
    """Encode pictures and captions with the pipeline's frozen encoders; num_wordings 0 keeps the canonical one only."""
    captions = wordings(pictures, num_wordings, seed)
    mean, sd = _moments(pipeline, pictures.images, _turns(pictures.images) if num_wordings else (0,))
    texts = encode_texts(pipeline, ["", *sorted({c for row in captions for c in row})], text_tokens)
    return Examples(mean=mean, sd=sd, captions=captions, weights=pictures.weights, texts=texts)


def wordings(pictures: CaptionedPictures, num_wordings: int, seed: int) -> tuple[tuple[str, ...], ...]:
    """The captions of each picture: so many wordings, or with 0 the canonical one.

    A written caption takes the place of the last wording, so that the words of the sliders are still learned.
    """
    if not num_wordings:
        return tuple((caption,) for caption in fixed_captions(pictures))
    rng = random.Random(seed)
    rows = [tuple(caption_of(spec, CaptionStyle(), rng) for _ in range(num_wordings)) for spec in pictures.specs]
    written = pictures.written or (None,) * len(rows)
    return tuple((*row[:-1], text or row[-1]) for row, text in zip(rows, written, strict=True))


@torch.no_grad()
def encode_texts(pipeline: FluxPipeline, captions: list[str], text_tokens: int) -> Texts:
    """The embeddings of unique captions, as the pipeline makes them."""
    encoder = PromptEncoder(pipeline, text_tokens)
    embeddings = [encoder.encode(caption) for caption in tqdm(captions, desc="captions", mininterval=5)]
    tokens, pooled = [e.tokens.cpu() for e in embeddings], [e.pooled.cpu() for e in embeddings]
    rows = {caption: row for row, caption in enumerate(captions)}
    return Texts(tokens=torch.cat(tokens), pooled=torch.cat(pooled), rows=rows)


def _turns(images: Tensor) -> Sequence[int]:
    """The positions that keep a picture's shape: all eight of a square, else half turns and flips."""
    return range(8) if images.shape[-1] == images.shape[-2] else (0, 2, 4, 6)


@torch.no_grad()
def _moments(pipeline: FluxPipeline, images: Tensor, turns: Sequence[int]) -> tuple[Tensor, Tensor | None]:
    vae: Any = pipeline.vae
    means, sds = [], []
    at_once = max(1, ENCODED_PX // (images.shape[-1] * images.shape[-2]))
    for start in tqdm(range(0, len(images), _CHUNK), desc="latents", mininterval=5):
        chunk = to_unit_range(images[start : start + _CHUNK])
        views = torch.stack([torch.stack([turned(image, kind) for kind in turns]) for image in chunk])
        for part in views.flatten(0, 1).split(at_once):
            posterior = vae.encode(part.to(vae.device, vae.dtype)).latent_dist
            means.append(((posterior.mode() - vae.config.shift_factor) * vae.config.scaling_factor).cpu())
            if hasattr(posterior, "std"):
                sds.append((posterior.std * vae.config.scaling_factor).cpu())
    shape = (len(images), len(turns))
    return torch.cat(means).unflatten(0, shape), torch.cat(sds).unflatten(0, shape) if sds else None
