"""The lesion window: a picture and its mask brought to one scale, with the lesion's centroid in the middle.

Every length is then relative to the lesion's equivalent diameter d, so no measure depends on the size
of the picture. The window is also sampled in polar coordinates, where a reflection about any axis
through the centroid is an exact reordering. It knows no score and no calibration.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from PIL import Image
from scipy import ndimage
from skimage.color import rgb2lab

from dermaflux.domain.errors import NotMeasurable

WINDOW_PX = 128
DIAMETER_PX = 48.0
NUM_ANGLES = 120
NUM_RADII = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class PolarLesion:
    """The window along NUM_ANGLES rays: angle j is at j * 360 / NUM_ANGLES degrees from the x axis towards y.

    mask (T, R) in 0..1, lab (T, R, 3) slightly blurred, weight (R,) the area of a cell in px^2.
    A row is one ray from the centroid outwards.
    """

    mask: np.ndarray
    lab: np.ndarray
    weight: np.ndarray


@dataclass(frozen=True, slots=True, kw_only=True)
class LesionWindow:
    """A lesion at standard scale: d is DIAMETER_PX, the centroid lies between the middle pixels.

    lab (N, N, 3) CIE Lab D65; coverage (N, N) the mask, antialiased; seen (N, N) false beyond the
    frame; distance (N, N) signed px to the outline, inside positive.
    """

    lab: np.ndarray
    coverage: np.ndarray
    seen: np.ndarray
    distance: np.ndarray
    polar: PolarLesion

    @property
    def mask(self) -> np.ndarray:
        """The lesion as bool (N, N)."""
        return self.coverage >= 0.5


def lesion_window(rgb: np.ndarray, mask: np.ndarray) -> LesionWindow:
    """The standard window of an RGB uint8 picture (H, W, 3) and a non-empty bool mask (H, W).

    Raises NotMeasurable for an empty mask.
    """
    area_px = float(mask.sum())
    if area_px == 0:
        raise NotMeasurable(
            "The mask is empty: there is no lesion to measure. Use a picture that shows one."
        )
    rows, columns = np.nonzero(mask)
    centre = (columns.mean() + 0.5, rows.mean() + 0.5)
    half = WINDOW_PX / 2 * np.sqrt(4 * area_px / np.pi) / DIAMETER_PX
    box = (centre[0] - half, centre[1] - half, centre[0] + half, centre[1] + half)
    lab, coverage, seen = _resampled(rgb, mask, box)
    inside = coverage >= 0.5
    within, without = (
        np.asarray(ndimage.distance_transform_edt(part)) for part in (inside, ~inside)
    )
    distance = within - without
    # between the pixel centres on both sides of the outline lies the outline itself
    distance = distance - np.sign(distance) * 0.5
    return LesionWindow(
        lab=lab,
        coverage=coverage,
        seen=seen,
        distance=distance.astype(np.float32),
        polar=_polar(lab, coverage),
    )


def _resampled(
    rgb: np.ndarray, mask: np.ndarray, box: tuple[float, float, float, float]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    height, width = mask.shape
    left, top = max(0, int(np.ceil(-box[0]))), max(0, int(np.ceil(-box[1])))
    right, bottom = max(0, int(np.ceil(box[2] - width))), max(0, int(np.ceil(box[3] - height)))
    pads = ((top, bottom), (left, right))
    window = (box[0] + left, box[1] + top, box[2] + left, box[3] + top)
    colour = Image.fromarray(np.pad(rgb, (*pads, (0, 0)), mode="edge"))
    cover = Image.fromarray(np.pad(mask.astype(np.uint8) * 255, pads))
    size_px = (WINDOW_PX, WINDOW_PX)
    pixels = (
        np.asarray(colour.resize(size_px, Image.Resampling.BICUBIC, box=window), dtype=np.float32)
        / 255
    )
    coverage = (
        np.asarray(cover.resize(size_px, Image.Resampling.BILINEAR, box=window), dtype=np.float32)
        / 255
    )
    x = np.linspace(box[0], box[2], WINDOW_PX, endpoint=False) + (box[2] - box[0]) / WINDOW_PX / 2
    y = np.linspace(box[1], box[3], WINDOW_PX, endpoint=False) + (box[3] - box[1]) / WINDOW_PX / 2
    seen = ((y >= 0) & (y < height))[:, None] & ((x >= 0) & (x < width))[None]
    return rgb2lab(pixels).astype(np.float32), coverage, seen


def sample_polar(planes: np.ndarray) -> np.ndarray:
    """Values of window planes (N, N, C) along the rays: (NUM_ANGLES, NUM_RADII, C)."""
    index, share = _polar_grid()
    flat = planes.reshape(-1, planes.shape[-1])
    values = sum(flat[corner] * part[:, None] for corner, part in zip(index, share, strict=True))
    return np.asarray(values).reshape(NUM_ANGLES, NUM_RADII, -1)


def _polar(lab: np.ndarray, coverage: np.ndarray) -> PolarLesion:
    soft = ndimage.gaussian_filter(lab, (1.0, 1.0, 0), mode="nearest")
    values = sample_polar(np.concatenate([coverage[..., None], soft], axis=-1))
    radii = np.arange(NUM_RADII) + 0.5
    weight = (2 * np.pi / NUM_ANGLES * radii).astype(np.float32)
    return PolarLesion(mask=values[..., 0], lab=values[..., 1:], weight=weight)


@lru_cache(maxsize=1)
def _polar_grid() -> tuple[np.ndarray, np.ndarray]:
    """Bilinear source indices (4, T * R) into the flat window, and their shares."""
    angle = np.arange(NUM_ANGLES)[:, None] * 2 * np.pi / NUM_ANGLES
    radius = np.arange(NUM_RADII)[None] + 0.5
    middle = (WINDOW_PX - 1) / 2
    x = np.clip(middle + radius * np.cos(angle), 0, WINDOW_PX - 1.001).ravel()
    y = np.clip(middle + radius * np.sin(angle), 0, WINDOW_PX - 1.001).ravel()
    column, row = x.astype(int), y.astype(int)
    right, down = x - column, y - row
    corner = row * WINDOW_PX + column
    index = np.stack([corner, corner + 1, corner + WINDOW_PX, corner + WINDOW_PX + 1])
    share = np.stack(
        [(1 - right) * (1 - down), right * (1 - down), (1 - right) * down, right * down]
    )
    return index, share.astype(np.float32)
