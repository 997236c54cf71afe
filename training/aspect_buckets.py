"""Pictures of unlike shapes in one training run: each goes to the bucket whose shape is nearest to its own.

All buckets have about the same area, so a batch, which comes from one bucket, always costs about the same. It knows no
model: `Examples` are what `lora_cache` made of the pictures of one shape.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import log

import torch

from training.lora_cache import Batch, Examples

_MULTIPLE_PX = 16  # 8 px a latent, 2x2 latents a token
_MAX_ASPECT = 2.0

# A shape is (width_px, height_px).


def bucket_shapes(size_px: int) -> tuple[tuple[int, int], ...]:
    """The largest shapes of at most size_px * size_px pixels, from twice as high as wide to twice as wide as high."""
    area, shapes = size_px * size_px, set()
    for side in range(_MULTIPLE_PX, 2 * size_px, _MULTIPLE_PX):
        other = area // side // _MULTIPLE_PX * _MULTIPLE_PX
        if other and max(side, other) <= _MAX_ASPECT * min(side, other):
            shapes |= {(side, other), (other, side)}
    return tuple(sorted(shapes))


def nearest_shape(shapes: Sequence[tuple[int, int]], width_px: int, height_px: int) -> tuple[int, int]:
    """The shape that loses least of a picture; of equals the largest."""
    aspect = log(width_px / height_px)
    return min(shapes, key=lambda shape: (round(abs(log(shape[0] / shape[1]) - aspect), 6), -shape[0] * shape[1]))


@dataclass(frozen=True, slots=True)
class Buckets:
    """Examples by shape, drawn as if they were one set."""

    parts: tuple[Examples, ...]

    def __len__(self) -> int:
        """How many pictures in all."""
        return sum(len(part) for part in self.parts)

    def draw(self, size: int, caption_dropout: float, generator: torch.Generator) -> Batch:
        """A batch of one bucket, which is chosen by the weight of its pictures; it depends on the generator alone."""
        if len(self.parts) == 1:
            return self.parts[0].draw(size, caption_dropout, generator)
        weights = torch.stack([part.weights.sum() for part in self.parts])
        chosen = int(torch.multinomial(weights, 1, generator=generator))
        return self.parts[chosen].draw(size, caption_dropout, generator)

    def first(self, size: int) -> list[Batch]:
        """The first pictures of every bucket as they are, for validation: `size` in all, shared by bucket size."""
        return [part.first(max(1, size * len(part) // len(self))) for part in self.parts]
