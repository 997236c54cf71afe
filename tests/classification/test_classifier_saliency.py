"""The map lies where the evidence is, on the picture's own frame."""

import numpy as np
import pytest
import torch
from PIL import Image

from dermaflux.classification import overlay
from dermaflux.classification.architecture import Architecture
from dermaflux.classification.calibration import identity
from dermaflux.classification.checkpoint import CheckpointFacts
from dermaflux.classification.classifier import LesionClassifier
from dermaflux.classification.preprocessing import InputFacts, turned, unturned
from dermaflux.classification.saliency import merge_turns, on_frame
from dermaflux.domain.errors import InvalidRequest


def _untrained(name, size_px, crop="centre"):
    torch.manual_seed(0)
    architecture = Architecture(name=name, size_px=size_px, num_classes=2)
    facts = CheckpointFacts(
        architecture=architecture,
        inputs=InputFacts(size_px=size_px, mean=(0.5,) * 3, std=(0.25,) * 3, crop=crop),
        class_names=("nv", "mel"),
        calibration=identity(2),
        threshold=0.5,
    )
    return LesionClassifier(architecture.build(), facts)


@pytest.mark.parametrize("count", [1, 2, 4, 8])
def test_turns_are_distinct_and_undone(count):
    square = np.arange(25).reshape(5, 5)
    all_turns = turned(square, count)
    assert len({turn.tobytes() for turn in all_turns}) == count
    for index, turn in enumerate(all_turns):
        np.testing.assert_array_equal(unturned(turn, index), square)


def test_merging_turns_brings_every_map_upright():
    upright = np.zeros((4, 4))
    upright[0, 1] = 1
    (merged,) = merge_turns(np.stack(turned(upright, 8)), 1)
    np.testing.assert_allclose(merged, upright)


def test_a_map_of_the_centre_lies_on_the_centre_of_a_wide_frame():
    hot = np.zeros((3, 3), dtype=np.float32)
    hot[1, 1] = 1
    frame = on_frame([hot], [(25, 0, 175, 150)], (200, 150))
    assert frame.shape == (150, 200) and frame.dtype == np.float32
    assert frame[:, :25].max() == frame[:, 175:].max() == 0
    row, column = np.unravel_index(frame.argmax(), frame.shape)
    assert (abs(row - 75), abs(column - 100)) <= (1, 1)
    assert frame.min() == 0 and frame.max() == 1


def test_views_are_averaged_where_both_looked():
    flat, hot = np.zeros((2, 2), np.float32), np.ones((2, 2), np.float32)
    frame = on_frame([hot, flat], [(2, 0, 6, 4), (0, 0, 8, 4)], (8, 4))
    np.testing.assert_allclose(frame[:, 2:6], 1)
    np.testing.assert_allclose(frame[:, [0, 1, 6, 7]], 0)


@pytest.mark.parametrize("centre", [(20, 20), (76, 24), (48, 72), (70, 70)])
def test_the_map_is_hottest_on_the_drawn_spot(drawn, centre):
    picture = drawn.draw(size=(96, 96), centre=centre, radius=14, malignant=True)
    where = drawn.classifier.saliency(picture, malignant=True)
    assert where.shape == (96, 96) and where.dtype == np.float32
    rows, columns = np.mgrid[:96, :96]
    inside = (columns - centre[0]) ** 2 + (rows - centre[1]) ** 2 <= 20**2
    assert where[inside].mean() > 1.5 * where[~inside].mean()


@pytest.mark.parametrize("crop", ["centre", "whole", "both"])
@pytest.mark.parametrize(
    ("model", "size_px"),
    [("stem_vit_tiny", 64), ("test_vit", 160), ("test_vit3", 160), ("test_resnet", 64), ("test_convnext", 64)],
)
def test_any_network_gives_a_map_on_the_frame(drawn, model, size_px, crop):
    # test_vit3 has register tokens and no class token pooling; test_resnet goes by Grad-CAM.
    classifier = _untrained(model, size_px, crop)
    where = classifier.saliency(drawn.draw(size=(120, 80)), malignant=True)
    assert where.shape == (80, 120) and np.isfinite(where).all()
    assert where.min() >= 0 and where.max() <= 1
    if crop == "centre":
        assert where[:, :20].max() == where[:, 100:].max() == 0


def test_register_tokens_never_move_the_map():
    """A token that is not a patch must not shift the grid: the map has one cell a patch."""
    classifier = _untrained("test_vit3", 160)
    network = classifier._network
    assert network.num_prefix_tokens > 0
    maps = classifier._probe.maps(torch.randn(1, 3, 160, 160), torch.tensor([False, True]))
    assert maps.shape[1:] == tuple(network.patch_embed.grid_size)


def test_the_overlay_keeps_the_picture_where_nothing_is_hot(drawn):
    picture = drawn.draw(size=(60, 40))
    where = np.zeros((40, 60), dtype=np.float32)
    where[10:20, 30:40] = 1
    shown = overlay(picture, where)
    assert shown.size == picture.size and shown.mode == "RGB"
    before, after = np.asarray(picture), np.asarray(shown)
    np.testing.assert_array_equal(after[where == 0], before[where == 0])
    assert (after[where == 1] != before[where == 1]).any()
    with pytest.raises(InvalidRequest, match="Make them agree"):
        overlay(Image.new("RGB", (10, 10)), where)


@pytest.mark.parametrize("malignant", [True, False])
def test_the_map_of_a_side_names_it_better_than_the_map_of_the_other(drawn, malignant):
    picture = drawn.draw(size=(96, 96), centre=(40, 52), radius=14, malignant=malignant)
    own, other = (drawn.classifier.saliency(picture, malignant=side) for side in (malignant, not malignant))
    assert np.abs(own - other).max() > 0.5
    scores = [drawn.classifier.faithfulness(picture, where, malignant=True) for where in (own, other)]
    better = [score.insertion - score.deletion for score in scores]
    assert better[0] > better[1] if malignant else better[0] < better[1]
