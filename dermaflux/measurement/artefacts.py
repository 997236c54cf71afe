"""Marks of the dermoscope and its user in a picture: dark corners, hair, ink, a ruler. Scores, and which are there.

A classifier can learn them in place of the lesion, and a generator can draw them with one diagnosis and not another.
Pictures are compared at one size, so that a sharper set does not seem to have more hair. The thresholds were set by
eye: shares are for comparing sets, not a finding on one picture. A ruler is found along a side of the frame, small ones
and slanted ones mostly not. Bubbles and gel are not looked for.
"""

from dataclasses import dataclass

import numpy as np
from PIL import Image
from scipy import ndimage
from skimage.color import rgb2lab

from dermaflux.measurement.masks import connected_parts

SIDE_PX = 128
_CORNER_RADIUS, _MIDDLE_RADII = 0.92, (0.35, 0.6)  # shares of the half diagonal
_LINE_SIZE_PX = 7
_HAIR_DEPTH, _HAIR_LENGTH_PX, _HAIR_WIDTH_PX = 7.0, 20.0, 3.0
_INK_CHROMA, _INK_SHIFT = 18.0, 22.0
_MARGIN_PX = 5
_BAND_PX = 20
_TICKS, _MARK_DEPTH = (8, 42), 3.0  # ticks along a side; how dark, in L*, the darkest is over the band


@dataclass(frozen=True, slots=True, kw_only=True)
class Artefacts:
    """Scores of one picture, each 0 for none: vignette 0..1, hair and ink shares of the frame, ruler 0..1."""

    vignette: float
    hair: float
    ink: float
    ruler: float

    def present(self) -> dict[str, bool]:
        """Which marks are there, by the thresholds of this module."""
        return {name: getattr(self, name) >= threshold for name, threshold in THRESHOLDS.items()}


THRESHOLDS = {"vignette": 0.2, "hair": 0.004, "ink": 0.004, "ruler": 0.68}


def find_artefacts(image: Image.Image, mask: np.ndarray) -> Artefacts:
    """Score a picture whose lesion is `mask`, bool (H, W) in its size; all false when there is none."""
    small = image.convert("RGB").resize((SIDE_PX, SIDE_PX), Image.Resampling.LANCZOS)
    flags = Image.fromarray(mask.astype(np.uint8) * 255).resize((SIDE_PX, SIDE_PX))
    lesion = np.asarray(ndimage.binary_dilation(np.asarray(flags) > 127, iterations=_MARGIN_PX), dtype=bool)
    lab = rgb2lab(np.asarray(small))
    lines = np.asarray(ndimage.grey_closing(lab[..., 0], size=(_LINE_SIZE_PX, _LINE_SIZE_PX))) - lab[..., 0]
    outside = ~lesion
    return Artefacts(
        vignette=_darkness(lab[..., 0], outside),
        hair=float(_long_thin(lines > _HAIR_DEPTH, outside).mean()),
        ink=float(_ink(lab, outside).mean()),
        ruler=_ruler(lines * outside),
    )


def vignette(pixels: np.ndarray, outside: np.ndarray) -> float:
    """The score of the corners alone, of pixels (H, W, 3) uint8 as they are; `outside`, bool (H, W), is not lesion."""
    return _darkness(rgb2lab(pixels)[..., 0], outside)


def radius_share(height_px: int, width_px: int) -> np.ndarray:
    """How far each pixel lies from the middle (H, W): 0 there, 1 in a corner."""
    down, across = np.linspace(-1, 1, height_px), np.linspace(-1, 1, width_px)
    return np.hypot(down[:, None], across[None, :]) / np.sqrt(2)


def _darkness(lightness: np.ndarray, outside: np.ndarray) -> float:
    """How much darker the corners are than the skin around the middle: 0 as light, 1 black."""
    radius = radius_share(*lightness.shape)
    skin = outside & (radius > _MIDDLE_RADII[0]) & (radius < _MIDDLE_RADII[1])
    if not skin.any():
        return 0.0
    corners = np.median(lightness[radius > _CORNER_RADIUS])
    return float(np.clip(1 - corners / max(np.median(lightness[skin]), 1.0), 0, 1))


def _long_thin(dark: np.ndarray, outside: np.ndarray) -> np.ndarray:
    """The parts of a map that are long and thin as hairs are, and lie outside the lesion."""
    labels, count = connected_parts(dark & outside, diagonal=True)
    sizes = np.bincount(labels.ravel(), minlength=count + 1)
    keep = np.zeros(count + 1, dtype=bool)
    for number, (rows, columns) in enumerate(ndimage.find_objects(labels), start=1):
        length = np.hypot(rows.stop - rows.start, columns.stop - columns.start)
        keep[number] = length >= _HAIR_LENGTH_PX and sizes[number] <= _HAIR_WIDTH_PX * length
    return keep[labels]


def _ink(lab: np.ndarray, outside: np.ndarray) -> np.ndarray:
    """Pixels outside the lesion far bluer or greener than the skin, and strongly coloured."""
    skin = np.median(lab[outside], axis=0) if outside.any() else np.zeros(3)
    shift = lab - skin
    strong = np.hypot(lab[..., 1], lab[..., 2]) > _INK_CHROMA
    other = (shift[..., 2] < -_INK_SHIFT) | (shift[..., 1] < -_INK_SHIFT)
    return outside & strong & other & (lab[..., 0] > 8)


def _ruler(lines: np.ndarray) -> float:
    """How much of the dark thin marks along the most regular side stand at one even distance, 0..1."""
    bands = (lines[:_BAND_PX], lines[-_BAND_PX:], lines[:, :_BAND_PX].T, lines[:, -_BAND_PX:].T)
    return max(_regularity(band.mean(axis=0)) for band in bands)


def _regularity(profile: np.ndarray) -> float:
    """The share of a profile's power in its strongest frequency of a ruler's range; 0 where hardly a mark is."""
    if profile.max() < _MARK_DEPTH:
        return 0.0
    waves = profile - ndimage.uniform_filter1d(profile, SIDE_PX // 6)
    power = np.abs(np.fft.rfft(waves * np.hanning(SIDE_PX))) ** 2
    peak = _TICKS[0] + int(np.argmax(power[_TICKS[0] : _TICKS[1]]))
    return float(power[peak - 1 : peak + 2].sum() / max(power[1:].sum(), 1e-9))
