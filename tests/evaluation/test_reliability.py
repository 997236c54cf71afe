"""The reliability curve against sklearn, the calibration error against a published example."""

import numpy as np
import pytest
from sklearn.calibration import calibration_curve

from dermaflux.evaluation.reliability import expected_calibration_error, reliability_curve


def test_the_calibration_error_of_a_published_example():
    """torchmetrics' documentation of BinaryCalibrationError, norm l1: 0.2900."""
    scores, labels = np.array([0.25, 0.25, 0.55, 0.75, 0.75]), [0, 0, 1, 1, 1]
    assert expected_calibration_error(labels, scores, num_bins=2) == pytest.approx(0.29)


def test_the_curve_is_that_of_sklearn_with_counts():
    rng = np.random.default_rng(0)
    scores = rng.random(500)
    labels = (rng.random(500) < scores**2).astype(int)
    found = reliability_curve(labels, scores, num_bins=10)
    frequency, mean_score = calibration_curve(labels, scores, n_bins=10)
    np.testing.assert_allclose([b.frequency for b in found], frequency)
    np.testing.assert_allclose([b.mean_score for b in found], mean_score)
    assert sum(b.num_pictures for b in found) == 500


def test_empty_bins_stay_and_the_ends_belong_to_the_first_and_the_last():
    found = reliability_curve([0, 1, 1], np.array([0.0, 0.5, 1.0]), num_bins=4)
    assert [(b.low, b.high, b.num_pictures) for b in found] == [
        (0.0, 0.25, 1), (0.25, 0.5, 0), (0.5, 0.75, 1), (0.75, 1.0, 1),
    ]  # fmt: skip
    assert (found[1].mean_score, found[1].frequency) == (None, None)
    assert (found[3].mean_score, found[3].frequency) == (1.0, 1.0)
