"""What a reviewer may see of the others: everything, or in a blinded dataset only what enough have judged.

It reads plans, counts and the numbers of events; which images a page shows is decided in `queries`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, or_, select
from sqlalchemy.orm import Session

from dermaflux.curation.review_records import ReviewPlan
from dermaflux.curation.tables import DecisionRow, ImageVerdictRow, ReviewPlanRow


@dataclass(frozen=True, slots=True, kw_only=True)
class Blinded:
    """The view of one reviewer in a blinded dataset: others' verdicts show once `reviewers_per_image` are in."""

    dataset_id: str
    viewer: str
    reviewers_per_image: int


def plan_of(session: Session, dataset_id: str) -> ReviewPlan:
    """The review plan of a dataset; without one, an open review by one reviewer an image."""
    row = session.get(ReviewPlanRow, dataset_id)
    return ReviewPlan(reviewers_per_image=row.reviewers_per_image, blinded=row.blinded) if row else ReviewPlan()


def view_of(session: Session, dataset_id: str | None, viewer: str | None) -> Blinded | None:
    """How a viewer is blinded in a dataset. None: the plan is open, or nobody in particular looks."""
    if viewer is None or dataset_id is None:
        return None
    plan = plan_of(session, dataset_id)
    if not plan.blinded:
        return None
    return Blinded(dataset_id=dataset_id, viewer=viewer, reviewers_per_image=plan.reviewers_per_image)


def complete(view: Blinded) -> ColumnElement[bool]:
    """Of a row of image verdicts: whether enough reviewers have judged that image."""
    return (ImageVerdictRow.dataset_id == view.dataset_id) & (
        ImageVerdictRow.num_reviewers >= view.reviewers_per_image
    )


def events_shown(view: Blinded) -> ColumnElement[bool]:
    """Of an event: whether the viewer may see it."""
    judged = select(ImageVerdictRow.image_id).where(complete(view), ImageVerdictRow.image_id == DecisionRow.image_id)
    return or_(DecisionRow.reviewer == view.viewer, judged.exists())


def versions_of(
    session: Session, image_ids: Sequence[str], dataset_id: str, view: Blinded | None
) -> dict[str, int]:
    """The sequence of the newest event on each image that the viewer may see; images without one are left out."""
    own, newest, judged = {}, {}, set(image_ids)
    events = select(DecisionRow.image_id, DecisionRow.reviewer, DecisionRow.sequence).where(
        DecisionRow.dataset_id == dataset_id, DecisionRow.image_id.in_(image_ids)
    )
    for image_id, reviewer, sequence in session.execute(events):
        newest[image_id] = max(sequence, newest.get(image_id, 0))
        if view is not None and reviewer == view.viewer:
            own[image_id] = max(sequence, own.get(image_id, 0))
    if view is not None:
        found = select(ImageVerdictRow.image_id).where(complete(view), ImageVerdictRow.image_id.in_(image_ids))
        judged = set(session.scalars(found))
    return own | {image_id: number for image_id, number in newest.items() if image_id in judged}
