"""Calibration keeps order where it may only scale, and brings probabilities to frequencies."""

import numpy as np
import pytest
from scipy.special import log_softmax, softmax

from dermaflux.classification.calibration import Calibration, fit, identity
from dermaflux.domain.errors import InvalidRequest
from dermaflux.evaluation.reliability import expected_calibration_error

MALIGNANT = (False, False, True)


def _world(count=4000, seed=0, sharpness=1.0, shift=(0.0, 0.0, 0.0)):
    """Logits whose true probabilities are softmax(z), reported as sharpness * z + shift."""
    rng = np.random.default_rng(seed)
    true = rng.normal(scale=1.5, size=(count, 3)) + np.array([1.0, 0.0, -1.0])
    chance = softmax(true, axis=1)
    labels = (rng.random((count, 1)) > chance.cumsum(1)).sum(1).clip(max=2)
    return true * sharpness + np.array(shift), labels


def test_the_identity_changes_nothing():
    logits, _ = _world(10)
    np.testing.assert_allclose(identity(3).probabilities(logits), softmax(logits, axis=1))


def test_it_finds_the_temperature_and_the_priors_back():
    logits, labels = _world(sharpness=3.0, shift=(0.0, 3.0, -3.0))
    found = fit(logits, labels, MALIGNANT)
    assert found.temperature == pytest.approx(3.0, rel=0.15)
    np.testing.assert_allclose(found.biases, (0, -1, 1), atol=0.25)


def test_it_lowers_the_calibration_error_and_the_loss():
    logits, labels = _world(seed=1, sharpness=3.0, shift=(2.0, 0.0, 2.0))
    fresh, fresh_labels = _world(seed=2, sharpness=3.0, shift=(2.0, 0.0, 2.0))
    found = fit(logits, labels, MALIGNANT)
    before, after = softmax(fresh, axis=1), found.probabilities(fresh)
    truth = fresh_labels == 2
    assert expected_calibration_error(truth, after[:, 2]) < 0.03 < expected_calibration_error(truth, before[:, 2])
    index = np.arange(len(fresh))
    assert np.log(after)[index, fresh_labels].mean() > log_softmax(fresh, axis=1)[index, fresh_labels].mean()


def test_two_classes_keep_their_order():
    rng = np.random.default_rng(3)
    logits = rng.normal(size=(300, 2)) * 4
    labels = (rng.random(300) < softmax(logits / 4, axis=1)[:, 1]).astype(int)
    found = fit(logits, labels, (False, True))
    raw, calibrated = logits[:, 1] - logits[:, 0], found.probabilities(logits)[:, 1]
    assert (np.diff(calibrated[np.argsort(raw)]) >= 0).all()


def test_a_class_that_never_occurs_stays_finite():
    logits, labels = _world(200)
    found = fit(logits, np.minimum(labels, 1), MALIGNANT)
    assert np.isfinite(found.biases).all() and found.probabilities(logits)[:, 2].mean() < 0.1


def test_one_that_cannot_be_is_refused():
    with pytest.raises(InvalidRequest, match="refit"):
        Calibration(temperature=0.0, biases=(0.0,))
    with pytest.raises(InvalidRequest, match="refit"):
        Calibration(temperature=1.0, biases=(float("nan"),))
