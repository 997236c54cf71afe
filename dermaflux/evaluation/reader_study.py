"""How well readers tell synthetic from real pictures: rates, reader ROC, sensitivity index, intervals.

Ratings run from 1 (surely real) to 10 (surely synthetic), nan where one is missing; above 5.5 a picture was called
synthetic. Sensitivity is that for "synthetic". Plain numbers: it knows no picture, no reader's name and no store.

Shapes: N pictures, P readers, B bootstrap samples. Resamples draw real and synthetic pictures apart, since a study
fixes their numbers, and readers too: what holds for other pictures and other readers. That is slightly too wide
(A. B. Owen, The pigeonhole bootstrap, 2007) with many readers, and too narrow with two or three.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import binomtest, norm
from sklearn.metrics import roc_curve

from dermaflux.domain.errors import InvalidRequest
from dermaflux.evaluation.classifier_metrics import Bootstrap, Interval, interval_of, weighted_auc

LOWEST, HIGHEST = 1.0, 10.0
CALLED_SYNTHETIC = 5.5
_NUM_CURVE_POINTS = 41


@dataclass(frozen=True, slots=True, kw_only=True)
class Detection:
    """How real and synthetic were told apart. d_prime 0 means not at all; bias above 0 leans towards "real"."""

    num_answers: int
    accuracy: Interval
    sensitivity: Interval
    specificity: Interval
    auc: Interval
    d_prime: float
    bias: float
    curve: tuple[tuple[float, float], ...]
    """The ROC curve as (1 - specificity, sensitivity), from (0, 0) to (1, 1); of several readers their mean."""


def rating_of(called_synthetic: np.ndarray, confidence: np.ndarray) -> np.ndarray:
    """Ratings 1..10 from what was called synthetic (bool) and how surely (1..5), of any one shape."""
    return np.where(called_synthetic, 5.0 + confidence, 6.0 - confidence)


def reader_detection(synthetic_N: np.ndarray, rating_N: np.ndarray, how: Bootstrap | None = None) -> Detection:
    """One reader: Wilson intervals of the rates, the AUC's from resampled pictures.

    Raises InvalidRequest unless the reader rated real and synthetic pictures.
    """
    how, given = how or Bootstrap(), ~np.isnan(rating_N)
    truth, rating = synthetic_N[given].astype(bool), rating_N[given]
    _check_both(truth)
    right = (rating > CALLED_SYNTHETIC) == truth
    weights = _picture_weights(truth, how)
    return Detection(
        num_answers=len(truth),
        accuracy=rate(right),
        sensitivity=rate(right[truth]),
        specificity=rate(right[~truth]),
        auc=interval_of(_auc(truth, rating), weighted_auc(truth, _unit(rating), weights), how),
        **_index(right[truth], right[~truth]),
        curve=_curve(truth, rating),
    )


def pooled_detection(synthetic_N: np.ndarray, rating_NP: np.ndarray, how: Bootstrap | None = None) -> Detection:
    """Several readers, each weighing the same; intervals from resampled pictures and readers.

    Of one reader it is that reader's. Raises InvalidRequest unless every reader rated real and synthetic pictures.
    """
    how, truth = how or Bootstrap(), synthetic_N.astype(bool)
    if rating_NP.shape[1] == 1:
        return reader_detection(truth, rating_NP[:, 0], how)
    given = ~np.isnan(rating_NP)
    for rated in given.T:
        _check_both(truth[rated])
    right = ((rating_NP > CALLED_SYNTHETIC) == truth[:, None]) & given
    pictures, readers = _picture_weights(truth, how), _reader_weights(rating_NP.shape[1], how)
    parts = [_index(hit[rated & truth], hit[rated & ~truth]) for hit, rated in zip(right.T, given.T, strict=True)]
    curves = [_curve(truth[rated], column[rated]) for column, rated in zip(rating_NP.T, given.T, strict=True)]
    drawn = {
        name: _mean_rate(right, given & part[:, None], pictures, readers)
        for name, part in (("accuracy", np.ones_like(truth)), ("sensitivity", truth), ("specificity", ~truth))
    }
    return Detection(
        num_answers=int(given.sum()),
        **{name: _pooled(value, samples, how, len(truth)) for name, (value, samples) in drawn.items()},
        auc=_pooled_auc(truth, rating_NP, (pictures, readers), how),
        d_prime=float(np.mean([part["d_prime"] for part in parts])),
        bias=float(np.mean([part["bias"] for part in parts])),
        curve=_mean_curve(curves),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class LesionAccuracy:
    """How often the lesion was named right on real and on synthetic pictures, and the difference, real - synthetic."""

    real: Interval
    synthetic: Interval
    difference: Interval


def lesion_accuracy(
    synthetic_N: np.ndarray, right_NP: np.ndarray, how: Bootstrap | None = None
) -> LesionAccuracy | None:
    """Of answers that were right (1), wrong (0) or not to be judged (nan); None unless both kinds have some."""
    how, truth, given = how or Bootstrap(), synthetic_N.astype(bool), ~np.isnan(right_NP)
    if not given[truth].any() or not given[~truth].any():
        return None
    right, pictures = given & (right_NP == 1), _picture_weights(truth, how)
    readers = _reader_weights(right_NP.shape[1], how)
    (real, real_B), (synthetic, synthetic_B) = (
        _mean_rate(right, given & part[:, None], pictures, readers) for part in (~truth, truth)
    )
    return LesionAccuracy(
        real=_pooled(real, real_B, how, int((~truth).sum())),
        synthetic=_pooled(synthetic, synthetic_B, how, int(truth.sum())),
        difference=interval_of(real - synthetic, real_B - synthetic_B, how),
    )


def rate(right: np.ndarray) -> Interval:
    """A share and its Wilson interval, which is honest at 0 and 1 too; nan without answers."""
    if not len(right):
        return Interval(value=np.nan, low=0.0, high=1.0)
    found = binomtest(int(right.sum()), len(right)).proportion_ci(method="wilson")
    return Interval(value=float(right.mean()), low=float(found.low), high=float(found.high))


def _check_both(truth: np.ndarray) -> None:
    if truth.all() or not truth.any():
        raise InvalidRequest("A reader needs answers on real and on synthetic pictures. Wait until more are in.")


def _index(hits: np.ndarray, rejections: np.ndarray) -> dict[str, float]:
    """The index d' and the criterion, half an answer added to each cell so that 0 and 1 have one (Hautus, 1995)."""
    hit = norm.ppf((hits.sum() + 0.5) / (len(hits) + 1))
    false = norm.ppf((len(rejections) - rejections.sum() + 0.5) / (len(rejections) + 1))
    return {"d_prime": float(hit - false), "bias": float(-(hit + false) / 2)}


def _picture_weights(truth: np.ndarray, how: Bootstrap) -> np.ndarray:
    """How often each picture occurs in each resample, (B, N): real and synthetic ones keep their numbers."""
    rng, weights = np.random.default_rng(how.seed), np.zeros((how.num_resamples, len(truth)), dtype=int)
    for part in (truth, ~truth):
        number = int(part.sum())
        weights[:, part] = rng.multinomial(number, np.full(number, 1 / number), size=how.num_resamples)
    return weights


def _reader_weights(number: int, how: Bootstrap) -> np.ndarray:
    """How often each reader occurs in each resample, (B, P)."""
    rng = np.random.default_rng(how.seed + 1)
    return rng.multinomial(number, np.full(number, 1 / number), size=how.num_resamples)


def _mean_rate(
    right_NP: np.ndarray, given_NP: np.ndarray, pictures_BN: np.ndarray, readers_BP: np.ndarray
) -> tuple[float, np.ndarray]:
    """The mean over readers of their share of right answers, and that of every resample (B,)."""
    once = np.ones((1, len(right_NP)), dtype=int)
    return (
        float(_weighted(_shares(once, right_NP, given_NP), np.ones((1, right_NP.shape[1])))[0]),
        _weighted(_shares(pictures_BN, right_NP, given_NP), readers_BP),
    )


def _shares(weights_BN: np.ndarray, right_NP: np.ndarray, given_NP: np.ndarray) -> np.ndarray:
    weights = weights_BN.astype(np.float64)  # of whole numbers, numpy multiplies slowly
    answers = weights @ given_NP
    return (weights @ (right_NP & given_NP)) / np.where(answers > 0, answers, np.nan)


def _weighted(values_BP: np.ndarray, weights_BP: np.ndarray) -> np.ndarray:
    known = ~np.isnan(values_BP)
    total = (weights_BP * known).sum(1)
    return (np.nan_to_num(values_BP) * weights_BP).sum(1) / np.where(total > 0, total, np.nan)


def _pooled(value: float, drawn: np.ndarray, how: Bootstrap, num_pictures: int) -> Interval:
    """The percentile interval; where all resamples agree (all right, all wrong) Wilson's over the pictures instead."""
    found = interval_of(value, drawn, how)
    if found.low < found.high:
        return found
    return rate(np.arange(num_pictures) < round(value * num_pictures))


def _pooled_auc(
    truth: np.ndarray, rating_NP: np.ndarray, weights: tuple[np.ndarray, np.ndarray], how: Bootstrap
) -> Interval:
    pictures, readers = weights
    values, drawn = [], []
    for rating in rating_NP.T:
        given = ~np.isnan(rating)
        values.append(_auc(truth[given], rating[given]))
        drawn.append(weighted_auc(truth[given], _unit(rating[given]), pictures[:, given]))
    return interval_of(float(np.mean(values)), _weighted(np.stack(drawn, axis=1), readers), how)


def _auc(truth: np.ndarray, rating: np.ndarray) -> float:
    return float(weighted_auc(truth, _unit(rating), np.ones((1, len(truth)), dtype=int))[0])


def _unit(rating: np.ndarray) -> np.ndarray:
    return (rating - LOWEST) / (HIGHEST - LOWEST)


def _curve(truth: np.ndarray, rating: np.ndarray) -> tuple[tuple[float, float], ...]:
    false_rate, true_rate, _ = roc_curve(truth, rating)
    return tuple((float(x), float(y)) for x, y in zip(false_rate, true_rate, strict=True))


def _mean_curve(curves: Sequence[tuple[tuple[float, float], ...]]) -> tuple[tuple[float, float], ...]:
    """The mean of the curves along the ascending diagonals, so that steep starts stay steep.

    A point of a curve is where it crosses x + y = s; the mean of such points is their mean in x and in y.
    """
    sums = np.linspace(0, 2, _NUM_CURVE_POINTS)
    points = [np.array(curve) for curve in curves]
    x, y = (
        np.mean([np.interp(sums, curve.sum(axis=1), curve[:, axis]) for curve in points], axis=0) for axis in (0, 1)
    )
    return tuple((float(a), float(b)) for a, b in zip(x, y, strict=True))
