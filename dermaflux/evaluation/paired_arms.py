"""Two ways to train, judged on the same test pictures over the same seeds: how much better is the second, how surely.

Scores are P(malignant), (S, N): a row a seed. Intervals resample seeds and lesions together, since both a lucky seed
and a lucky draw of test lesions can make a difference. It knows no model and no picture.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from dermaflux.domain.errors import InvalidRequest
from dermaflux.evaluation.classifier_metrics import (
    Bootstrap,
    Interval,
    interval_of,
    resample_weights,
    weighted_auc,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmScores:
    """One arm: scores (S, N) and the threshold of each seed (S,), chosen on other pictures."""

    scores: np.ndarray
    thresholds: np.ndarray


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmDifference:
    """The second arm minus the first, means over seeds: AUC, and balanced accuracy at the thresholds."""

    auc: Interval
    balanced_accuracy: Interval
    num_seeds: int


def difference(
    labels: Sequence[int] | np.ndarray,
    first: ArmScores,
    second: ArmScores,
    clusters: Sequence[str],
    how: Bootstrap | None = None,
) -> ArmDifference:
    """How the arms differ, with percentile intervals. labels: 0/1 (N,); clusters: the lesion of each picture (N,).

    Raises InvalidRequest when the arms have other seeds or pictures.
    """
    how = how or Bootstrap()
    truth = np.asarray(labels).astype(bool)
    if first.scores.shape != second.scores.shape or first.scores.shape[1:] != truth.shape:
        raise InvalidRequest(
            f"The arms hold scores {first.scores.shape} and {second.scores.shape} of {len(truth)} pictures. Compare "
            "the same seeds on the same pictures."
        )
    return ArmDifference(
        auc=_resampled(truth, (first, second), clusters, how, _seed_aucs),
        balanced_accuracy=_resampled(truth, (first, second), clusters, how, _seed_accuracies),
        num_seeds=len(first.scores),
    )


_Metric = Callable[[np.ndarray, ArmScores, np.ndarray], np.ndarray]


def _resampled(
    truth: np.ndarray,
    arms: tuple[ArmScores, ArmScores],
    clusters: Sequence[str],
    how: Bootstrap,
    metric: _Metric,
) -> Interval:
    def gain(weights: np.ndarray) -> np.ndarray:
        return metric(truth, arms[1], weights) - metric(truth, arms[0], weights)  # (S, B)

    value = float(gain(np.ones((1, len(truth)), dtype=int)).mean())
    rng, drawn = np.random.default_rng(how.seed), []
    for weights in resample_weights(clusters, how):
        gained = gain(weights)
        seeds = rng.integers(len(gained), size=gained.shape)
        drawn.append(np.take_along_axis(gained, seeds, axis=0).mean(0))
    return interval_of(value, np.concatenate(drawn), how)


def _seed_aucs(truth: np.ndarray, arm: ArmScores, weights: np.ndarray) -> np.ndarray:
    """(S, B): the AUC of each seed in each resample (B, N)."""
    return np.stack([weighted_auc(truth, scores, weights) for scores in arm.scores])


def _seed_accuracies(truth: np.ndarray, arm: ArmScores, weights: np.ndarray) -> np.ndarray:
    """(S, B): the balanced accuracy of each seed at its threshold in each resample (B, N)."""
    right = (arm.scores >= arm.thresholds[:, None]) == truth
    sides = [(weights[:, part], right[:, part]) for part in (truth, ~truth)]
    return sum((weight @ hit.T) / weight.sum(1, keepdims=True) for weight, hit in sides).T / 2  # type: ignore[union-attr]
