"""For whom is a classifier good? AUC, sensitivity and specificity by group, with intervals, and the widest gap.

A cell with fewer than 30 pictures, or without both classes, has its counts and no figure. Intervals resample lesions.
It knows no model and no picture; which group a picture is in comes from the caller.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from dermaflux.domain.errors import InvalidRequest
from dermaflux.evaluation.classifier_metrics import (
    Bootstrap,
    Interval,
    bootstrap_auc,
    interval_of,
    resample_weights,
)
from dermaflux.evaluation.scores import checked_scores

MIN_PICTURES = 30
MIN_OF_A_CLASS = 10
"""Positive and negative pictures a group needs before it can be the end of a gap."""
UNKNOWN = "unknown"
FIGURES = ("auc", "sensitivity", "specificity")
_AGE_BANDS = ((30, "0 to 29"), (45, "30 to 44"), (60, "45 to 59"), (75, "60 to 74"))


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledScores:
    """Labels (N,) 0/1, scores (N,) in 0..1, the lesion of each picture, and the operating point."""

    labels: np.ndarray
    scores: np.ndarray
    clusters: Sequence[str]
    threshold: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One group of one attribute; the figures are None where it is too small or lacks a class."""

    num_pictures: int
    num_positive: int
    auc: Interval | None = None
    sensitivity: Interval | None = None
    specificity: Interval | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """The groups with the lowest and the highest value of a figure, and how far these lie apart."""

    worst: str
    best: str
    difference: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Subgroups:
    """The cells of one attribute by group, and the gap of each figure.

    A gap is between known groups with ten positive and ten negative pictures or more, where there are at least two.
    """

    cells: Mapping[str, Cell]
    gaps: Mapping[str, Gap]


def age_band(age_years: float | None) -> str | None:
    """The band of an age: 0 to 29, 30 to 44, 45 to 59, 60 to 74, 75 and over."""
    if age_years is None:
        return None
    return next((name for below, name in _AGE_BANDS if age_years < below), "75 and over")


def subgroups(
    judged: LabelledScores, groups: Sequence[str | None], how: Bootstrap | None = None
) -> Subgroups:
    """The cells of one attribute; `groups` names the group of each picture, None where it is not known.

    Raises InvalidRequest when the lists differ in length, and as `checked_scores`.
    """
    truth, scores = checked_scores(judged.labels, judged.scores)
    if not len(groups) == len(judged.clusters) == len(truth):
        raise InvalidRequest(f"{len(groups)} groups and {len(judged.clusters)} lesions for {len(truth)} pictures.")
    names = np.array([group or UNKNOWN for group in groups])
    clusters = np.asarray(judged.clusters)
    cells = {}
    for name in sorted(set(names.tolist()), key=lambda name: (name == UNKNOWN, name)):
        here = names == name
        part = LabelledScores(
            labels=truth[here], scores=scores[here], clusters=clusters[here].tolist(), threshold=judged.threshold
        )
        cells[name] = _cell(part, how or Bootstrap())
    return Subgroups(cells=cells, gaps=_gaps(cells))


def _cell(part: LabelledScores, how: Bootstrap) -> Cell:
    truth, called = part.labels, part.scores >= part.threshold
    counted = Cell(num_pictures=len(truth), num_positive=int(truth.sum()))
    if len(truth) < MIN_PICTURES or truth.all() or not truth.any():
        return counted
    return replace(
        counted,
        auc=bootstrap_auc(truth, part.scores, part.clusters, how),
        sensitivity=_share(truth, called, part.clusters, how),
        specificity=_share(~truth, ~called, part.clusters, how),
    )


def _share(whole: np.ndarray, hit: np.ndarray, clusters: Sequence[str], how: Bootstrap) -> Interval:
    """The share of `whole` that is hit; resamples without any of it are left out."""
    drawn = []
    for weights in resample_weights(clusters, how):
        of, hits = weights @ whole, weights @ (whole & hit)
        drawn.append(hits[of > 0] / of[of > 0])
    return interval_of(hit[whole].mean(), np.concatenate(drawn), how)


def _gaps(cells: Mapping[str, Cell]) -> dict[str, Gap]:
    known, gaps = {name: cell for name, cell in cells.items() if name != UNKNOWN and _is_filled(cell)}, {}
    for figure in FIGURES:
        found = {name: getattr(cell, figure) for name, cell in known.items()}
        values = {name: value.value for name, value in found.items() if value is not None}
        if len(values) >= 2:
            worst, best = min(values, key=values.__getitem__), max(values, key=values.__getitem__)
            gaps[figure] = Gap(worst=worst, best=best, difference=values[best] - values[worst])
    return gaps


def _is_filled(cell: Cell) -> bool:
    return min(cell.num_positive, cell.num_pictures - cell.num_positive) >= MIN_OF_A_CLASS
