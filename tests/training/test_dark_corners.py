"""Even light, on drawn skin with a known fall of the light: divided out where there is one."""

import numpy as np
import pytest

from dermaflux.measurement.artefacts import radius_share, vignette
from training.dark_corners import MAX_LEFT, without_dark_corners

SIDE = 96
RADIUS = radius_share(SIDE, SIDE)
LESION = RADIUS < 0.3


def skin(fall=0.0, seed=0):
    """Skin with a brown lesion in the middle, `fall` darker in the corners than at half way out."""
    grain = np.random.default_rng(seed).normal(0, 2, (SIDE, SIDE, 1))
    colours = np.where(LESION[..., None], (110, 70, 50), (215, 170, 150)) + grain
    light = 1 - fall * np.clip((RADIUS - 0.5) / 0.5, 0, 1) ** 2
    return np.clip(colours * light[..., None], 0, 255).astype(np.uint8)


def test_even_pictures_come_back_as_they_were():
    picture = skin()
    assert without_dark_corners(picture, LESION) is picture


@pytest.mark.parametrize("fall", [0.2, 0.35, 0.5])
def test_the_fall_of_the_light_is_divided_out_and_the_lesion_kept(fall):
    found = without_dark_corners(skin(fall), LESION)
    assert found is not None
    assert vignette(found, ~LESION) < 0.05
    assert np.abs(found.astype(int) - skin()).mean() < 3
    assert np.array_equal(found[LESION & (RADIUS < 0.25)], skin(fall)[LESION & (RADIUS < 0.25)])


def test_black_corners_cannot_be_brought_back():
    black = skin()
    black[RADIUS > 0.8] = 0
    assert vignette(black, ~LESION) > MAX_LEFT
    assert without_dark_corners(black, LESION) is None


def test_a_lesion_that_reaches_the_corners_is_not_taken_for_a_shadow():
    """Where no skin is seen there is nothing to read the light from."""
    filled = np.full((SIDE, SIDE, 3), (110, 70, 50), np.uint8)
    assert without_dark_corners(filled, np.ones((SIDE, SIDE), bool)) is filled


def test_the_gain_differs_between_colours():
    """Shadows are warmer than the light: each colour is raised by its own fall."""
    warm = skin().astype(float)
    fall = np.clip((RADIUS - 0.5) / 0.5, 0, 1) ** 2
    warm *= 1 - fall[..., None] * np.array([0.2, 0.35, 0.4])
    found = without_dark_corners(warm.astype(np.uint8), LESION)
    assert found is not None
    assert np.abs(found[RADIUS > 0.92].mean(0) - skin()[RADIUS > 0.92].mean(0)).max() < 8
