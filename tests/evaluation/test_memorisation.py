"""Copies are found, and the threshold holds its false alarm share, on features made for the purpose."""

import numpy as np
import pytest

from dermaflux.domain.errors import InvalidRequest
from dermaflux.evaluation import memorisation


@pytest.fixture
def real():
    """200 lesions in random directions, two pictures each, the second a little off the first."""
    rng = np.random.default_rng(1)
    first = rng.normal(size=(200, 32))
    second = first + 0.1 * rng.normal(size=first.shape)
    ids = [f"lesion {i}" for i in range(200)] * 2
    return np.concatenate([first, second]), ids


def test_the_threshold_holds_its_false_alarm_share_and_finds_pictures_of_one_lesion(real):
    features, ids = real
    calibration = memorisation.calibrate(features, ids, false_alarm_share=0.05)
    assert calibration.num_same_lesion_pairs == 200
    assert calibration.same_lesion_found == 1.0
    assert calibration.same_lesion_auc == 1.0
    assert calibration.threshold < calibration.median_real_to_real
    to_other_lesions = [
        memorisation.nearest(features[[i]], np.delete(features, [i, (i + 200) % 400], 0))[1][0]
        for i in range(400)
    ]
    assert np.mean(np.array(to_other_lesions) <= calibration.threshold) == pytest.approx(
        0.05, abs=0.005
    )


def test_copies_are_flagged_nearest_first_and_new_lesions_are_not(real):
    features, ids = real
    rng = np.random.default_rng(3)
    fresh = rng.normal(size=(30, 32))
    copies = features[[5, 9]] + 0.02 * rng.normal(size=(2, 32))
    calibration = memorisation.calibrate(features, ids)
    report = memorisation.memorisation_report(
        np.concatenate([fresh, copies]), features, calibration
    )
    assert {n.synthetic_index for n in report.nearest[:2]} == {30, 31}
    assert {n.training_index for n in report.nearest[:2]} <= {5, 9, 205, 209}
    assert all(n.is_copy for n in report.nearest[:2])
    assert report.num_copies - 2 <= 2  # at most a false alarm or two among 30
    assert report.copied_share == report.num_copies / 32


def test_without_pictures_of_one_lesion_only_the_real_to_real_distance_calibrates():
    features = np.random.default_rng(4).normal(size=(50, 8))
    calibration = memorisation.calibrate(
        features, [str(i) for i in range(50)], false_alarm_share=0.1
    )
    assert calibration.same_lesion_found is None
    assert calibration.same_lesion_auc is None
    distances = [
        memorisation.nearest(features[[i]], np.delete(features, i, 0))[1][0] for i in range(50)
    ]
    assert calibration.threshold == pytest.approx(np.quantile(distances, 0.1))
    assert calibration.median_real_to_real == pytest.approx(np.median(distances))


def test_auc_of_equal_distances_is_one_half():
    assert memorisation._share_below(np.array([1.0, 1.0]), np.array([1.0])) == 0.5


def test_a_handful_of_real_images_cannot_calibrate():
    with pytest.raises(InvalidRequest, match="5 real images"):
        memorisation.calibrate(np.eye(5), list("abcde"))


def test_features_that_hold_the_training_pictures_apart_do_not_hide_a_copy(real):
    """Among themselves the training pictures lie far apart, new ones come nearer: it follows the new ones."""
    features, _ = real
    training = features[:200]
    rng = np.random.default_rng(4)
    near = training[:100] + 0.6 * rng.normal(size=(100, 32))
    unseen = memorisation.RealFeatures(
        features=np.concatenate([near, near + 0.05 * rng.normal(size=near.shape)]),
        lesion_ids=[f"new {i}" for i in range(100)] * 2,
    )
    calibration = memorisation.calibrate_on_unseen(training, unseen, 0.05)
    assert calibration.num_real == 200
    assert (memorisation.nearest(unseen.features, training)[1] <= calibration.threshold).mean() == pytest.approx(0.05)
    assert calibration.threshold < memorisation.calibrate(training, [str(i) for i in range(200)], 0.05).threshold
    assert calibration.same_lesion_found == 1.0
    assert calibration.roc[-1] == (0.1, 1.0)
    copies = training[[5, 9]] + 0.02 * rng.normal(size=(2, 32))
    assert memorisation.memorisation_report(copies, training, calibration).num_copies == 2
