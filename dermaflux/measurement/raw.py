"""All raw measures of one lesion in one dict: the numbers the calibration reads and the record keeps.

It only gathers what `asymmetry`, `border`, `colour` and `skin` compute on a shared window.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from dermaflux.domain.lesion import Colour
from dermaflux.measurement.asymmetry import asymmetry_measures
from dermaflux.measurement.border import border_measures
from dermaflux.measurement.colour import (
    clean_regions,
    colour_measures,
    colour_shares,
    pigment_map,
    skin_lab,
)
from dermaflux.measurement.masks import frame_share
from dermaflux.measurement.skin import ita_degrees, skin_measures
from dermaflux.measurement.window import lesion_window

MEASURES_VERSION = "1"
"""Raised whenever a formula changes, so that stored raw measures are made again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RawMeasures:
    """`values` by name, finite floats; `shares` of the six colours, 0..1, summing to 1."""

    values: Mapping[str, float]
    shares: Mapping[Colour, float]


def raw_measures(rgb: np.ndarray, mask: np.ndarray) -> RawMeasures:
    """Every raw measure of an RGB uint8 picture (H, W, 3) and its bool mask (H, W).

    The names and formulas stand in the modules that compute them. `ita_degrees` and `skin_*` are
    there only when skin is seen. Raises NotMeasurable for an empty mask.
    """
    window = lesion_window(rgb, mask)
    regions = clean_regions(window)
    skin = skin_lab(window, regions)
    pigment = pigment_map(window, regions, skin)
    shares = colour_shares(window, regions, skin)
    border = border_measures(window, pigment)
    values = {
        **asymmetry_measures(window, pigment),
        **border,
        **colour_measures(window, regions, shares, border["border_contrast"]),
        **skin_measures(window, regions, skin),
        **{f"share_{colour.name.lower()}": share for colour, share in shares.items()},
        "lesion_area_fraction": float(mask.mean()),
        "frame_share": frame_share(mask),
    }
    return RawMeasures(values={name: float(value) for name, value in values.items()}, shares=shares)


def skin_angle(rgb: np.ndarray, mask: np.ndarray) -> float | None:
    """The `ita_degrees` of `raw_measures` alone, None where these leave it out. Raises NotMeasurable for no lesion."""
    window = lesion_window(rgb, mask)
    skin = skin_lab(window, clean_regions(window))
    return None if skin is None else ita_degrees(float(skin[0]), float(skin[2]))
