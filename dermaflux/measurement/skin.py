"""Skin tone around the lesion: the individual typology angle and its bins, as an estimate only.

Dermoscope light, gel and white balance are uncalibrated, so the angle is relative to its source and
never a clinical Fitzpatrick type.
"""

import math

import numpy as np

from dermaflux.domain.lesion import SkinTone
from dermaflux.measurement.colour import Regions
from dermaflux.measurement.window import LesionWindow

# Groh 2021, lower cuts of Fitzpatrick I..V; below the last is VI.
_TONE_CUTS_DEGREES = (40.0, 23.0, 12.0, 0.0, -25.0)
_MIN_LIGHTNESS, _MIN_YELLOW = 15.0, 0.5


def skin_measures(
    window: LesionWindow, regions: Regions, skin: np.ndarray | None
) -> dict[str, float]:
    """ita_degrees, skin_lightness and contrast_lightness (skin minus lesion median); empty when no skin is seen.

    ita_degrees is left out too when b* is near or below zero (no skin colour: the angle would jump).
    """
    if skin is None:
        return {}
    lesion = float(np.median(window.lab[..., 0][regions.lesion]))
    values = {"skin_lightness": float(skin[0]), "contrast_lightness": float(skin[0]) - lesion}
    angle = ita_degrees(float(skin[0]), float(skin[2]))
    return values if angle is None else values | {"ita_degrees": angle}


def ita_degrees(lightness: float, yellow: float) -> float | None:
    """Individual typology angle atan2(L* - 50, b*) in degrees, None where it means nothing."""
    if lightness < _MIN_LIGHTNESS or yellow < _MIN_YELLOW:
        return None
    return math.degrees(math.atan2(lightness - 50, yellow))


def skin_tone(angle_degrees: float) -> SkinTone:
    """The Fitzpatrick type an angle is nearest to by Groh's cuts: an estimate, not a finding."""
    return tuple(SkinTone)[sum(angle_degrees <= cut for cut in _TONE_CUTS_DEGREES)]
