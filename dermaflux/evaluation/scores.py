"""What every figure of a binary classifier begins with: labels and scores that fit together. It knows no figure."""

from collections.abc import Sequence

import numpy as np

from dermaflux.domain.errors import InvalidRequest


def checked_scores(labels: Sequence[int] | np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Labels as bool (N,) and scores as float64 (N,).

    Raises InvalidRequest unless both classes occur and all scores are numbers in 0..1.
    """
    truth, scores = np.asarray(labels), np.asarray(scores, dtype=np.float64)
    if truth.ndim != 1 or truth.shape != scores.shape:
        raise InvalidRequest(f"labels {truth.shape} and scores {scores.shape} must be two equally long lists.")
    if not np.isin(truth, (0, 1)).all() or truth.all() or not truth.any():
        raise InvalidRequest("labels must be 0 or 1 and hold both. Figures need positive and negative pictures.")
    if not (np.isfinite(scores).all() and scores.min() >= 0 and scores.max() <= 1):
        raise InvalidRequest("scores must be probabilities, numbers within 0 to 1.")
    return truth.astype(bool), scores
