"""Finds the images on which reviewers agree or not, and those disputes that nobody has settled. It settles none."""

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from dermaflux.curation.tables import (
    AdjudicationRow,
    CurrentDecisionRow,
    DecisionRow,
    ImageVerdictRow,
)
from dermaflux.domain.errors import InvalidRequest


def compared(dataset_id: str, num_reviewers: int, *, agree: bool) -> Select[str]:
    """The ids of the images that so many reviewers or more have given one verdict (agree) or several, settled or not.

    At least two reviewers, whatever the number: one alone is not compared.
    """
    several = select(ImageVerdictRow.image_id).where(
        ImageVerdictRow.dataset_id == dataset_id, ImageVerdictRow.num_reviewers >= max(num_reviewers, 2)
    )
    lowest, highest = func.min(CurrentDecisionRow.verdict), func.max(CurrentDecisionRow.verdict)
    # A list, not a join or a look-up an image, for which SQLite walks through all verdicts of the dataset each time.
    return (
        select(CurrentDecisionRow.image_id)
        .where(CurrentDecisionRow.dataset_id == dataset_id, CurrentDecisionRow.image_id.in_(several))
        .group_by(CurrentDecisionRow.image_id)
        .having(lowest == highest if agree else lowest < highest)
    )


def open_disputes(dataset_id: str, num_reviewers: int) -> Select[str]:
    """The ids of disputed images that nobody has settled, the one that has waited longest first."""
    verdict = CurrentDecisionRow.verdict
    settled = select(AdjudicationRow.image_id).where(
        AdjudicationRow.dataset_id == dataset_id, AdjudicationRow.image_id == CurrentDecisionRow.image_id
    )
    return (
        select(CurrentDecisionRow.image_id)
        .join(DecisionRow, DecisionRow.id == CurrentDecisionRow.decision_id)
        .where(CurrentDecisionRow.dataset_id == dataset_id, ~settled.exists())
        .group_by(CurrentDecisionRow.image_id)
        .having(func.count() >= num_reviewers, func.min(verdict) < func.max(verdict))
        .order_by(func.max(DecisionRow.sequence))
    )


def verdicts_on(dataset_id: str, image_ids: list[str]) -> Select[DecisionRow]:
    """The decisions that are now the reviewers' verdicts on some images, oldest first."""
    return (
        select(DecisionRow)
        .join(CurrentDecisionRow, CurrentDecisionRow.decision_id == DecisionRow.id)
        .where(CurrentDecisionRow.dataset_id == dataset_id, CurrentDecisionRow.image_id.in_(image_ids))
        .order_by(DecisionRow.sequence)
    )


def check_disputed(session: Session, dataset_id: str, image_id: str, num_reviewers: int) -> None:
    """Raise InvalidRequest when there is nothing to settle; what is settled may be settled otherwise."""
    found = [decision.verdict for decision in session.scalars(verdicts_on(dataset_id, [image_id]))]
    if len(found) < num_reviewers:
        raise InvalidRequest(
            f"{len(found)} of {num_reviewers} reviewers have judged this image, so there is nothing to settle yet. "
            "Judge it as a reviewer, or wait for the others."
        )
    if len(set(found)) < 2:
        raise InvalidRequest("The reviewers of this image agree, so there is nothing to settle.")
