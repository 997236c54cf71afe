"""The embedded measurer on drawn lesions: through the real segmenter, in the units of the vocabulary."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dermaflux.domain.errors import InvalidRequest, ModelNotAvailable
from dermaflux.domain.lesion import Colour
from dermaflux.measurement.colour import PALETTE_RGB
from dermaflux.measurement.measurer import Measurer
from dermaflux.measurement.skin import skin_tone

MODELS = Path(__file__).parents[2] / "assets" / "models"


@pytest.fixture(scope="module")
def measurer() -> Measurer:
    return Measurer.from_folder(MODELS)


def disc(angle):
    return np.full_like(angle, 0.5)


def jagged(angle):
    return (
        0.5
        + 0.09 * np.cos(angle * 3 + 1)
        + 0.08 * np.cos(angle * 7)
        + 0.06 * np.cos(angle * 11 + 2)
    )


def sectors(*colours):
    def paint(x, y):
        turn = (np.arctan2(y, x) + np.pi) / (2 * np.pi)
        return np.array(colours, np.float32)[
            np.minimum((turn * len(colours)).astype(int), len(colours) - 1)
        ]

    return paint


@pytest.mark.parametrize("size_px", [128, 224, 450])
def test_an_even_disc_scores_zero_zero_and_one_colour(measurer, draw, size_px) -> None:
    image, mask = draw(size_px).picture(draw(size_px).shape(disc))
    for found in (measurer.measure(image), measurer.measure(image, mask)):
        assert found.refused is None
        assert found.asymmetry < 0.1
        assert found.border < 0.8
        assert found.num_colours == len(found.colours) == 1
        assert found.colour_score < 1.5
        assert found.mask_area == pytest.approx(np.pi * 0.25 / 4, abs=0.03)


@pytest.mark.parametrize("size_px", [128, 224])
def test_a_jagged_two_coloured_lesion_scores_high(measurer, draw, size_px) -> None:
    drawing = draw(size_px)
    halves = sectors((60, 35, 30), (163, 82, 16), (163, 82, 16), (110, 60, 40))
    found = measurer.measure(drawing.picture(drawing.shape(jagged), halves)[0])
    assert found.asymmetry > 1.2
    assert found.border > 5
    assert found.num_colours >= 2
    assert found.colour_score > 3


@pytest.mark.parametrize("count", [2, 3, 4])
def test_drawn_colours_are_found_by_name(measurer, draw, count) -> None:
    names = (Colour.LIGHT_BROWN, Colour.DARK_BROWN, Colour.BLACK, Colour.BLUE_GREY)[:count]
    drawing = draw(224)
    image, mask = drawing.picture(
        drawing.shape(disc), sectors(*(PALETTE_RGB[name] for name in names))
    )
    assert set(measurer.measure(image, mask).colours) == set(names)


def test_the_segmenter_finds_drawn_lesions(measurer, draw) -> None:
    for size_px, radius in ((128, disc), (224, jagged), (600, disc)):
        drawing = draw(size_px, (0.1, -0.05))
        image, mask = drawing.picture(drawing.shape(radius))
        found = measurer.segment(image)
        assert found.shape == mask.shape
        assert found.dtype == bool
        assert (found & mask).sum() / (found | mask).sum() > 0.85


def test_dark_corners_are_neither_lesion_nor_black(measurer, draw) -> None:
    drawing = draw(224)
    image, mask = drawing.picture(drawing.shape(disc))
    y, x = (np.indices((224, 224)) + 0.5 - 112) / 112
    pixels = np.asarray(image) * (np.hypot(x, y) < 1.15)[..., None]
    found = measurer.measure(Image.fromarray(pixels.astype(np.uint8)))
    assert found.refused is None
    assert Colour.BLACK not in found.colours
    assert found.mask_area == pytest.approx(float(mask.mean()), rel=0.15)


def test_pictures_that_cannot_be_measured_are_refused_without_numbers(measurer, draw) -> None:
    rng = np.random.default_rng(0)
    skin = np.array((214, 170, 150)) + rng.normal(0, 4, (150, 200, 1))
    drawing = draw(200, (-0.85, 0))
    cut, cut_mask = drawing.picture(drawing.shape(disc))
    cases = [
        measurer.measure(Image.new("RGB", (200, 150), (210, 170, 160))),
        measurer.measure(Image.fromarray(skin.clip(0, 255).astype(np.uint8))),
        measurer.measure(Image.new("RGB", (12, 12), "white")),
        measurer.measure(cut, cut_mask),
        measurer.measure(cut),
        measurer.measure(cut, np.zeros_like(cut_mask)),
        measurer.measure(cut, np.ones_like(cut_mask)),
    ]
    for found in cases:
        line = found.to_dict()
        assert found.refused
        assert not found.raw
        assert all(
            line[name] is None
            for name in ("asymmetry", "border", "colours", "num_colours", "mask_area")
        )


@pytest.mark.parametrize("mode", ["L", "RGBA", "P"])
def test_modes_and_large_pictures_are_measured(measurer, draw, mode) -> None:
    image, _ = draw(200).picture(draw(200).shape(disc))
    assert measurer.measure(image.convert(mode)).refused is None
    assert measurer.measure(image.convert(mode).resize((1600, 1600))).asymmetry < 0.2


def test_the_record_is_json_and_the_same_each_time(measurer, draw) -> None:
    image, _ = draw(160).picture(draw(160).shape(jagged))
    first, second = measurer.measure(image), measurer.measure(image)
    assert json.loads(json.dumps(first.to_dict())) == json.loads(json.dumps(second.to_dict()))
    assert all(np.isfinite(value) for value in first.raw.values())
    assert {"asymmetry_shape", "border_abruptness", "border_irregularity", "ita_degrees"} <= set(
        first.raw
    )


def test_the_skin_tone_is_that_of_the_measured_angle_and_none_without_skin(measurer, draw) -> None:
    image, _ = draw(224).picture(draw(224).shape(disc))
    assert measurer.skin_tone(image) == skin_tone(measurer.measure(image).raw["ita_degrees"])
    assert measurer.skin_tone(Image.new("RGB", (224, 224), (214, 170, 150))) is None
    cut = image.crop((70, 0, 224, 224))
    assert measurer.measure(cut).refused is not None
    assert measurer.skin_tone(cut) == measurer.skin_tone(image), "what cannot be measured still shows skin"


def test_a_mask_of_another_size_is_the_callers_mistake(measurer, draw) -> None:
    image, _ = draw(128).picture(draw(128).shape(disc))
    with pytest.raises(InvalidRequest, match="mask"):
        measurer.measure(image, np.ones((10, 10), bool))


def test_missing_weights_are_said(tmp_path: Path) -> None:
    with pytest.raises(ModelNotAvailable):
        Measurer.from_folder(tmp_path / "models")
