"""A logistic head on fixed features: what a set of pictures teaches, learned in a second.

Plain numbers; it knows no model, no picture and no question.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from sklearn.linear_model import LogisticRegression

STRENGTH = 0.01
"""Of the ridge penalty, on features of unit variance. Stated once for every comparison, never tuned on what judges."""
MAX_ITERATIONS = 500


def head_probabilities(
    training: tuple[np.ndarray, Sequence[str]], shown: np.ndarray, classes: Sequence[str]
) -> np.ndarray:
    """P (N, K) of each class on `shown` (N, D) by a head that learned `training`: features (M, D) and labels.

    Every class weighs the same.
    """
    features, labels = training
    place = {name: index for index, name in enumerate(classes)}
    index = np.array([place[label] for label in labels])
    counts = np.bincount(index, minlength=len(classes))
    head = fitted_head(features, index, 1 / counts[index], STRENGTH)
    found = np.zeros((len(shown), len(classes)))
    found[:, head.classes_] = head.predict_proba(shown)
    return found


def fitted_head(features: np.ndarray, index: np.ndarray, weights: np.ndarray, strength: float) -> "LogisticRegression":
    """A multinomial logistic regression on features (M, D), class index (M,) and weights (M,) in any unit.

    The *mean* loss is penalised by half of `strength` times the squared coefficients, so that more pictures do not
    loosen the penalty, and a set given twice teaches exactly what it teaches once.
    """
    from sklearn.linear_model import LogisticRegression

    head = LogisticRegression(C=1 / strength, max_iter=MAX_ITERATIONS, tol=1e-4)
    return head.fit(features, index, sample_weight=weights / weights.sum())


def standardiser(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation (D,) of features (N, D); 1 where a feature never changes."""
    spread = features.std(axis=0)
    return features.mean(axis=0), np.where(spread > 1e-9, spread, 1.0)
