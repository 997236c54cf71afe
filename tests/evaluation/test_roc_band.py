"""The curve against sklearn, and its band where it is known."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from dermaflux.evaluation.classifier_metrics import Bootstrap
from dermaflux.evaluation.roc_band import roc_band

HOW = Bootstrap(num_resamples=100)


def test_the_curve_has_the_area_of_sklearn_and_lies_within_its_band():
    rng = np.random.default_rng(0)
    truth = (rng.random(400) < 0.4).astype(int)
    scores = 1 / (1 + np.exp(-rng.normal(size=400) - truth))
    band = roc_band(truth, scores, [str(i) for i in range(400)], HOW)
    assert np.trapezoid(band.sensitivity, band.false_rate) == pytest.approx(roc_auc_score(truth, scores), abs=0.01)
    assert band.auc.value == pytest.approx(roc_auc_score(truth, scores))
    assert (band.low <= band.high).all() and (np.diff(band.sensitivity) >= 0).all()
    inside = (band.low - 1e-9 <= band.sensitivity) & (band.sensitivity <= band.high + 1e-9)
    assert inside.mean() > 0.9
    assert band.sensitivity[-1] == 1


def test_a_perfect_classifier_has_no_band_and_sharing_lesions_widens_one():
    truth = np.array([0, 1] * 50)
    perfect = roc_band(truth, truth.astype(float), [str(i) for i in range(100)], HOW)
    assert (perfect.sensitivity == 1).all() and (perfect.low == 1).all()
    rng = np.random.default_rng(1)
    truth, scores = np.repeat([0, 1] * 10, 5), np.repeat(rng.random(20), 5)
    alone = roc_band(truth, scores, [str(i) for i in range(100)], HOW)
    shared = roc_band(truth, scores, [str(i // 5) for i in range(100)], HOW)
    assert (shared.high - shared.low).mean() > (alone.high - alone.low).mean()
