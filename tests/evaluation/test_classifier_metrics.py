"""The figures against worked examples, brute force and sklearn."""

import numpy as np
import pytest
from scipy.stats import norm
from sklearn.metrics import roc_auc_score

from dermaflux.domain.errors import InvalidRequest
from dermaflux.evaluation import classifier_metrics as cm

LABELS = np.array([0, 0, 0, 0, 0, 1, 1, 1, 1, 1])
SCORES = np.array([0.1, 0.2, 0.3, 0.4, 0.8, 0.35, 0.6, 0.7, 0.9, 0.95])


def _noisy(count: int, seed: int, strength: float = 1.0):
    rng = np.random.default_rng(seed)
    labels = (rng.random(count) < 0.3).astype(int)
    return labels, norm.cdf(rng.normal(size=count) + strength * labels - 0.5)


def test_the_worked_example():
    found = cm.binary_metrics(LABELS, SCORES, threshold=0.5)
    assert found["num_positive"] == found["num_negative"] == 5
    # 25 pairs; wrong are (.35 < .4), (.35, .6, .7 < .8)
    assert found["auc"] == pytest.approx(21 / 25)
    assert found["sensitivity"] == found["specificity"] == 0.8
    assert found["accuracy"] == found["balanced_accuracy"] == 0.8
    assert found["sensitivity_at_specificity_80"] == 0.8
    assert found["sensitivity_at_specificity_90"] == 0.4
    assert found["specificity_at_sensitivity_95"] == 0.6
    assert found["brier"] == pytest.approx(np.mean((SCORES - LABELS) ** 2))


def test_unequal_classes_balance_the_accuracy():
    labels, scores = np.array([0] * 9 + [1]), np.array([0.1] * 8 + [0.6, 0.4])
    found = cm.binary_metrics(labels, scores, threshold=0.5)
    assert found["accuracy"] == pytest.approx(0.8)
    assert found["balanced_accuracy"] == pytest.approx((8 / 9 + 0) / 2)


def test_the_average_precision_of_a_known_ranking():
    # positives at ranks 1 and 3: (1/1 + 2/3) / 2
    assert cm.binary_metrics([1, 0, 1, 0], np.array([0.9, 0.8, 0.7, 0.1]), threshold=0.5)[
        "average_precision"
    ] == pytest.approx((1 + 2 / 3) / 2)


def test_the_calibration_error_of_two_bins():
    # one bin says .25 where nothing is positive, one says .75 where all is
    labels, scores = np.array([0, 0, 1, 1]), np.array([0.25, 0.25, 0.75, 0.75])
    assert cm.expected_calibration_error(labels, scores, num_bins=2) == pytest.approx(0.25)
    assert cm.expected_calibration_error([0, 1], np.array([0.0, 1.0])) == 0


def test_the_partial_area_is_what_lies_above_the_line():
    assert cm.partial_auc_above_tpr([0, 0, 1, 1], np.array([0.1, 0.2, 0.8, 0.9])) == pytest.approx(0.2)
    labels, scores = _noisy(400, 3)
    from sklearn.metrics import roc_curve

    fpr, tpr, _ = roc_curve(labels, scores, drop_intermediate=False)
    # The area right of the curve, by integrating over TPR from .8 to 1.
    heights = np.linspace(0.8, 1, 20_001)
    first_fpr = np.array([fpr[tpr >= height - 1e-12].min() for height in heights])
    assert cm.partial_auc_above_tpr(labels, scores) == pytest.approx(np.mean(1 - first_fpr) * 0.2, abs=2e-3)


def test_the_youden_threshold_splits_a_separable_set():
    threshold = cm.youden_threshold([0, 0, 1, 1], np.array([0.1, 0.2, 0.8, 0.9]))
    assert threshold == pytest.approx(0.5), "midway between the kinds"
    found = cm.binary_metrics([0, 0, 1, 1], np.array([0.1, 0.2, 0.8, 0.9]), threshold=threshold)
    assert found["balanced_accuracy"] == 1


def test_ties_count_a_half():
    assert cm.auc([0, 1, 0, 1], np.array([0.5, 0.5, 0.5, 0.5])) == 0.5


def test_the_resampled_auc_equals_sklearn_on_the_repeated_pictures():
    labels, scores = _noisy(60, 1)
    scores = scores.round(1)  # many ties
    clusters = [str(i // 2) for i in range(60)]
    how = cm.Bootstrap(num_resamples=40, seed=5)
    weights = np.concatenate(cm.resample_weights(clusters, how))
    fast = cm.weighted_auc(labels.astype(bool), scores, weights)
    slow = [roc_auc_score(np.repeat(labels, w), np.repeat(scores, w)) for w in weights]
    np.testing.assert_allclose(fast, slow, atol=1e-12)


def test_pictures_of_one_lesion_are_drawn_together():
    weights = np.concatenate(cm.resample_weights(["a", "b", "a", "c"], cm.Bootstrap(num_resamples=50)))
    assert (weights[:, 0] == weights[:, 2]).all()
    assert (weights[:, [0, 1, 3]].sum(axis=1) == 3).all()


def test_the_interval_is_seeded_and_wider_when_pictures_share_lesions():
    labels, scores = _noisy(300, 2)
    once = cm.bootstrap_auc(labels, scores, [str(i) for i in range(300)])
    again = cm.bootstrap_auc(labels, scores, [str(i) for i in range(300)])
    assert once == again and once.low < once.value < once.high
    three = [np.repeat(part, 3) for part in (labels, scores)]
    shared = cm.bootstrap_auc(three[0], three[1], [str(i // 3) for i in range(900)])
    apart = cm.bootstrap_auc(three[0], three[1], [str(i) for i in range(900)])
    assert shared.high - shared.low == pytest.approx(once.high - once.low, rel=0.15)
    assert apart.high - apart.low < 0.8 * (shared.high - shared.low)
    assert str(once).startswith(f"{once.value:.3f} (")


def test_any_metric_gets_an_interval_over_the_same_resamples():
    labels, scores = _noisy(120, 7)
    clusters = [str(i) for i in range(120)]
    how = cm.Bootstrap(num_resamples=200)
    found = cm.bootstrap_metrics(labels, scores, clusters, {"auc": cm.auc}, how)["auc"]
    direct = cm.bootstrap_auc(labels, scores, clusters, how)
    assert (found.low, found.high) == pytest.approx((direct.low, direct.high))


@pytest.mark.slow
def test_delong_agrees_with_the_paired_bootstrap():
    labels, first = _noisy(500, 4, strength=1.5)
    noise = np.random.default_rng(9).normal(scale=0.25, size=500)
    second = norm.cdf(norm.ppf(first.clip(1e-6, 1 - 1e-6)) + 4 * noise)
    difference, p_value = cm.compare_auc(labels, first, second)
    assert difference == pytest.approx(cm.auc(labels, first) - cm.auc(labels, second))
    assert 0 < p_value < 0.05
    draws = []
    for weights in np.concatenate(cm.resample_weights([str(i) for i in range(500)], cm.Bootstrap(num_resamples=400))):
        index = np.repeat(np.arange(500), weights)
        draws.append(cm.auc(labels[index], first[index]) - cm.auc(labels[index], second[index]))
    assert norm.isf(p_value / 2) == pytest.approx(difference / np.std(draws), rel=0.2)
    assert cm.compare_auc(labels, first, first) == (0.0, 1.0)


@pytest.mark.parametrize(
    ("labels", "scores", "why"),
    [
        ([0, 0], [0.1, 0.2], "hold both"),
        ([0, 2], [0.1, 0.2], "hold both"),
        ([0, 1], [0.1, 1.2], "probabilities"),
        ([0, 1], [0.1, float("nan")], "probabilities"),
        ([0, 1, 1], [0.1, 0.2], "equally long"),
    ],
)
def test_what_cannot_be_scored_is_refused(labels, scores, why):
    with pytest.raises(InvalidRequest, match=why):
        cm.auc(labels, np.array(scores))


def test_the_partial_area_is_the_one_the_isic_2024_challenge_scores():
    """Its metric takes sklearn's standardised area of the mirrored curve and undoes the standardising."""
    labels, scores = _noisy(300, 11)
    max_fpr = 1 - 0.80
    standard = roc_auc_score(1 - labels, -scores, max_fpr=max_fpr)
    low, high = 0.5 * max_fpr**2, max_fpr
    assert cm.partial_auc_above_tpr(labels, scores) == pytest.approx(low + (high - low) * (standard - 0.5) / 0.5)


def test_the_standard_error_of_a_published_example():
    """109 CT pictures rated 1 to 5 (Hanley and McNeil 1982); DeLong's standard error as Stata's manual prints it.

    A constant second score has area .5 and no variance, so the test's p value gives the error of the first alone.
    """
    ratings = np.arange(1, 6) / 5
    normal, abnormal = (33, 6, 6, 11, 2), (3, 2, 2, 11, 33)
    scores = np.concatenate([np.repeat(ratings, normal), np.repeat(ratings, abnormal)])
    labels = np.repeat([0, 1], [sum(normal), sum(abnormal)])
    difference, p_value = cm.compare_auc(labels, scores, np.full(109, 0.5))
    assert difference + 0.5 == pytest.approx(0.8932, abs=5e-5)
    assert difference / norm.isf(p_value / 2) == pytest.approx(0.0307, abs=5e-5)


def test_operating_points_of_published_examples():
    """torchmetrics' documentation of BinarySensitivityAtSpecificity and BinarySpecificityAtSensitivity."""
    labels, scores = [0, 1, 1, 1], np.array([0.0, 0.5, 0.4, 0.1])
    assert cm.sensitivity_at_specificity(labels, scores, 0.5) == 1.0
    assert cm.specificity_at_sensitivity(labels, scores, 0.5) == 1.0
