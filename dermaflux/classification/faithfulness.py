"""How far a saliency map names what the answer rests on: deletion and insertion (Petsiuk 2018, RISE, arXiv 1806.07421).

Deletion paints over the most salient pixels first, with the picture's mean colour; a good map makes the answer fall
soon, so low is good. Insertion brings them back first into a blurred picture; high is good. Both are areas under
the curve of the answer's probability over the share of pixels. It knows no network: one is called.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageFilter

NUM_STEPS = 10
MAX_SIDE_PX = 256
"""Larger pictures are made smaller first: networks see less, and each step is a copy."""
_AVERAGE = Image.Resampling.BOX
_BLUR_SHARE = 0.1
"""Standard deviation of the blur as a share of the shorter side: outline and texture of a lesion are gone."""

Probability = Callable[[Sequence[Image.Image]], np.ndarray]
"""RGB pictures of one size -> the probability (N,) of the answer that the map explains."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Faithfulness:
    """Both areas, 0..1: a low deletion and a high insertion speak for the map."""

    deletion: float
    insertion: float


def faithfulness(
    picture: Image.Image, saliency: np.ndarray, probability: Probability, num_steps: int = NUM_STEPS
) -> Faithfulness:
    """The scores of a map (H, W) of an RGB picture, over num_steps equal shares of its pixels."""
    picture, saliency = _small(picture, saliency)
    pixels = np.asarray(picture)
    mean = pixels.reshape(-1, 3).mean(axis=0).round().astype(np.uint8)
    blurred = np.asarray(picture.filter(ImageFilter.GaussianBlur(_BLUR_SHARE * min(picture.size))))
    first, steps = _shares_before(saliency), range(num_steps + 1)
    masks = [(first < step / num_steps)[..., None] for step in steps]
    deleted = [np.where(mask, mean, pixels) for mask in masks]
    inserted = [np.where(mask, pixels, blurred) for mask in masks[:-1]]  # the last is the picture, as is deleted[0]
    found = probability([Image.fromarray(shown) for shown in deleted + inserted])
    return Faithfulness(
        deletion=_area(found[: num_steps + 1]),
        insertion=_area(np.append(found[num_steps + 1 :], found[0])),
    )


def _small(picture: Image.Image, saliency: np.ndarray) -> tuple[Image.Image, np.ndarray]:
    scale = MAX_SIDE_PX / max(picture.size)
    if scale >= 1:
        return picture, saliency
    size_px = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    values = Image.fromarray(np.asarray(saliency, dtype=np.float32))
    return picture.resize(size_px, _AVERAGE), np.asarray(values.resize(size_px, _AVERAGE))


def _shares_before(saliency: np.ndarray) -> np.ndarray:
    """Of each pixel (H, W) the share of pixels that come before it, the most salient first; ties by place."""
    order = np.argsort(-saliency.ravel(), kind="stable")
    shares = np.empty(order.size)
    shares[order] = np.arange(order.size) / order.size
    return shares.reshape(saliency.shape)


def _area(curve: np.ndarray) -> float:
    return float(np.trapezoid(curve, dx=1 / (len(curve) - 1)))
