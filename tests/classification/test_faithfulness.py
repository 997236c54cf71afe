"""Deletion and insertion where the answer is known to depend on one patch, and on a network that was trained."""

import numpy as np
import pytest
from PIL import Image, ImageFilter

from dermaflux.classification.faithfulness import faithfulness

PATCH = (slice(4, 8), slice(6, 16))  # 40 of 400 pixels


def _picture():
    pixels = np.zeros((20, 20, 3), dtype=np.uint8)
    pixels[PATCH] = 255
    return Image.fromarray(pixels)


def _patch_brightness(pictures):
    """A made network: its probability is the mean brightness of the patch."""
    return np.array([np.asarray(picture)[PATCH].mean() / 255 for picture in pictures])


def _map(inside, outside):
    where = np.full((20, 20), outside, dtype=np.float32)
    where[PATCH] = inside
    return where


def test_a_map_of_the_very_patch_falls_and_rises_in_the_first_step():
    found = faithfulness(_picture(), _map(1, 0), _patch_brightness, num_steps=10)
    painted = round(25.5) / 255  # the mean colour
    assert found.deletion == pytest.approx(0.1 * (1 + painted) / 2 + 0.9 * painted)
    blurred = _patch_brightness([_picture().filter(ImageFilter.GaussianBlur(2))])[0]
    assert blurred < 0.8
    assert found.insertion == pytest.approx(0.1 * (blurred + 1) / 2 + 0.9)


def test_a_map_of_all_but_the_patch_falls_and_rises_in_the_last_step():
    found = faithfulness(_picture(), _map(0, 1), _patch_brightness, num_steps=10)
    painted = round(25.5) / 255
    assert found.deletion == pytest.approx(0.9 + 0.1 * (1 + painted) / 2)
    blurred = _patch_brightness([_picture().filter(ImageFilter.GaussianBlur(2))])[0]
    assert found.insertion == pytest.approx(0.9 * blurred + 0.1 * (blurred + 1) / 2)


def test_half_of_the_patch_at_half_the_way():
    """Two steps over a map that ranks half of the patch before the rest of the picture."""
    where = np.zeros((20, 20), dtype=np.float32)
    where[4:8, 6:11] = 2
    where[10:, :18] = 1  # with the 20 pixels above, half of the frame
    found = faithfulness(_picture(), where, _patch_brightness, num_steps=2)
    painted = round(25.5) / 255
    half = (1 + painted) / 2
    assert found.deletion == pytest.approx((1 + 2 * half + painted) / 4)


def test_an_answer_that_nothing_changes_has_both_areas_at_its_height():
    found = faithfulness(_picture(), _map(1, 0), lambda pictures: np.full(len(pictures), 0.3))
    assert (found.deletion, found.insertion) == pytest.approx((0.3, 0.3))


def test_a_large_picture_is_judged_small_and_scores_as_its_small_one():
    large = _picture().resize((2000, 2000), Image.Resampling.NEAREST)
    seen = []

    def brightness(pictures):
        seen.extend(picture.size for picture in pictures)
        return np.array([np.asarray(p.resize((20, 20), Image.Resampling.BOX))[PATCH].mean() / 255 for p in pictures])

    where = np.kron(_map(1, 0), np.ones((100, 100), dtype=np.float32))
    found = faithfulness(large, where, brightness)
    small = faithfulness(_picture(), _map(1, 0), _patch_brightness)
    assert set(seen) == {(256, 256)}
    assert found.deletion == pytest.approx(small.deletion, abs=0.02)
    assert found.insertion == pytest.approx(small.insertion, abs=0.02)


@pytest.mark.parametrize("centre", [(40, 34), (24, 40), (70, 30)])
def test_on_a_trained_network_the_map_beats_its_reverse(drawn, centre):
    picture = drawn.draw(size=(96, 72), centre=centre, radius=14, malignant=True)
    where = drawn.classifier.saliency(picture, malignant=True)
    found = drawn.classifier.faithfulness(picture, where, malignant=True)
    reverse = drawn.classifier.faithfulness(picture, where.max() - where, malignant=True)
    assert found.deletion < reverse.deletion
    assert found.insertion > reverse.insertion
    benign = drawn.classifier.faithfulness(picture, where, malignant=False)
    assert benign.deletion == pytest.approx(1 - found.deletion, abs=1e-5)
