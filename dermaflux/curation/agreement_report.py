"""The agreement of a dataset's reviewers, from their verdicts: gathers the ratings, says where there are too few.

The formulas are in `agreement`; adjudications are no ratings and stay out.
"""

from collections.abc import Callable, Sequence
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import select
from sqlalchemy.orm import Session

from dermaflux.curation.agreement import (
    MISSING,
    Interval,
    Metric,
    Ratings,
    cohen_kappa,
    krippendorff_alpha,
    raw_agreement,
    value_counts,
)
from dermaflux.curation.records import REALISM_RANGE
from dermaflux.curation.review_records import Agreement, Estimate, PairAgreement
from dermaflux.curation.tables import CurrentDecisionRow
from dermaflux.domain.records import Verdict

MIN_IMAGES = 10
_VERDICT_CODES = {verdict.value: code for code, verdict in enumerate(Verdict)}
_LOWEST_REALISM, _HIGHEST_REALISM = REALISM_RANGE
_NUM_REALISM = _HIGHEST_REALISM - _LOWEST_REALISM + 1


def agreement_of(session: Session, dataset_id: str, seed: int = 0) -> Agreement:
    """Every figure of agreement of a dataset; the same verdicts and seed give the same intervals."""
    found = session.execute(
        select(
            CurrentDecisionRow.image_id,
            CurrentDecisionRow.reviewer,
            CurrentDecisionRow.verdict,
            CurrentDecisionRow.realism,
        ).where(CurrentDecisionRow.dataset_id == dataset_id)
    ).all()
    reviewers = sorted({row[1] for row in found})
    verdicts_NP, realism_NP = _ratings(found, reviewers)
    verdicts = value_counts(verdicts_NP, len(Verdict))
    realism = value_counts(realism_NP, _NUM_REALISM)
    return Agreement(
        num_images=len(verdicts),
        num_reviewers=len(reviewers),
        raw=_estimate(len(verdicts), "verdict", lambda: raw_agreement(verdicts, seed)),
        verdict_alpha=_estimate(
            len(verdicts), "verdict", lambda: krippendorff_alpha(verdicts, Metric.NOMINAL, seed)
        ),
        realism_alpha=_estimate(
            len(realism), "realism rating", lambda: krippendorff_alpha(realism, Metric.ORDINAL, seed)
        ),
        pairs=_pairs(verdicts_NP, reviewers),
    )


def _ratings(found: Sequence[Any], reviewers: Sequence[str]) -> tuple[Ratings, Ratings]:
    """Verdicts and realism as codes, images x reviewers."""
    column = {reviewer: number for number, reviewer in enumerate(reviewers)}
    row_of: dict[str, int] = {}
    for image_id, *_ in found:
        row_of.setdefault(image_id, len(row_of))
    verdicts = np.full((len(row_of), len(reviewers)), MISSING, dtype=np.int8)
    realism = verdicts.copy()
    for image_id, reviewer, verdict, rating in found:
        place = row_of[image_id], column[reviewer]
        verdicts[place] = _VERDICT_CODES[verdict]
        if rating is not None:
            realism[place] = rating - _LOWEST_REALISM
    return verdicts, realism


def _pairs(verdicts_NP: Ratings, reviewers: Sequence[str]) -> tuple[PairAgreement, ...]:
    """Every two reviewers who share an image."""
    given = verdicts_NP != MISSING
    shared: NDArray[np.int64] = given.T.astype(np.int64) @ given
    return tuple(
        PairAgreement(
            reviewers=(reviewers[one], reviewers[other]),
            kappa=_kappa(verdicts_NP[:, one], verdicts_NP[:, other], int(shared[one, other])),
        )
        for one, other in combinations(range(len(reviewers)), 2)
        if shared[one, other]
    )


def _kappa(first_N: Ratings, second_N: Ratings, num_images: int) -> Estimate:
    return _estimate(num_images, "verdict", lambda: cohen_kappa(first_N, second_N, len(Verdict)))


def _estimate(num_images: int, what: str, figure: Callable[[], Interval | None]) -> Estimate:
    if num_images < MIN_IMAGES:
        return Estimate(
            num_images=num_images,
            reason=f"{num_images} images have a {what} by two reviewers; a figure needs {MIN_IMAGES}.",
        )
    found = figure()
    if found is None:
        return Estimate(num_images=num_images, reason=f"Every {what} is the same, so chance cannot be told from skill.")
    return Estimate(num_images=num_images, value=found.value, low=found.low, high=found.high)
