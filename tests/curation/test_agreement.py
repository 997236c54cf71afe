import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score

from dermaflux.curation.agreement import (
    MISSING,
    Metric,
    cohen_kappa,
    krippendorff_alpha,
    raw_agreement,
    value_counts,
)

# Krippendorff, Computing Krippendorff's Alpha-Reliability (2011), example C: 4 observers, 12 units, values 1 to 5.
EXAMPLE_C = np.array(
    [
        [1, 2, 3, 3, 2, 1, 4, 1, 2, 0, 0, 0],
        [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, 0, 3],
        [0, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, 0],
        [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, 0],
    ]
).T - 1
# The same paper, example A: 2 observers, 10 units, values 0 and 1.
EXAMPLE_A = np.array([[0, 1, 0, 0, 0, 0, 0, 0, 1, 0], [1, 1, 1, 0, 0, 1, 0, 0, 0, 0]]).T
# Wikipedia, "Krippendorff's alpha", a computational example: 3 coders, 15 units, values 1 to 4.
WITH_GAPS = np.array(
    [
        [0, 0, 0, 0, 0, 3, 4, 1, 2, 1, 1, 3, 3, 0, 3],
        [1, 0, 2, 1, 3, 3, 4, 3, 0, 0, 0, 0, 0, 0, 0],
        [0, 0, 2, 1, 3, 4, 4, 0, 2, 1, 1, 3, 3, 0, 4],
    ]
).T - 1


def alpha(ratings, metric, num_values=5):
    found = krippendorff_alpha(value_counts(np.asarray(ratings), num_values), metric)
    return None if found is None else found.value


def test_alpha_is_that_of_krippendorffs_examples():
    assert alpha(EXAMPLE_C, Metric.NOMINAL) == pytest.approx(0.743, abs=5e-4)
    assert alpha(EXAMPLE_C, Metric.ORDINAL) == pytest.approx(0.815, abs=5e-4)
    assert alpha(EXAMPLE_A, Metric.NOMINAL, 2) == pytest.approx(0.095, abs=5e-4)
    assert alpha(WITH_GAPS, Metric.NOMINAL, 4) == pytest.approx(0.691, abs=5e-4)


def table_of(rows):
    """Two reviewers' ratings whose cross table is this one."""
    pairs = [(i, j) for i, row in enumerate(rows) for j, number in enumerate(row) for _ in range(number)]
    return np.array(pairs).T


def test_kappa_and_its_interval_are_those_of_the_two_dermatologists():
    """SAS/STAT User's Guide, PROC FREQ, example "Cohen's Kappa Coefficient": skin condition of 88 patients."""
    first, second = table_of([[10, 4, 1, 0], [5, 10, 12, 2], [2, 4, 12, 5], [0, 2, 6, 13]])
    found = cohen_kappa(first, second, 4)
    assert (found.value, found.low, found.high) == pytest.approx((0.3449, 0.2030, 0.4868), abs=5e-5)


def test_kappa_is_that_of_scikit_learn_and_may_have_gaps():
    rng = np.random.default_rng(0)
    for _ in range(50):
        first, second = rng.integers(0, 3, (2, 40))
        first[:25] = second[:25]
        found = cohen_kappa(np.append(first, [0, MISSING]), np.append(second, [MISSING, 2]), 3)
        assert found.value == pytest.approx(cohen_kappa_score(first, second, labels=[0, 1, 2]))
        assert -1 <= found.low <= found.value <= found.high <= 1


def test_where_chance_cannot_be_told_from_skill_there_is_no_figure():
    same = np.zeros((20, 3), dtype=int)
    assert alpha(same, Metric.NOMINAL) is None
    assert alpha(same, Metric.ORDINAL) is None
    assert alpha(np.full((20, 3), MISSING), Metric.NOMINAL) is None
    assert cohen_kappa(same[:, 0], same[:, 1], 3) is None
    assert cohen_kappa(np.full(5, MISSING), np.zeros(5, int), 3) is None
    assert raw_agreement(value_counts(np.full((5, 2), MISSING), 3)) is None
    assert raw_agreement(value_counts(same, 3)).value == 1


ratings = st.integers(2, 5).flatmap(
    lambda num_reviewers: st.lists(
        st.lists(st.integers(MISSING, 4), min_size=num_reviewers, max_size=num_reviewers), min_size=3, max_size=12
    )
)


def alpha_by_hand(rows, distance):
    """The definition itself: every pair of values, within images and over all of them."""
    images = [[value for value in row if value != MISSING] for row in rows]
    images = [image for image in images if len(image) >= 2]
    values = [value for image in images for value in image]
    observed = sum(distance(a, b, values) / (len(image) - 1) for image in images for a in image for b in image)
    expected = sum(distance(a, b, values) for a in values for b in values) / max(len(values) - 1, 1)
    return None if not expected else 1 - observed / expected


def nominal(a, b, _):
    return float(a != b)


def ordinal(a, b, values):
    between = sum(min(a, b) <= value <= max(a, b) for value in values)
    return (between - (values.count(a) + values.count(b)) / 2) ** 2


@given(ratings)
def test_alpha_is_what_its_definition_says_whatever_is_missing(rows):
    for metric, distance in ((Metric.NOMINAL, nominal), (Metric.ORDINAL, ordinal)):
        by_hand = alpha_by_hand(rows, distance)
        found = alpha(rows, metric)
        assert found == (None if by_hand is None else pytest.approx(by_hand, abs=1e-9))


@given(ratings)
def test_alpha_does_not_depend_on_the_order_of_images_and_reviewers(rows):
    turned = np.asarray(rows)[::-1, ::-1]
    counts = value_counts(np.asarray(rows), 5)
    assume(len(counts))
    assert krippendorff_alpha(counts, Metric.ORDINAL) == krippendorff_alpha(value_counts(turned, 5), Metric.ORDINAL)
    assert raw_agreement(counts) == raw_agreement(value_counts(turned, 5))


def test_raw_agreement_is_the_share_of_equal_pairs():
    assert raw_agreement(value_counts(np.array([[0, 0, 0], [0, 0, 1]]), 2)).value == pytest.approx(4 / 6)


def simulated(num_images, rng, skill=0.6):
    truth = rng.integers(0, 3, (num_images, 1))
    return np.where(rng.random((num_images, 3)) < skill, truth, rng.integers(0, 3, (num_images, 3)))


def test_the_bootstrap_interval_covers_the_true_alpha_and_is_repeatable():
    rng = np.random.default_rng(1)
    true_alpha = alpha(simulated(200_000, rng), Metric.NOMINAL, 3)
    found = [krippendorff_alpha(value_counts(simulated(120, rng), 3), Metric.NOMINAL) for _ in range(100)]
    assert 0.88 <= np.mean([one.low <= true_alpha <= one.high for one in found]) <= 1
    counts = value_counts(simulated(120, rng), 3)
    assert krippendorff_alpha(counts, Metric.NOMINAL, 5) == krippendorff_alpha(counts, Metric.NOMINAL, 5)
    assert krippendorff_alpha(counts, Metric.NOMINAL, 5) != krippendorff_alpha(counts, Metric.NOMINAL, 6)
