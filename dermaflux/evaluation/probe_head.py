"""A logistic head on fixed features: what a set of pictures teaches, learned in a second.

Plain numbers; it knows no model, no picture and no question.
"""

from collections.abc import Sequence

import numpy as np

STRENGTH = 0.01
"""Of the ridge penalty, on features of unit variance. Stated once for every comparison, never tuned on what judges."""
MAX_ITERATIONS = 500


def head_probabilities(
    training: tuple[np.ndarray, Sequence[str]], shown: np.ndarray, classes: Sequence[str]
) -> np.ndarray:
    """P (N, K) of each class on `shown` (N, D) by a head that learned `training`: features (M, D) and labels.

    Multinomial logistic regression with every class weighing the same: the *mean* loss is penalised, so that more
    pictures do not loosen the penalty, and a set given twice teaches exactly what it teaches once.
    """
    from sklearn.linear_model import LogisticRegression

    features, labels = training
    place = {name: index for index, name in enumerate(classes)}
    index = np.array([place[label] for label in labels])
    counts = np.bincount(index, minlength=len(classes))
    weights = 1 / (counts[index] * np.count_nonzero(counts))  # they add up to 1
    head = LogisticRegression(C=1 / STRENGTH, max_iter=MAX_ITERATIONS, tol=1e-4)
    head.fit(features, index, sample_weight=weights)
    found = np.zeros((len(shown), len(classes)))
    found[:, head.classes_] = head.predict_proba(shown)
    return found


def standardiser(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation (D,) of features (N, D); 1 where a feature never changes."""
    spread = features.std(axis=0)
    return features.mean(axis=0), np.where(spread > 1e-9, spread, 1.0)
