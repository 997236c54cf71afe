"""Paired arms by hand: the difference is that of the means, sure where it is large, covers 0 where there is none."""

import numpy as np
import pytest

from dermaflux.domain.errors import InvalidRequest
from dermaflux.evaluation.classifier_metrics import Bootstrap, auc
from dermaflux.evaluation.paired_arms import ArmScores, difference

HOW = Bootstrap(num_resamples=400)


def arm(rng, truth, gap, seeds=5):
    """Scores whose classes lie `gap` deviations apart."""
    odds = rng.normal(size=(seeds, len(truth))) + gap * truth
    return ArmScores(scores=1 / (1 + np.exp(-odds)), thresholds=np.full(seeds, 1 / (1 + np.exp(-gap / 2))))


@pytest.fixture
def truth():
    return np.array([0] * 300 + [1] * 100)


@pytest.fixture
def lesions(truth):
    return [f"L{i // 2}" for i in range(len(truth))]


def test_the_value_is_the_difference_of_the_means_over_seeds(truth, lesions):
    rng = np.random.default_rng(0)
    first, second = arm(rng, truth, 1.0), arm(rng, truth, 2.0)
    found = difference(truth, first, second, lesions, HOW)
    wanted = np.mean([auc(truth, s) for s in second.scores]) - np.mean([auc(truth, s) for s in first.scores])
    assert found.auc.value == pytest.approx(wanted)
    called = [(a.scores >= a.thresholds[:, None]) for a in (first, second)]
    balanced = [((c[:, truth == 1]).mean(1) + (~c[:, truth == 0]).mean(1)).mean() / 2 for c in called]
    assert found.balanced_accuracy.value == pytest.approx(balanced[1] - balanced[0])
    assert found.num_seeds == 5
    assert 0 < found.auc.low < found.auc.value < found.auc.high


def test_arms_of_one_kind_do_not_differ(truth, lesions):
    covered = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        found = difference(truth, arm(rng, truth, 1.0), arm(rng, truth, 1.0), lesions, Bootstrap(num_resamples=200))
        covered += found.auc.low <= 0 <= found.auc.high
    assert covered >= 17


def test_an_arm_against_itself_is_nothing(truth, lesions):
    one = arm(np.random.default_rng(3), truth, 1.5)
    found = difference(truth, one, one, lesions, HOW)
    assert (found.auc.low, found.auc.value, found.auc.high) == (0, 0, 0)


def test_few_seeds_make_it_less_certain(truth, lesions):
    rng = np.random.default_rng(1)
    gaps = np.array([0.4, 1.6, 0.6, 1.8, 1.1])
    first = ArmScores(
        scores=np.concatenate([arm(rng, truth, gap, 1).scores for gap in gaps]), thresholds=np.full(5, 0.5)
    )
    second = arm(rng, truth, 1.1)
    spread = difference(truth, first, second, lesions, HOW).auc
    steady = difference(truth, arm(rng, truth, 1.1), second, lesions, HOW).auc
    assert spread.high - spread.low > 1.5 * (steady.high - steady.low)


def test_other_seeds_or_pictures_are_refused(truth, lesions):
    rng = np.random.default_rng(0)
    with pytest.raises(InvalidRequest, match="same seeds"):
        difference(truth, arm(rng, truth, 1.0), arm(rng, truth, 1.0, seeds=4), lesions)
