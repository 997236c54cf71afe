"""Net benefit against a table worked by hand."""

import numpy as np
import pytest

from dermaflux.domain.errors import InvalidRequest
from dermaflux.evaluation.decision_curve import decision_curve

LABELS = np.array([1, 1, 1, 1, 0, 0, 0, 0, 0, 0])
SCORES = np.array([0.9, 0.6, 0.25, 0.05, 0.7, 0.25, 0.1, 0.1, 0.02, 0.0])


@pytest.mark.parametrize(
    ("threshold", "true_positives", "false_positives", "odds"),
    [(0.0, 4, 6, 0), (0.1, 3, 4, 1 / 9), (0.2, 3, 2, 1 / 4), (0.25, 3, 2, 1 / 3), (0.5, 2, 1, 1), (0.8, 1, 0, 4)],
)
def test_the_net_benefit_of_ten_patients(threshold, true_positives, false_positives, odds):
    (point,) = decision_curve(LABELS, SCORES, [threshold])
    assert point.net_benefit == pytest.approx(true_positives / 10 - false_positives / 10 * odds)
    assert point.treat_all == pytest.approx(0.4 - 0.6 * odds)
    assert point.treat_none == 0


def test_treating_all_gains_nothing_where_the_threshold_is_the_prevalence():
    """Vickers and Elkin 2006: there the curve of treat-all crosses that of treat-none."""
    (point,) = decision_curve(LABELS, SCORES, [0.4])
    assert point.treat_all == pytest.approx(0)


def test_a_perfect_model_gains_the_prevalence_at_every_threshold():
    points = decision_curve([0, 0, 0, 1], np.array([0.0, 0.0, 0.0, 1.0]))
    assert {point.net_benefit for point in points} == {0.25}
    assert all(point.net_benefit > point.treat_all for point in points)


@pytest.mark.parametrize("threshold", [1.0, -0.1, float("nan")])
def test_a_threshold_that_cannot_be_is_refused(threshold):
    with pytest.raises(InvalidRequest, match="must lie within"):
        decision_curve(LABELS, SCORES, [threshold])
