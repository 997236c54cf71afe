"""Do probabilities come true? The reliability curve, and the calibration error as its one number.

Labels are 0/1 (1 = malignant), scores probabilities in 0..1, both (N,). It knows no model and no picture.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dermaflux.evaluation.scores import checked_scores

NUM_BINS = 15


@dataclass(frozen=True, slots=True, kw_only=True)
class ReliabilityBin:
    """The pictures whose score lies in low..high (high itself only in the last bin).

    mean_score and frequency (the share that is positive) are None where the bin is empty.
    """

    low: float
    high: float
    num_pictures: int
    mean_score: float | None
    frequency: float | None


def reliability_curve(
    labels: Sequence[int] | np.ndarray, scores: np.ndarray, num_bins: int = NUM_BINS
) -> tuple[ReliabilityBin, ...]:
    """Equal-width bins from 0 to 1, empty ones too. Raises InvalidRequest as `checked_scores`."""
    truth, scores = checked_scores(labels, scores)
    place = np.minimum((scores * num_bins).astype(int), num_bins - 1)
    counts, score_sums, positives = (
        np.bincount(place, weights=w, minlength=num_bins) for w in (None, scores, truth.astype(float))
    )
    return tuple(
        ReliabilityBin(
            low=index / num_bins,
            high=(index + 1) / num_bins,
            num_pictures=int(count),
            mean_score=float(score_sums[index] / count) if count else None,
            frequency=float(positives[index] / count) if count else None,
        )
        for index, count in enumerate(counts)
    )


def expected_calibration_error(
    labels: Sequence[int] | np.ndarray, scores: np.ndarray, num_bins: int = NUM_BINS
) -> float:
    """Mean |score - frequency| over equal-width bins, weighted by their pictures (Naeini 2015)."""
    filled = [b for b in reliability_curve(labels, scores, num_bins) if b.mean_score is not None]
    gaps = [b.num_pictures * abs(b.mean_score - b.frequency) for b in filled]  # type: ignore[operator]
    return float(sum(gaps) / sum(b.num_pictures for b in filled))
