"""Would acting on the scores do more good than harm? Net benefit over threshold probabilities.

Vickers and Elkin, Medical Decision Making 2006: whoever acts from a probability t on weighs one needless action as
t / (1 - t) of a missed case. A picture is acted on when its score >= t. It knows no model and no picture.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dermaflux.domain.errors import InvalidRequest
from dermaflux.evaluation.scores import checked_scores

THRESHOLDS = (0.02, 0.05, 0.10, 0.15, 0.20, 0.25, 0.30, 0.40, 0.50)


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionPoint:
    """Net benefit at one threshold, in true positives a picture: by the scores, acting on all, acting on none (0)."""

    threshold: float
    net_benefit: float
    treat_all: float
    treat_none: float = 0.0


def decision_curve(
    labels: Sequence[int] | np.ndarray, scores: np.ndarray, thresholds: Sequence[float] = THRESHOLDS
) -> tuple[DecisionPoint, ...]:
    """TP / n - FP / n * t / (1 - t) at each threshold t. Raises InvalidRequest unless 0 <= t < 1."""
    truth, scores = checked_scores(labels, scores)
    if not all(0 <= threshold < 1 for threshold in thresholds):
        raise InvalidRequest(f"The thresholds {list(thresholds)} must lie within 0 to 1, below 1.")
    return tuple(
        DecisionPoint(
            threshold=float(threshold),
            net_benefit=_net_benefit(truth, scores >= threshold, threshold),
            treat_all=_net_benefit(truth, np.ones_like(truth), threshold),
        )
        for threshold in thresholds
    )


def _net_benefit(truth: np.ndarray, acted_on: np.ndarray, threshold: float) -> float:
    true_share, false_share = (truth & acted_on).mean(), (~truth & acted_on).mean()
    return float(true_share - false_share * threshold / (1 - threshold))
