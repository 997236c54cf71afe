"""Colours of a lesion: shares of the six ABCD colours, variegation, pigment, beside the skin's own colour.

Glare, hair, dark corners and everything beyond the frame are left out first. It knows no threshold
that turns shares into a set of colours; that is calibrated (`calibration`).
"""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from skimage.color import rgb2lab

from dermaflux.domain.lesion import Colour
from dermaflux.measurement.masks import connected_parts
from dermaflux.measurement.window import DIAMETER_PX, LesionWindow

# Kasmi and Mokrani 2016 (10.1049/iet-ipr.2015.0385), RGB, in the vocabulary's order.
PALETTE_RGB = {
    Colour.WHITE: (197, 188, 217),
    Colour.RED: (118, 21, 17),
    Colour.LIGHT_BROWN: (163, 82, 16),
    Colour.DARK_BROWN: (135, 44, 5),
    Colour.BLUE_GREY: (113, 108, 139),
    Colour.BLACK: (41, 31, 30),
}
# Skin whose a* or b* lies outside is a colour cast (half of HAM10000 shows pink or bluish skin).
SKIN_A_RANGE, SKIN_B_RANGE = (10.0, 22.0), (12.0, 22.0)
_GLARE_LIGHTNESS, _GLARE_CHROMA = 95.0, 8.0
_CORNER_LIGHTNESS = 18.0
_SKIN_RING_PX = (0.15 * DIAMETER_PX, 0.6 * DIAMETER_PX)
_CORE_PX = 0.08 * DIAMETER_PX
_MIN_SKIN_PX = 60
_HAIR_DEPTH_LAB = 12.0
_NUM_DEPTHS = 10
_CONTRAST_FLOOR = 5.0
_MAX_STEP_LAB = 8.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Regions:
    """Bool (N, N) maps of usable pixels: the lesion, its core without the outline's blur, the skin ring."""

    lesion: np.ndarray
    core: np.ndarray
    skin: np.ndarray


def clean_regions(window: LesionWindow) -> Regions:
    """Lesion, core (0.08 d in) and skin ring (0.15 to 0.6 d out) without glare, hair, corners and the unseen."""
    lightness = window.lab[..., 0]
    chroma = np.hypot(window.lab[..., 1], window.lab[..., 2])
    glare = (lightness > _GLARE_LIGHTNESS) & (chroma < _GLARE_CHROMA)
    usable = window.seen & ~glare & ~_hair(lightness)
    inside = window.distance > 0
    outside = (window.distance < -_SKIN_RING_PX[0]) & (window.distance > -_SKIN_RING_PX[1])
    lesion = usable & inside
    if lesion.sum() < 0.3 * inside.sum():
        lesion = window.seen & inside
    core = lesion & (window.distance > _CORE_PX)
    if core.sum() < 0.2 * lesion.sum():
        core = lesion
    return Regions(
        lesion=lesion, core=core, skin=usable & outside & (lightness > _CORNER_LIGHTNESS)
    )


def skin_lab(window: LesionWindow, regions: Regions) -> np.ndarray | None:
    """Median Lab of the skin ring (3,), or None when too little skin is seen."""
    if regions.skin.sum() < _MIN_SKIN_PX:
        return None
    return np.median(window.lab[regions.skin], axis=0)


def pigment_map(window: LesionWindow, regions: Regions, skin: np.ndarray | None) -> np.ndarray:
    """How far each pixel's colour is from skin towards the lesion's rim, float (N, N): skin 0, rim 1.

    The rim is the median colour 0.06 to 0.2 d inside the outline. Smoothed by 1 px.
    """
    around = skin if skin is not None else _lightest(window, regions)
    rim_band = (window.distance > 0.06 * DIAMETER_PX) & (window.distance < 0.2 * DIAMETER_PX)
    rim = rim_band & window.seen
    direction = np.median(window.lab[rim if rim.any() else regions.lesion], axis=0) - around
    length = max(float(direction @ direction), 9.0)  # a contrast under 3 Lab units is noise
    return ndimage.gaussian_filter((window.lab - around) @ direction / length, 1.0)


def colour_shares(
    window: LesionWindow, regions: Regions, skin: np.ndarray | None
) -> dict[Colour, float]:
    """The share of the core nearest to each reference colour in Lab; they sum to 1.

    A colour cast is taken off first: a* and b* are shifted until the skin has a skin's colour. White counts
    only where it is lighter than the skin; else the next nearest colour takes the pixel.
    """
    pixels = window.lab[_without_blends(window.lab, regions.core)] + cast_shift(skin)
    distance = np.linalg.norm(pixels[:, None] - palette_lab()[None], axis=-1)
    if skin is not None:
        white = tuple(Colour).index(Colour.WHITE)
        distance[pixels[:, 0] <= skin[0], white] = np.inf
    share = np.bincount(distance.argmin(axis=1), minlength=len(Colour)) / len(pixels)
    return {colour: float(value) for colour, value in zip(Colour, share, strict=True)}


def cast_shift(skin: np.ndarray | None) -> np.ndarray:
    """The Lab shift (3,) that brings a skin colour into the range of skin; L* is never moved."""
    if skin is None:
        return np.zeros(3, dtype=np.float32)
    wanted = np.array([skin[0], np.clip(skin[1], *SKIN_A_RANGE), np.clip(skin[2], *SKIN_B_RANGE)])
    return (wanted - skin).astype(np.float32)


def colour_measures(
    window: LesionWindow, regions: Regions, shares: dict[Colour, float], contrast: float
) -> dict[str, float]:
    """Raw variegation, 0 (or lowest) for one even colour, in Lab units; contrast is that of the border.

    colour_spread sqrt of the total variance of the core; colour_logdet log det (Cov Lab + I);
    colour_third the least spread direction's sd; colour_mottle sd after removing the mean of each depth
    below the outline; colour_texture sd against a 1.5 px blur; colour_entropy of the six shares, in nats;
    the two _relative ones are over the contrast with the skin, as an eye adapted to it sees them.
    """
    pixels = window.lab[regions.core].astype(np.float64)
    covariance = np.cov(pixels.T)
    fine = window.lab - ndimage.gaussian_filter(window.lab, (1.5, 1.5, 0))
    share = np.array([value for value in shares.values() if value > 0])
    mottle = _mottle(window.lab, window.distance, regions.core)
    texture = float(np.sqrt((fine[regions.core] ** 2).sum(axis=-1).mean()))
    return {
        "colour_spread": float(np.sqrt(np.trace(covariance))),
        "colour_logdet": float(np.linalg.slogdet(covariance + np.eye(3))[1]),
        "colour_third": float(np.sqrt(max(np.linalg.eigvalsh(covariance)[0], 0.0))),
        "colour_hue_spread": float(np.sqrt(np.trace(covariance[1:, 1:]))),
        "colour_mottle": mottle,
        "colour_texture": texture,
        "colour_mottle_relative": mottle / (contrast + _CONTRAST_FLOOR),
        "colour_texture_relative": texture / (contrast + _CONTRAST_FLOOR),
        "colour_entropy": float(-(share * np.log(share)).sum()),
    }


def palette_lab() -> np.ndarray:
    """The six reference colours in Lab, (6, 3)."""
    rgb = np.array([PALETTE_RGB[colour] for colour in Colour], dtype=np.float32) / 255
    return rgb2lab(rgb[None])[0]


def _without_blends(lab: np.ndarray, region: np.ndarray) -> np.ndarray:
    """The region without pixels on a sharp edge, whose colour is a mix of both sides and lies in neither."""
    rows, columns = np.gradient(lab, axis=(0, 1))
    flat = region & ((rows**2 + columns**2).sum(axis=-1) < _MAX_STEP_LAB**2)
    return flat if flat.sum() >= 0.5 * region.sum() else region


def _mottle(lab: np.ndarray, distance: np.ndarray, region: np.ndarray) -> float:
    depth = np.clip(distance[region] / (DIAMETER_PX / 2) * _NUM_DEPTHS, 0, _NUM_DEPTHS - 1).astype(
        int
    )
    pixels = lab[region]
    count = np.maximum(np.bincount(depth, minlength=_NUM_DEPTHS), 1)
    means = np.stack(
        [np.bincount(depth, pixels[:, c], _NUM_DEPTHS) / count for c in range(3)], axis=-1
    )
    return float(np.sqrt(((pixels - means[depth]) ** 2).sum(axis=1).mean()))


def _lightest(window: LesionWindow, regions: Regions) -> np.ndarray:
    outside = window.seen & (window.distance < 0)
    pixels = window.lab[outside if outside.sum() >= _MIN_SKIN_PX else regions.lesion]
    return np.median(pixels[pixels[:, 0] >= np.percentile(pixels[:, 0], 75)], axis=0)


def _hair(lightness: np.ndarray) -> np.ndarray:
    closed = np.asarray(ndimage.grey_closing(lightness, size=(7, 7)))
    labels, count = connected_parts(closed - lightness > _HAIR_DEPTH_LAB, diagonal=True)
    keep = np.zeros(count + 1, dtype=bool)
    sizes = np.bincount(labels.ravel(), minlength=count + 1)
    for number, (rows, columns) in enumerate(ndimage.find_objects(labels), start=1):
        length = np.hypot(rows.stop - rows.start, columns.stop - columns.start)
        keep[number] = length > 0.5 * DIAMETER_PX and sizes[number] < 4 * length
    return keep[labels]
