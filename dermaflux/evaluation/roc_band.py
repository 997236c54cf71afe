"""ROC curves with a pointwise band, on one grid, so that curves of several classifiers can be drawn together.

Plain numbers; it knows no model and draws nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.metrics import roc_curve

from dermaflux.evaluation.classifier_metrics import (
    Bootstrap,
    Interval,
    bootstrap_auc,
    resample_weights,
)

NUM_POINTS = 201


@dataclass(frozen=True, slots=True, kw_only=True)
class RocBand:
    """Sensitivity (P,) at false positive rates (P,) with its pointwise interval, and the AUC with its own."""

    false_rate: np.ndarray
    sensitivity: np.ndarray
    low: np.ndarray
    high: np.ndarray
    auc: Interval


def roc_band(
    labels: Sequence[int] | np.ndarray, scores: np.ndarray, clusters: Sequence[str], how: Bootstrap | None = None
) -> RocBand:
    """The curve of `scores` with the percentile band of resampled clusters (lesions). Raises as `bootstrap_auc`."""
    how = how or Bootstrap(num_resamples=500)
    area = bootstrap_auc(labels, scores, clusters, how)
    truth, grid = np.asarray(labels), np.linspace(0, 1, NUM_POINTS)
    drawn = [
        _at(grid, truth, scores, weights)
        for block in resample_weights(clusters, how)
        for weights in block
        if 0 < weights[truth == 1].sum() < weights.sum()
    ]
    tail = (1 - how.coverage) / 2
    low, high = np.quantile(np.stack(drawn), (tail, 1 - tail), axis=0)
    return RocBand(false_rate=grid, sensitivity=_at(grid, truth, scores), low=low, high=high, auc=area)


def _at(grid: np.ndarray, truth: np.ndarray, scores: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """The highest sensitivity on the curve at each false positive rate, straight between its points."""
    false_rate, true_rate, _ = roc_curve(truth, scores, sample_weight=weights, drop_intermediate=False)
    last = np.append(false_rate[1:] > false_rate[:-1], True)  # of points above one another the highest
    return np.interp(grid, false_rate[last], true_rate[last])
