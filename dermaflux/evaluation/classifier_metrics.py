"""How good a binary classifier's scores are: discrimination, operating points, calibration, intervals.

Labels are 0/1 (1 = malignant), scores probabilities in 0..1, both (N,). Intervals resample lesions, not
pictures, since pictures of one lesion are not independent. It knows no model and no picture.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import norm
from sklearn.metrics import average_precision_score, brier_score_loss, roc_auc_score, roc_curve

from dermaflux.domain.errors import InvalidRequest
from dermaflux.evaluation.reliability import expected_calibration_error
from dermaflux.evaluation.scores import checked_scores

MIN_TPR_OF_PAUC = 0.80


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """An estimate with the bounds of its percentile interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        """As `0.912 (0.897, 0.926)`."""
        return f"{self.value:.3f} ({self.low:.3f}, {self.high:.3f})"

    @property
    def signed(self) -> str:
        """A difference, as `+0.012 (-0.002, +0.026)`."""
        return f"{self.value:+.3f} ({self.low:+.3f}, {self.high:+.3f})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bootstrap:
    """How an interval is drawn: number of resamples, coverage 0..1 and seed."""

    num_resamples: int = 2000
    coverage: float = 0.95
    seed: int = 0


def binary_metrics(labels: Sequence[int] | np.ndarray, scores: np.ndarray, *, threshold: float) -> dict[str, float]:
    """Every figure of one binary classifier. A picture is called positive when its score >= threshold.

    Raises InvalidRequest unless both classes occur and all scores are numbers in 0..1.
    """
    truth, scores = checked_scores(labels, scores)
    called = scores >= threshold
    sensitivity, specificity = float(called[truth].mean()), float((~called[~truth]).mean())
    return {
        "num_positive": int(truth.sum()),
        "num_negative": int((~truth).sum()),
        "auc": auc(truth, scores),
        "average_precision": float(average_precision_score(truth, scores)),
        "partial_auc_tpr80": partial_auc_above_tpr(truth, scores),
        "threshold": float(threshold),
        "accuracy": float((called == truth).mean()),
        "balanced_accuracy": (sensitivity + specificity) / 2,
        "sensitivity": sensitivity,
        "specificity": specificity,
        "sensitivity_at_specificity_80": sensitivity_at_specificity(truth, scores, 0.80),
        "sensitivity_at_specificity_90": sensitivity_at_specificity(truth, scores, 0.90),
        "sensitivity_at_specificity_95": sensitivity_at_specificity(truth, scores, 0.95),
        "specificity_at_sensitivity_95": specificity_at_sensitivity(truth, scores, 0.95),
        "brier": float(brier_score_loss(truth, scores)),
        "ece": expected_calibration_error(truth, scores),
    }


def auc(labels: Sequence[int] | np.ndarray, scores: np.ndarray) -> float:
    """Area under the ROC curve; ties count a half."""
    truth, scores = checked_scores(labels, scores)
    return float(roc_auc_score(truth, scores))


def sensitivity_at_specificity(labels: Sequence[int] | np.ndarray, scores: np.ndarray, specificity: float) -> float:
    """The highest sensitivity of any threshold whose specificity is at least the one asked for."""
    false_rate, true_rate, _ = _roc(labels, scores)
    return float(true_rate[false_rate <= 1 - specificity + 1e-12].max())


def specificity_at_sensitivity(labels: Sequence[int] | np.ndarray, scores: np.ndarray, sensitivity: float) -> float:
    """The highest specificity of any threshold whose sensitivity is at least the one asked for."""
    false_rate, true_rate, _ = _roc(labels, scores)
    return float(1 - false_rate[true_rate >= sensitivity - 1e-12].min())


def youden_threshold(labels: Sequence[int] | np.ndarray, scores: np.ndarray) -> float:
    """The threshold with the greatest sensitivity + specificity - 1 (the lowest such one on ties).

    It lies midway to the next lower score, so that rounding moves no picture across it.
    """
    false_rate, true_rate, thresholds = _roc(labels, scores)
    gain = true_rate - false_rate
    best = np.flatnonzero(gain >= gain.max() - 1e-12)[-1]
    lower = thresholds[best + 1] if best + 1 < len(thresholds) else thresholds[best]
    return float(min((thresholds[best] + lower) / 2, 1.0))


def partial_auc_above_tpr(
    labels: Sequence[int] | np.ndarray, scores: np.ndarray, min_tpr: float = MIN_TPR_OF_PAUC
) -> float:
    """The area between the ROC curve and the line TPR = min_tpr: 0 .. 1 - min_tpr (ISIC 2024's measure)."""
    truth, scores = checked_scores(labels, scores)
    # Mirrored, the top strip of the curve is the left strip of the curve of (not truth, -score).
    false_rate, true_rate, _ = roc_curve(~truth, -scores, drop_intermediate=False)
    limit = 1 - min_tpr
    inside = false_rate < limit
    edge = np.interp(limit, false_rate, true_rate)
    return float(np.trapezoid(np.append(true_rate[inside], edge), np.append(false_rate[inside], limit)))


def bootstrap_auc(
    labels: Sequence[int] | np.ndarray, scores: np.ndarray, clusters: Sequence[str], how: Bootstrap | None = None
) -> Interval:
    """AUC with a percentile interval from resampling clusters (lesions); all resamples at once."""
    truth, scores = checked_scores(labels, scores)
    how = how or Bootstrap()
    found = np.concatenate([weighted_auc(truth, scores, block) for block in resample_weights(clusters, how)])
    return interval_of(auc(truth, scores), found, how)


def bootstrap_metrics(
    labels: Sequence[int] | np.ndarray,
    scores: np.ndarray,
    clusters: Sequence[str],
    metrics: Mapping[str, Callable[[np.ndarray, np.ndarray], float]],
    how: Bootstrap | None = None,
) -> dict[str, Interval]:
    """Intervals of any metrics `f(labels, scores)` over the same resamples of clusters."""
    truth, scores = checked_scores(labels, scores)
    how = how or Bootstrap()
    drawn: dict[str, list[float]] = {name: [] for name in metrics}
    for block in resample_weights(clusters, how):
        for weights in block:
            index = np.repeat(np.arange(len(truth)), weights)
            if truth[index].any() and not truth[index].all():
                for name, metric in metrics.items():
                    drawn[name].append(metric(truth[index], scores[index]))
    return {name: interval_of(f(truth, scores), np.array(drawn[name]), how) for name, f in metrics.items()}


def compare_auc(labels: Sequence[int] | np.ndarray, first: np.ndarray, second: np.ndarray) -> tuple[float, float]:
    """AUC of `first` minus AUC of `second` on the same pictures, and its two-sided p value.

    DeLong's test in the fast form of Sun and Xu (IEEE SPL 2014); it takes pictures as independent.
    """
    truth, first = checked_scores(labels, first)
    _, second = checked_scores(labels, second)
    placed = [_placements(truth, scores) for scores in (first, second)]
    positive = np.cov(np.stack([part[0] for part in placed]))
    negative = np.cov(np.stack([part[1] for part in placed]))
    spread = positive / truth.sum() + negative / (~truth).sum()
    difference = float(placed[0][0].mean() - placed[1][0].mean())
    variance = spread[0, 0] + spread[1, 1] - 2 * spread[0, 1]
    if variance <= 1e-15:
        return difference, 1.0 if abs(difference) < 1e-12 else 0.0
    return difference, float(2 * norm.sf(abs(difference) / np.sqrt(variance)))


def _placements(truth: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of each positive the share of negatives below it, of each negative the share of positives above it."""
    high, low = np.sort(scores[truth]), np.sort(scores[~truth])

    def below(values: np.ndarray, others: np.ndarray) -> np.ndarray:
        return (np.searchsorted(others, values, "left") + np.searchsorted(others, values, "right")) / (2 * len(others))

    return below(scores[truth], low), 1 - below(scores[~truth], high)


def resample_weights(clusters: Sequence[str], how: Bootstrap, block: int = 250) -> list[np.ndarray]:
    """How often each picture occurs in each resample: blocks of (block, N) integers."""
    _, member = np.unique(np.asarray(clusters), return_inverse=True)
    count, rng = int(member.max()) + 1, np.random.default_rng(how.seed)
    sizes = [min(block, how.num_resamples - start) for start in range(0, how.num_resamples, block)]
    return [rng.multinomial(count, np.full(count, 1 / count), size=size)[:, member] for size in sizes]


def weighted_auc(truth: np.ndarray, scores: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """AUC (B,) for integer weights (B, N); nan for resamples that lack a class."""
    levels, place = np.unique(scores, return_inverse=True)
    order = np.argsort(place, kind="stable")
    starts = np.searchsorted(place[order], np.arange(len(levels)))

    def per_level(which: np.ndarray) -> np.ndarray:
        return np.add.reduceat((weights * which)[:, order], starts, axis=1).astype(np.float64)

    positive, negative = per_level(truth), per_level(~truth)
    below = np.cumsum(negative, axis=1) - negative
    pairs = positive.sum(1) * negative.sum(1)
    return (positive * (below + 0.5 * negative)).sum(1) / np.where(pairs > 0, pairs, np.nan)


def interval_of(value: float, drawn: np.ndarray, how: Bootstrap) -> Interval:
    """The percentile interval of resamples (B,); those that are nan do not count. InvalidRequest without any."""
    drawn = drawn[~np.isnan(drawn)]
    if not len(drawn):
        raise InvalidRequest("No resample held both classes, so there is no interval. Use more lesions.")
    tail = (1 - how.coverage) / 2
    low, high = np.quantile(drawn, (tail, 1 - tail))
    return Interval(value=float(value), low=float(low), high=float(high))


def _roc(labels: Sequence[int] | np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    truth, scores = checked_scores(labels, scores)
    return roc_curve(truth, scores, drop_intermediate=False)
