"""The probe of a study: what is seen is remembered, penalties are chosen on val, arms about steps are refused."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from dermaflux.domain.errors import Cancelled, InvalidRequest
from training import study_probe
from training.augmentation import AugmentConfig
from training.augmentation_study import run_study
from training.probe_features import ProbeFeatures, Views
from training.study_config import PRESETS, PROBE
from training.study_grid import Grid
from training.study_probe import _fitted, _logits


def never():
    return False


def noise(count, size_px=48):
    rng = np.random.default_rng(0)
    return torch.from_numpy(rng.integers(0, 256, (count, size_px, size_px, 3), dtype=np.uint8))


def twice(frame, rng):
    x_BCHW = frame.permute(2, 0, 1)[None] / 255.0
    return torch.cat([x_BCHW, x_BCHW + 0.1 * torch.rand(x_BCHW.shape, generator=rng)])


def test_a_picture_is_looked_at_once_whatever_it_comes_with(tmp_path, monkeypatch):
    features, views, frames = ProbeFeatures(tmp_path), Views(name="twice", draw=twice), noise(3)
    seen = features.of(frames, views, never)
    assert seen.shape == (3, 2, 40 + 2 * 112) and not np.array_equal(seen[:, 0], seen[:, 1])
    assert len(list(tmp_path.rglob("*.npy"))) == 3
    monkeypatch.setattr(features, "_network", None)  # whatever would be looked at again fails
    assert np.array_equal(features.of(frames.flip(0), views, never), seen[::-1])
    with pytest.raises(TypeError):
        features.of(frames, Views(name="otherwise", draw=twice), never)


def test_looking_can_be_stopped_and_goes_on(tmp_path):
    features, views, frames = ProbeFeatures(tmp_path), Views(name="twice", draw=twice), noise(3)
    asked = iter([False, False, True])
    with pytest.raises(Cancelled):
        features.of(frames, views, lambda: next(asked))
    assert len(list(tmp_path.rglob("*.npy"))) == 2
    assert len(features.of(frames, views, never)) == 3


def two_classes(count=400):
    """One number that tells class 0 from class 2, none of class 1; one view a picture."""
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 2], count // 2)
    return (labels - 1 + rng.normal(size=count))[:, None, None], labels


def test_a_class_without_pictures_is_all_but_ruled_out_and_the_others_are_told_apart():
    seen, labels = two_classes()
    logits = _logits(_fitted(seen, labels, np.ones(len(labels)), penalty=0.01), seen, num_classes=3)
    assert logits.shape == (400, 3) and np.exp(logits[:, 1]).max() < 2e-6
    # d' = 2: the area under the curve of two unit normals two apart is Phi(sqrt 2) = .921
    assert roc_auc_score(labels == 2, logits[:, 2] - logits[:, 0]) == pytest.approx(0.921, abs=0.03)


def test_weights_say_how_much_a_class_counts():
    """At the optimum the weighted mean of P(class) is the class's weighted share: the intercept is not penalised."""
    seen, labels = two_classes()
    weights = np.where(labels == 2, 3.0, 1.0)
    probabilities = np.exp(_logits(_fitted(seen, labels, weights, penalty=0.01), seen, num_classes=3))
    assert np.average(probabilities[:, 2], weights=weights) == pytest.approx(0.75, abs=1e-3)
    assert probabilities[:, 2].mean() > 0.6


def test_views_are_averaged():
    seen, labels = two_classes()
    probe = _fitted(seen, labels, np.ones(len(labels)), penalty=0.01)
    pair = np.concatenate([seen[:5], seen[5:10]], axis=1)
    expected = (_logits(probe, seen[:5], 3) + _logits(probe, seen[5:10], 3)) / 2
    assert _logits(probe, pair, 3) == pytest.approx(expected)


@pytest.mark.slow
@pytest.mark.data
def test_a_study_by_probe_has_a_line_for_every_arm(small_study, monkeypatch):
    monkeypatch.setattr(study_probe, "NUM_VIEWS", 2)
    arms = ("augmented", "oversampled", "flow:1", "flow:1:alone")
    augment = replace(small_study.augment, mixup_probability=0.0, cutmix_probability=0.0)
    config = replace(small_study, models=(PROBE,), arms=arms, pretrained=True, augment=augment)
    assert run_study(config) == 4
    lines = {line["arm"]: line for line in Grid(config.folder).finished().values()}
    assert {arm: line["num_pictures"] for arm, line in lines.items()} == {
        "augmented": 28, "oversampled": 28, "flow:1": 56, "flow:1:alone": 28
    }  # fmt: skip
    figures = [line["test"]["auc"] for line in lines.values()]
    assert len(set(figures)) == 4, "each arm learns from other pictures or weights"
    assert lines["augmented"]["test"]["auc"] > 0.55


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"arms": ("plain", "longer")}, "about the steps"),
        ({"arms": ("flow:1:first",)}, "about the steps"),
        ({"pretrained": False}, "ImageNet's weights"),
        ({"augment": AugmentConfig()}, "mixes no pictures"),
    ],
)
def test_what_means_nothing_to_a_probe_is_refused_before_anything_runs(change, why):
    with pytest.raises(InvalidRequest, match=why):
        replace(PRESETS["probe"][1], **change)
