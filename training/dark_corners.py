"""Takes the dark corners of a dermoscope out of training pictures, so that no diagnosis is learned to come with them.

In HAM10000 about 30 % of the melanomas and 10 % of the nevi darken towards their corners, and a generator guided by its
captions draws that louder than it is. The fall of the light is read from the skin around the lesion, ring by ring,
and divided out. It knows no hair and no ink, and it cannot bring back what is black.
"""

from itertools import pairwise

import numpy as np
from scipy import ndimage

from dermaflux.measurement.artefacts import radius_share, vignette

MAX_LEFT = 0.15
"""A picture whose corners stay darker than this, as `measurement.artefacts.vignette` counts, is not learned from."""
_FLAT_RADIUS = 0.5  # the light is taken to be even this far from the middle, as a share of the half diagonal
_NUM_RINGS = 10
_MIN_SKIN_PX = 40
_MAX_GAIN = 2.5
_MARGIN_SHARE = 0.03
_BLUR_SHARE = 0.04


def without_dark_corners(pixels: np.ndarray, mask: np.ndarray) -> np.ndarray | None:
    """A picture (H, W, 3) uint8 in even light, or None when its corners stay dark.

    `mask`, bool (H, W), is the lesion. What is even enough comes back as it was.
    """
    outside = ~_grown(mask)
    if vignette(pixels, outside) < MAX_LEFT / 2:
        return pixels
    gain = _gain(pixels.astype(np.float64), radius_share(*mask.shape), outside)
    lit = np.clip(pixels * gain, 0, 255).round().astype(np.uint8)
    return lit if vignette(lit, outside) < MAX_LEFT else None


def _gain(pixels: np.ndarray, radius: np.ndarray, outside: np.ndarray) -> np.ndarray:
    """How much each colour of each pixel must be raised, (H, W, 3), 1 or more: rising outwards, never falling."""
    flat = outside & (radius < _FLAT_RADIUS)
    edges = np.linspace(_FLAT_RADIUS, 1.0, _NUM_RINGS + 1)
    rings = [outside & (radius >= low) & (radius <= high) for low, high in pairwise(edges)]
    seen = [ring for ring in rings if ring.sum() >= _MIN_SKIN_PX]
    reference = flat if flat.sum() >= _MIN_SKIN_PX else (seen[0] if seen else outside)
    if len(seen) < 2:
        return np.ones_like(pixels)
    middles = [float(radius[ring].mean()) for ring in seen]
    gain = np.empty_like(pixels)
    for channel in range(3):
        light = np.array([np.median(pixels[ring, channel]) for ring in seen])
        raised = np.median(pixels[reference, channel]) / np.maximum(light, 1.0)
        steady = np.maximum.accumulate(np.clip(raised, 1.0, _MAX_GAIN))
        gain[..., channel] = np.interp(radius, [_FLAT_RADIUS, *middles], [1.0, *steady])
    blur_px = _BLUR_SHARE * len(pixels)  # a kink in the light would be seen, and learned, as a ring
    return np.asarray(ndimage.gaussian_filter(gain, (blur_px, blur_px, 0), mode="nearest"))


def _grown(mask: np.ndarray) -> np.ndarray:
    iterations = max(1, round(_MARGIN_SHARE * mask.shape[0]))
    return np.asarray(ndimage.binary_dilation(mask, iterations=iterations), dtype=bool)
