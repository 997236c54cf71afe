"""Marks drawn on plain skin are found, each by its own score; skin and a lesion alone have none."""

import numpy as np
import pytest
from PIL import Image, ImageDraw

from dermaflux.measurement.artefacts import find_artefacts

SIDE_PX = 224


def skin(seed=0):
    """Plain skin with a brown lesion in the middle, and the lesion's mask."""
    noise = np.random.default_rng(seed).normal((215, 170, 150), 5, (SIDE_PX, SIDE_PX, 3))
    image = Image.fromarray(np.clip(noise, 0, 255).astype(np.uint8))
    place = (80, 80, 144, 144)
    ImageDraw.Draw(image).ellipse(place, fill=(90, 50, 40))
    mask = Image.new("1", image.size)
    ImageDraw.Draw(mask).ellipse(place, fill=1)
    return image, np.asarray(mask)


def dark_corners(image):
    across = np.linspace(-1, 1, SIDE_PX)
    dark = np.hypot(across[:, None], across[None, :])[..., None] > 1.15
    return Image.fromarray(np.where(dark, 15, np.asarray(image)).astype(np.uint8))


def hairs(image):
    for start in range(10, 200, 60):
        ImageDraw.Draw(image).line([(start, 5), (start + 20, 70)], fill=(40, 25, 20), width=2)
    return image


def pen(image):
    ImageDraw.Draw(image).line([(5, 30), (60, 5)], fill=(60, 40, 160), width=9)
    return image


def ruler(image):
    for x in range(4, SIDE_PX, 9):
        ImageDraw.Draw(image).line([(x, SIDE_PX), (x, SIDE_PX - 20)], fill=(30, 25, 25), width=3)
    return image


def test_skin_with_a_lesion_has_none():
    assert not any(find_artefacts(*skin()).present().values())


@pytest.mark.parametrize(
    ("draw", "name"), [(dark_corners, "vignette"), (hairs, "hair"), (pen, "ink"), (ruler, "ruler")]
)
def test_a_drawn_mark_is_found_and_taken_for_no_other(draw, name):
    image, mask = skin()
    found = find_artefacts(draw(image), mask).present()
    assert [mark for mark, present in found.items() if present] == [name]


def test_what_lies_within_the_lesion_is_the_lesion():
    image, mask = skin()
    pen_inside = ImageDraw.Draw(image)
    pen_inside.line([(95, 112), (130, 112)], fill=(60, 40, 160), width=6)
    assert not find_artefacts(image, mask).present()["ink"]


def test_size_changes_little():
    image, mask = skin()
    marked = dark_corners(hairs(image))
    small = marked.resize((128, 128), Image.Resampling.LANCZOS)
    small_mask = np.asarray(Image.fromarray(mask).resize((128, 128)))
    large, little = find_artefacts(marked, mask), find_artefacts(small, small_mask)
    assert large.present() == little.present()
    assert large.vignette == pytest.approx(little.vignette, abs=0.05)


def test_a_picture_that_is_all_lesion_or_all_black_is_scored_without_a_fault():
    image, _ = skin()
    find_artefacts(image, np.ones((SIDE_PX, SIDE_PX), dtype=bool))
    find_artefacts(Image.new("RGB", (64, 64)), np.zeros((64, 64), dtype=bool))
