"""From probabilities to masks, and every refusal: typed, in words, never a number."""

import numpy as np
import pytest
from PIL import Image

from dermaflux.domain.errors import NotMeasurable
from dermaflux.measurement.masks import (
    analysis_mask,
    analysis_picture,
    check_certain,
    check_measurable,
    frame_share,
    lesion_mask,
    main_component,
    mask_confidence,
)


def disc_mask(size_px: int, radius_px: float, centre: tuple[float, float]) -> np.ndarray:
    y, x = np.indices((size_px, size_px)) + 0.5
    return np.hypot(x - centre[0], y - centre[1]) < radius_px


def noise(width: int, height: int) -> Image.Image:
    rng = np.random.default_rng(0)
    return Image.fromarray(rng.integers(0, 255, (height, width, 3), dtype=np.uint8))


@pytest.mark.parametrize("size_px", [(200, 150), (600, 450), (128, 128), (1024, 768), (90, 300)])
def test_pictures_come_to_one_area_with_their_aspect(size_px) -> None:
    picture = analysis_picture(noise(*size_px))
    assert picture.width * picture.height == pytest.approx(30_000, rel=0.02)
    assert picture.width / picture.height == pytest.approx(size_px[0] / size_px[1], rel=0.02)


@pytest.mark.parametrize("mode", ["L", "RGBA", "P", "1", "CMYK", "I;16"])
def test_any_mode_becomes_rgb(mode) -> None:
    source = noise(120, 100).convert("L") if mode == "I;16" else noise(120, 100)
    assert analysis_picture(source.convert(mode)).mode == "RGB"


def test_transparency_lies_on_white() -> None:
    clear = Image.new("RGBA", (200, 150), (0, 0, 0, 0))
    clear.paste((200, 10, 10, 255), (50, 50, 100, 100))
    assert analysis_picture(clear).getpixel((0, 0)) == (255, 255, 255)


@pytest.mark.parametrize(
    ("picture", "why"),
    [
        (Image.new("RGB", (200, 150), (200, 160, 150)), "blank"),
        (Image.new("RGB", (200, 150), 0), "blank"),
        (noise(20, 200), "too small"),
    ],
)
def test_pictures_without_content_are_refused(picture, why) -> None:
    with pytest.raises(NotMeasurable, match=why):
        analysis_picture(picture)


@pytest.mark.parametrize(
    ("mask", "why"),
    [
        (np.zeros((100, 100), bool), "No lesion"),
        (disc_mask(100, 4, (50, 50)), "covers only"),
        (np.ones((100, 100), bool), "covers 100%"),
        (disc_mask(100, 35, (20, 50)), "frame cuts"),
        (disc_mask(100, 40, (50, 100)), "frame cuts"),
    ],
)
def test_masks_that_cannot_be_measured_are_refused(mask, why) -> None:
    with pytest.raises(NotMeasurable, match=why):
        check_measurable(mask)


@pytest.mark.parametrize("radius_px", [8, 25, 47])
def test_a_whole_lesion_passes(radius_px) -> None:
    mask = disc_mask(100, radius_px, (50, 50))
    check_measurable(mask)
    assert frame_share(mask) == 0


def test_a_lesion_that_only_grazes_the_frame_passes() -> None:
    mask = disc_mask(100, 30, (50, 29))
    assert 0 < frame_share(mask) < 0.2
    check_measurable(mask)


def test_the_central_part_is_the_lesion_and_its_holes_are_filled() -> None:
    mask = disc_mask(100, 20, (50, 50)) & ~disc_mask(100, 6, (50, 50))
    corners = ~disc_mask(100, 62, (50, 50))
    found = main_component(mask | corners)
    assert np.array_equal(found, disc_mask(100, 20, (50, 50)))
    assert not main_component(np.zeros((10, 10), bool)).any()


def test_a_probability_map_is_cut_at_one_half_in_the_size_of_the_picture() -> None:
    y, x = np.indices((96, 128)) + 0.5
    probability = 1 / (1 + np.exp(0.5 * (np.hypot(x - 64, y - 48) - 30)))
    mask = lesion_mask(probability.astype(np.float32), (200, 150))
    assert mask.shape == (150, 200)
    assert mask.sum() == pytest.approx(np.pi * (30 * 200 / 128) ** 2, rel=0.02)


def test_confidence_falls_with_the_width_of_the_doubt() -> None:
    y, x = np.indices((96, 128)) + 0.5
    inside = 30 - np.hypot(x - 64, y - 48)
    sure, unsure = (1 / (1 + np.exp(-inside / width)) for width in (0.5, 8))
    assert mask_confidence(sure) > 0.9 > 0.6 > mask_confidence(unsure)
    assert mask_confidence(np.zeros((10, 10))) == 0
    check_certain(sure)
    with pytest.raises(NotMeasurable, match="unclear"):
        check_certain(1 / (1 + np.exp(-inside / 20)))


def test_given_masks_are_brought_to_the_picture() -> None:
    small = analysis_mask(disc_mask(400, 100, (200, 200)).astype(np.uint8), (100, 100))
    assert np.array_equal(small, disc_mask(100, 25, (50, 50)))
