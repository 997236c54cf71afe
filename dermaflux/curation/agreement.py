"""How far reviewers agree beyond chance: Krippendorff's alpha with bootstrap intervals, Cohen's kappa for a pair.

Pure numbers. Ratings are codes 0, 1, 2, ... in an array of images x reviewers, -1 where one is missing. It knows no
database, no reviewer's name, and not how many images are enough.

Shapes: N images, P reviewers, C values, T kinds of image (distinct rows of counts), B bootstrap samples.
Sources: K. Krippendorff, Computing Krippendorff's Alpha-Reliability, 2011; J. Cohen, A coefficient of agreement for
nominal scales, 1960; its standard error: J. L. Fleiss, J. Cohen, B. S. Everitt, 1969.
"""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

MISSING = -1
NUM_SAMPLES = 2000
Z_95 = 1.959964
Ratings = NDArray[np.integer]
Floats = NDArray[np.floating]


class Metric(StrEnum):
    """How far two values lie apart: as far as any others, or by the ranks between them."""

    NOMINAL = "nominal"
    ORDINAL = "ordinal"


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure and its 95 % interval."""

    value: float
    low: float
    high: float


def value_counts(ratings_NP: Ratings, num_values: int) -> NDArray[np.int64]:
    """How often each value was given to each image, for images with two ratings or more; shape (N, C)."""
    counts_NC = np.stack([(ratings_NP == value).sum(axis=1) for value in range(num_values)], axis=1)
    return counts_NC[counts_NC.sum(axis=1) >= 2]


def krippendorff_alpha(counts_NC: NDArray[np.int64], metric: Metric, seed: int = 0) -> Interval | None:
    """Alpha of `value_counts`, with the bootstrap interval over images; None where all values are the same."""
    kinds = _Kinds.of(counts_NC)
    (value,) = _alphas(kinds.coincidences(kinds.frequencies[None]), metric)
    if np.isnan(value):
        return None
    return _with_interval(value, _alphas(kinds.coincidences(kinds.resampled(seed)), metric))


def raw_agreement(counts_NC: NDArray[np.int64], seed: int = 0) -> Interval | None:
    """The share of pairs of ratings of one image that are equal, each image weighing as in alpha; None without images.

    With as many ratings on each image it is the share of agreeing pairs.
    """
    if not len(counts_NC):
        return None
    kinds = _Kinds.of(counts_NC)
    (value,) = _diagonal_shares(kinds.coincidences(kinds.frequencies[None]))
    return _with_interval(value, _diagonal_shares(kinds.coincidences(kinds.resampled(seed))))


def cohen_kappa(first_N: Ratings, second_N: Ratings, num_values: int) -> Interval | None:
    """Kappa of two reviewers over the images both rated, with its large-sample interval, cut to -1..1.

    None where chance alone would make them agree (both gave one value only), or no image is shared.
    """
    both = (first_N != MISSING) & (second_N != MISSING)
    number = int(both.sum())
    pairs = num_values * first_N[both].astype(np.int64) + second_N[both]
    table = np.bincount(pairs, minlength=num_values**2).reshape(num_values, num_values) / max(number, 1)
    rows, columns, diagonal = table.sum(axis=1), table.sum(axis=0), np.diag(table)
    observed, by_chance = diagonal.sum(), float(rows @ columns)
    if number == 0 or by_chance > 1 - 1e-12:
        return None
    kappa = (observed - by_chance) / (1 - by_chance)
    agreeing = (diagonal * (1 - (rows + columns) * (1 - kappa)) ** 2).sum()
    squares = table * (columns[:, None] + rows[None, :]) ** 2
    differing = (1 - kappa) ** 2 * (squares.sum() - np.diag(squares).sum())
    variance = (agreeing + differing - (kappa - by_chance * (1 - kappa)) ** 2) / (number * (1 - by_chance) ** 2)
    reach = Z_95 * float(np.sqrt(max(variance, 0.0)))
    return Interval(float(kappa), max(float(kappa) - reach, -1.0), min(float(kappa) + reach, 1.0))


@dataclass(frozen=True, slots=True)
class _Kinds:
    """The distinct rows of counts and how often each occurs: images alike weigh alike, and there are few kinds.

    Drawing images with replacement is drawing these frequencies from a multinomial, whatever the number of images.
    """

    counts_TC: NDArray[np.int64]
    frequencies: NDArray[np.int64]

    @staticmethod
    def of(counts_NC: NDArray[np.int64]) -> "_Kinds":
        return _Kinds(*np.unique(counts_NC, axis=0, return_counts=True))

    def resampled(self, seed: int) -> NDArray[np.int64]:
        number = int(self.frequencies.sum())
        return np.random.default_rng(seed).multinomial(number, self.frequencies / max(number, 1), size=NUM_SAMPLES)

    def coincidences(self, weights_BT: NDArray[np.int64]) -> Floats:
        """Krippendorff's table of values paired within images, one for each row of weights; shape (B, C, C)."""
        counts, (num_kinds, num_values) = self.counts_TC, self.counts_TC.shape
        pairs = counts[:, :, None] * counts[:, None, :] - counts[:, :, None] * np.eye(num_values, dtype=np.int64)
        shares = pairs / (counts.sum(axis=1) - 1)[:, None, None]
        return (weights_BT @ shares.reshape(num_kinds, num_values**2)).reshape(-1, num_values, num_values)


def _alphas(coincidences_BCC: Floats, metric: Metric) -> Floats:
    """1 - observed / expected disagreement; nan where no disagreement can be expected."""
    totals_BC = coincidences_BCC.sum(axis=2)
    if metric is Metric.NOMINAL:
        distance = 1.0 - np.eye(totals_BC.shape[1])[None]
    else:
        # Half of a value's own number, all between: differences of mid-ranks are Krippendorff's ordinal distance.
        ranks_BC = np.cumsum(totals_BC, axis=1) - totals_BC / 2
        distance = (ranks_BC[:, :, None] - ranks_BC[:, None, :]) ** 2
    observed = (coincidences_BCC * distance).sum(axis=(1, 2))
    expected = (totals_BC[:, :, None] * totals_BC[:, None, :] * distance).sum(axis=(1, 2))
    known = expected > 0
    ratio = np.full(len(expected), np.nan)
    ratio[known] = (totals_BC.sum(axis=1)[known] - 1) * observed[known] / expected[known]
    return 1 - ratio


def _diagonal_shares(coincidences_BCC: Floats) -> Floats:
    return np.trace(coincidences_BCC, axis1=1, axis2=2) / coincidences_BCC.sum(axis=(1, 2))


def _with_interval(value: float, samples: Floats) -> Interval:
    low, high = np.percentile(samples[~np.isnan(samples)], (2.5, 97.5))
    return Interval(float(value), float(low), float(high))
