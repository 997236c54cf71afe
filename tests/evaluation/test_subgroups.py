"""Groups: figures where there is enough, counts alone where not, and the gap between the ends."""

import numpy as np
import pytest

from dermaflux.domain.errors import InvalidRequest
from dermaflux.evaluation import classifier_metrics as cm
from dermaflux.evaluation.subgroups import LabelledScores, age_band, subgroups

HOW = cm.Bootstrap(num_resamples=200)


def _judged(labels, scores, clusters=None):
    return LabelledScores(
        labels=np.array(labels),
        scores=np.array(scores, dtype=float),
        clusters=clusters or [str(i) for i in range(len(labels))],
        threshold=0.5,
    )


def _two_groups():
    """Group a: 20 positive, 15 of them called; 20 negative, all right. Group b: 10 and 30; half the positives found."""
    labels = [1] * 20 + [0] * 20 + [1] * 10 + [0] * 30
    scores = [0.9] * 15 + [0.2] * 5 + [0.1] * 20 + [0.8] * 5 + [0.3] * 5 + [0.7] * 6 + [0.1] * 24
    return labels, scores, ["a"] * 40 + ["b"] * 40


def test_each_group_has_its_own_figures_and_the_gap_is_between_the_ends():
    labels, scores, groups = _two_groups()
    found = subgroups(_judged(labels, scores), groups, HOW)
    a, b = found.cells["a"], found.cells["b"]
    assert (a.num_pictures, a.num_positive, b.num_pictures, b.num_positive) == (40, 20, 40, 10)
    assert (a.sensitivity.value, a.specificity.value) == (0.75, 1.0)
    assert (b.sensitivity.value, b.specificity.value) == (0.5, 0.8)
    assert b.auc.value == pytest.approx(cm.auc(labels[40:], np.array(scores[40:])))
    assert a.sensitivity.low < 0.75 < a.sensitivity.high
    assert (a.specificity.low, a.specificity.high) == (1.0, 1.0)
    gap = found.gaps["sensitivity"]
    assert (gap.worst, gap.best, gap.difference) == ("b", "a", 0.25)
    assert found.gaps["specificity"].difference == pytest.approx(0.2)


def test_the_interval_of_a_share_is_that_of_resampled_metrics():
    labels, scores, _ = _two_groups()
    clusters = [str(i // 2) for i in range(80)]
    found = subgroups(_judged(labels, scores, clusters), ["all"] * 80, HOW).cells["all"].sensitivity
    slow = cm.bootstrap_metrics(labels, np.array(scores), clusters, {"se": lambda t, s: (s >= 0.5)[t].mean()}, HOW)
    assert (found.value, found.low, found.high) == pytest.approx((slow["se"].value, slow["se"].low, slow["se"].high))


def test_under_thirty_pictures_or_without_both_classes_there_is_no_figure():
    labels = [1, 0] * 14 + [1, 0] + [0] * 40 + [1, 0] * 15
    groups = ["small"] * 29 + ["benign"] * 41 + ["enough"] * 30
    found = subgroups(_judged(labels, [0.9 if label else 0.1 for label in labels]), groups, HOW)
    assert (found.cells["small"].num_pictures, found.cells["small"].auc) == (29, None)
    assert (found.cells["benign"].num_positive, found.cells["benign"].specificity) == (0, None)
    assert found.cells["enough"].auc.value == 1.0
    assert found.gaps == {}, "one group has no gap"


def test_what_is_not_known_is_counted_last_and_makes_no_gap():
    labels, scores, groups = _two_groups()
    found = subgroups(_judged(labels, scores), [None if g == "a" else g for g in groups], HOW)
    assert list(found.cells) == ["b", "unknown"]
    assert found.cells["unknown"].auc is not None
    assert found.gaps == {}


def test_a_group_with_a_few_positives_has_figures_and_ends_no_gap():
    labels, scores, groups = _two_groups()
    labels, scores, groups = labels + [1] * 9 + [0] * 40, scores + [0.1] * 49, groups + ["few"] * 49
    found = subgroups(_judged(labels, scores), groups, HOW)
    assert found.cells["few"].sensitivity.value == 0
    assert found.gaps["sensitivity"].worst == "b"


def test_lists_of_other_lengths_are_refused():
    with pytest.raises(InvalidRequest, match="3 groups"):
        subgroups(_judged([0, 1], [0.1, 0.9]), ["a"] * 3, HOW)


@pytest.mark.parametrize(
    ("age", "band"),
    [(None, None), (0, "0 to 29"), (29.9, "0 to 29"), (30, "30 to 44"), (59, "45 to 59"), (74, "60 to 74"),
     (75, "75 and over")],
)  # fmt: skip
def test_age_bands(age, band):
    assert age_band(age) == band
