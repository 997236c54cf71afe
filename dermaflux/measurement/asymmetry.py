"""Asymmetry of shape and colour: folds about searched axes, never only the principal ones.

Works on a `LesionWindow`; it knows neither calibration nor units of the ABCD rule.
"""

from functools import lru_cache

import numpy as np

from dermaflux.measurement.window import (
    DIAMETER_PX,
    NUM_ANGLES,
    LesionWindow,
    PolarLesion,
    sample_polar,
)

NUM_AXES = 30  # every 6 degrees over half a turn


def asymmetry_measures(window: LesionWindow, pigment: np.ndarray) -> dict[str, float]:
    """Raw asymmetry measures, 0 for a perfectly symmetric lesion.

    asymmetry_shape: AI(t) + AI(t + 90) of the best axis pair, AI = area(M xor F M) / 2A, 0..2.
    asymmetry_pigment: the same of the pigment map (0..1) in the lesion's neighbourhood.
    asymmetry_colour: mean Lab distance between a point and its mirror inside both, same pair search.
    asymmetry_total: the same over the union, so that shape counts in colour units.
    asymmetry_offset: distance of the darkness-weighted centroid from the centroid, in d.
    """
    polar = window.polar
    near = (window.distance > -0.2 * DIAMETER_PX) & window.seen
    density = sample_polar((np.clip(pigment, 0, 1) * near)[..., None])[..., 0]
    colour, total = _colour_folds(polar)
    return {
        "asymmetry_shape": _best_pair(_density_fold(polar.mask, polar.weight)),
        "asymmetry_pigment": _best_pair(_density_fold(density, polar.weight)),
        "asymmetry_colour": _best_pair(colour) / 2,
        "asymmetry_total": _best_pair(total) / 2,
        "asymmetry_offset": _dark_offset(window),
    }


def _density_fold(density: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Sum of |density - mirrored density| over twice the whole, for every axis: (NUM_AXES,)."""
    whole = max(float((density * weight).sum()), 1e-6)
    return np.array(
        [
            (np.abs(density - density[order]) * weight).sum() / (2 * whole)
            for order in _mirror_index()
        ]
    )


def _colour_folds(polar: PolarLesion) -> tuple[np.ndarray, np.ndarray]:
    """Mean Lab distance to the mirror image, over the overlap and over the union: (NUM_AXES,) each."""
    used = int(np.flatnonzero(polar.mask.max(axis=0) > 0.02).max(initial=0)) + 1
    mask, lab = polar.mask[:, :used], np.ascontiguousarray(polar.lab[:, :used])
    weight = polar.weight[:used]
    colour, total = np.empty((2, NUM_AXES))
    for axis, order in enumerate(_mirror_index()):
        other, difference = mask[order], lab - lab[order]
        both, either = mask * other * weight, np.maximum(mask, other) * weight
        distance = np.sqrt(np.einsum("trc,trc->tr", difference, difference))
        colour[axis] = (distance * both).sum() / max(float(both.sum()), 1e-6)
        total[axis] = (distance * either).sum() / float(either.sum())
    return colour, total


def _best_pair(fold: np.ndarray) -> float:
    return float((fold + np.roll(fold, -NUM_AXES // 2)).min())


def _dark_offset(window: LesionWindow) -> float:
    inside, lightness = window.mask, window.lab[..., 0]
    weight = np.where(inside, np.maximum(0, lightness[inside].mean() - lightness), 0)
    total = float(weight.sum())
    if total < 1e-3 * inside.sum():
        return 0.0
    middle = (len(weight) - 1) / 2
    steps = np.arange(len(weight)) - middle
    x, y = (weight.sum(axis=0) * steps).sum() / total, (weight.sum(axis=1) * steps).sum() / total
    return float(np.hypot(x, y) / DIAMETER_PX)


@lru_cache(maxsize=1)
def _mirror_index() -> np.ndarray:
    """For axis k at k * 180 / NUM_AXES degrees: which ray each ray is mirrored to, (NUM_AXES, NUM_ANGLES)."""
    turns = np.arange(NUM_AXES) * NUM_ANGLES // NUM_AXES  # twice the axis angle, in rays
    return (turns[:, None] - np.arange(NUM_ANGLES)[None]) % NUM_ANGLES
