"""The figures of a reader study: known answers, simulated readers of known skill, honest intervals, true words."""

import numpy as np
import pytest
from scipy.stats import norm

from dermaflux.domain.errors import InvalidRequest
from dermaflux.evaluation.classifier_metrics import Bootstrap, Interval
from dermaflux.evaluation.reader_study import (
    lesion_accuracy,
    pooled_detection,
    rating_of,
    reader_detection,
)
from dermaflux.evaluation.reader_study_report import in_words

HALF = np.arange(100) % 2 == 0
QUICK = Bootstrap(num_resamples=300)


def simulated(d_prime, num_pictures=200, num_readers=6, seed=0):
    """Readers who see N(d', 1) on synthetic and N(0, 1) on real pictures, and rate it on a scale of ten."""
    rng = np.random.default_rng(seed)
    truth = np.arange(num_pictures) % 2 == 0
    seen = rng.normal(size=(num_pictures, num_readers)) + d_prime * truth[:, None]
    edges = np.linspace(d_prime / 2 - 2, d_prime / 2 + 2, 9)
    return truth, np.digitize(seen, edges) + 1.0


def test_a_rating_joins_the_call_and_its_confidence():
    called = np.array([True, True, False, False])
    assert rating_of(called, np.array([5, 1, 1, 5])).tolist() == [10, 6, 5, 1]


def test_a_reader_by_hand():
    truth = np.array([1, 1, 1, 1, 0, 0, 0, 0])
    rating = np.array([10, 6, 7, 3, 1, 2, 8, 5.0])
    found = reader_detection(truth, rating, QUICK)
    assert (found.sensitivity.value, found.specificity.value, found.accuracy.value) == (0.75, 0.75, 0.75)
    assert found.auc.value == 12 / 16  # pairs of a synthetic and a real picture that are in order
    assert found.d_prime == pytest.approx(norm.ppf(3.5 / 5) - norm.ppf(1.5 / 5))
    assert found.bias == pytest.approx(0)
    assert (found.curve[0], found.curve[-1]) == ((0, 0), (1, 1))


@pytest.mark.parametrize("d_prime", [0.0, 1.0, 2.0])
def test_simulated_readers_come_out_with_the_skill_they_were_given(d_prime):
    truth, rating = simulated(d_prime, num_pictures=2000)
    found = pooled_detection(truth, rating, QUICK)
    assert found.d_prime == pytest.approx(d_prime, abs=0.1)
    assert found.accuracy.value == pytest.approx(norm.cdf(d_prime / 2), abs=0.02)
    assert found.auc.value == pytest.approx(norm.cdf(d_prime / np.sqrt(2)), abs=0.02)
    assert found.auc.low < found.auc.value < found.auc.high


def test_the_interval_of_guessing_readers_holds_one_half_about_as_often_as_it_says():
    held = 0
    for seed in range(60):
        truth, rating = simulated(0.0, num_pictures=60, num_readers=5, seed=seed)
        found = pooled_detection(truth, rating, QUICK).accuracy
        held += found.low <= 0.5 <= found.high
    assert held >= 54


def test_more_pictures_and_more_readers_make_narrower_intervals():
    def width(**numbers):
        found = pooled_detection(*simulated(0.5, **numbers), QUICK).accuracy
        return found.high - found.low

    base = width(num_pictures=40, num_readers=4)
    assert width(num_pictures=160, num_readers=4) < base
    assert width(num_pictures=40, num_readers=16) < base


def test_readers_who_differ_make_a_wider_interval_than_pictures_alone():
    truth = np.arange(200) % 2 == 0
    keen = np.where(truth, 9.0, 2.0)
    blind = np.where(np.arange(200) // 2 % 2 == 0, 9.0, 2.0)
    both = pooled_detection(truth, np.stack([keen, keen, blind, blind], axis=1), QUICK)
    assert both.accuracy.value == pytest.approx(0.75)
    assert both.accuracy.high - both.accuracy.low > 0.2


def test_a_perfect_reader_has_no_interval_of_nothing():
    rating = np.where(HALF, 10.0, 1.0)
    for found in (reader_detection(HALF, rating), pooled_detection(HALF, np.stack([rating] * 3, axis=1))):
        assert found.accuracy.value == 1
        assert 0.9 < found.accuracy.low < 1
        assert np.isfinite(found.d_prime)


def test_missing_answers_do_not_count():
    truth, rating = simulated(1.0, num_pictures=100, num_readers=3)
    whole = pooled_detection(truth[:60], rating[:60], QUICK)
    rating[60:] = np.nan
    part = pooled_detection(truth, rating, QUICK)
    assert part.num_answers == 180
    assert part.accuracy.value == pytest.approx(whole.accuracy.value)
    assert part.auc.value == pytest.approx(whole.auc.value)


def test_one_kind_alone_has_no_figure():
    with pytest.raises(InvalidRequest, match="on real and on synthetic"):
        reader_detection(HALF, np.where(HALF, 5.0, np.nan))


def test_the_lesion_is_compared_between_real_and_synthetic():
    right = np.full((100, 2), np.nan)
    right[HALF] = 0.0
    right[~HALF] = 1.0
    right[:4] = np.nan  # diagnoses that nobody knows
    found = lesion_accuracy(HALF, right, QUICK)
    assert (found.real.value, found.synthetic.value, found.difference.value) == (1, 0, 1)
    assert lesion_accuracy(HALF, np.full((100, 2), np.nan)) is None


@pytest.mark.parametrize(
    ("bounds", "words"),
    [
        ((0.64, 0.57, 0.71), "can be told from real ones."),
        ((0.54, 0.51, 0.58), "but hardly"),
        ((0.51, 0.45, 0.57), "indistinguishable here"),
        ((0.52, 0.40, 0.64), "a true rate of 64 % fits these answers too"),
        ((0.35, 0.25, 0.45), "worse than guessing"),
    ],
)
def test_what_an_accuracy_means(bounds, words):
    value, low, high = bounds
    said = in_words(Interval(value=value, low=low, high=high), 8)
    assert words in said
    assert "guessing gives 50 %" in said
    assert f"{100 * low:.0f} % to {100 * high:.0f} %" in said


def test_few_readers_are_said_to_be_few():
    half = Interval(value=0.5, low=0.42, high=0.58)
    assert "other readers may differ" in in_words(half, 1)
    assert "With 3 readers" in in_words(half, 3)
    assert "readers" not in in_words(half, 8).partition(";")[2]
