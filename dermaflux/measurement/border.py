"""The border: how irregular the outline is and how abruptly the pigment ends, whole and per octant.

Irregularity is read from the mask and, since expert and network masks are smooth, from the outline of
the pigment near it. Abruptness reads colours across the outline. The two are different things (the ABCD
rule's B is abruptness, lay raters see irregularity) and keep their own names.
"""

from functools import lru_cache

import numpy as np
from scipy import ndimage
from skimage.measure import perimeter_crofton
from skimage.morphology import convex_hull_image

from dermaflux.measurement.masks import connected_parts
from dermaflux.measurement.window import DIAMETER_PX, NUM_ANGLES, WINDOW_PX, LesionWindow

NUM_OCTANTS = 8
PIGMENT_LEVELS = (0.6, 0.9)
IRREGULAR_OCTANT_D = 0.03
ABRUPT_OCTANT_LAB = 12.0
_ROUGH_ORDERS = (3, 40)
_SMOOTH_SIGMA_PX = 0.09 * DIAMETER_PX
_BAND_PX = 0.06 * DIAMETER_PX
_NUM_BANDS = 5  # to each side of the outline: 0.3 d


def border_measures(window: LesionWindow, pigment: np.ndarray) -> dict[str, float]:
    """Raw border measures; 0 is a smooth round outline except compactness, which is 1.

    border_compactness P^2 / 4 pi A; border_concavity 1 - solidity; border_opening area(M xor smooth M) / P d;
    border_roughness Fourier orders 3..39 of the radius over its mean; pigment_* the same of the part of
    the neighbourhood with pigment over a level; border_irregularity, border_abruptness: means over octants;
    border_width contrast over abruptness, in d; border_octants how many eighths are irregular or abrupt, 0..8.
    """
    irregular = octant_irregularity(window)
    steep, contrast = octant_abruptness(window)
    values = {f"border_{name}": value for name, value in outline_measures(window.mask).items()}
    for level in PIGMENT_LEVELS:
        outline = outline_measures(_pigmented(window, pigment, level))
        values |= {f"pigment_{name}_{round(100 * level)}": value for name, value in outline.items()}
    return values | {
        "border_roughness": _roughness(radii(window)),
        "border_irregularity": float(irregular.mean()),
        "border_irregularity_max": float(irregular.max()),
        "border_abruptness": float(steep.mean()),
        "border_width": float((contrast / np.maximum(steep, 0.5)).mean() * _BAND_PX / DIAMETER_PX),
        "border_contrast": float(contrast.mean()),
        "border_octants": float(
            ((irregular > IRREGULAR_OCTANT_D) | (steep > ABRUPT_OCTANT_LAB)).sum()
        ),
        "border_irregular_octants": float((irregular > IRREGULAR_OCTANT_D).sum()),
        "border_abrupt_octants": float((steep > ABRUPT_OCTANT_LAB).sum()),
    }


def outline_measures(mask: np.ndarray) -> dict[str, float]:
    """Compactness, concavity and opening of the largest part of a bool mask; a disc's where it is empty."""
    labels, count = connected_parts(mask)
    if count == 0:
        return {"compactness": 1.0, "concavity": 0.0, "opening": 0.0}
    largest = np.bincount(labels.ravel())[1:].argmax() + 1
    part = np.asarray(ndimage.binary_fill_holes(labels == largest))
    perimeter, area = float(perimeter_crofton(part, directions=4)), float(part.sum())
    if area < 9:
        return {"compactness": 1.0, "concavity": 0.0, "opening": 0.0}
    smooth = ndimage.gaussian_filter(part.astype(np.float32), _SMOOTH_SIGMA_PX) >= 0.5
    return {
        "compactness": perimeter**2 / (4 * np.pi * area),
        "concavity": 1 - area / float(convex_hull_image(part).sum()),
        "opening": float((part ^ smooth).sum()) / (perimeter * DIAMETER_PX),
    }


def radii(window: LesionWindow) -> np.ndarray:
    """Length of the lesion along each ray, in window px: float (NUM_ANGLES,)."""
    return window.polar.mask.sum(axis=1)


def octant_irregularity(window: LesionWindow) -> np.ndarray:
    """Root mean square deviation of the radius from its Fourier orders 0..2, in d, for each octant (8,)."""
    spectrum = np.fft.rfft(radii(window))
    spectrum[: _ROUGH_ORDERS[0]] = 0
    rest = np.fft.irfft(spectrum, NUM_ANGLES)
    return np.sqrt((rest.reshape(NUM_OCTANTS, -1) ** 2).mean(axis=1)) / DIAMETER_PX


def octant_abruptness(window: LesionWindow) -> tuple[np.ndarray, np.ndarray]:
    """Per octant the steepest Lab step between 0.06 d wide bands at the outline, and the contrast: (8,) each.

    The step is of the octant's mean colours; the contrast is between 0.21 d inside and 0.21 d outside.
    """
    band = np.floor(window.distance / _BAND_PX).astype(int) + _NUM_BANDS
    used = (band >= 0) & (band < 2 * _NUM_BANDS) & window.seen
    cell = (_octants() * 2 * _NUM_BANDS + band)[used]
    num_cells = NUM_OCTANTS * 2 * _NUM_BANDS
    count = np.bincount(cell, minlength=num_cells)
    colours = window.lab[used]
    sums = np.stack([np.bincount(cell, colours[:, c], num_cells) for c in range(3)], axis=-1)
    profile = (sums / np.maximum(count, 1)[:, None]).reshape(NUM_OCTANTS, -1, 3)
    known = (count > 0).reshape(NUM_OCTANTS, -1)
    step = np.linalg.norm(np.diff(profile, axis=1), axis=-1) * (known[:, 1:] & known[:, :-1])
    # only steps at the outline count: farther ones are structure of the lesion or of the skin
    steep = step[:, 2:7].max(axis=1)
    contrast = np.linalg.norm(profile[:, -2] - profile[:, 1], axis=-1) * (
        known[:, -2] & known[:, 1]
    )
    return steep, contrast


def _pigmented(window: LesionWindow, pigment: np.ndarray, level: float) -> np.ndarray:
    return (pigment > level) & (window.distance > -0.2 * DIAMETER_PX) & window.seen


def _roughness(radius: np.ndarray) -> float:
    spectrum = np.abs(np.fft.rfft(radius))
    low, high = _ROUGH_ORDERS
    return float(np.sqrt(2 * (spectrum[low:high] ** 2).sum()) / max(spectrum[0], 1e-6))


@lru_cache(maxsize=1)
def _octants() -> np.ndarray:
    steps = np.arange(WINDOW_PX) - (WINDOW_PX - 1) / 2
    angle = np.arctan2(steps[:, None], steps[None]) % (2 * np.pi)
    return np.minimum((angle / (2 * np.pi) * NUM_OCTANTS).astype(int), NUM_OCTANTS - 1)
