"""Hands images out to reviewers on leases, so that each is judged by as many as the plan asks, and none is forgotten.

A slot of an image is a verdict or a live lease; it has as many as the plan has reviewers. The images nearest to
completion go out first. The caller's transaction must hold the write lock: two reviewers never get the same slot.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, Subquery, delete, func, select
from sqlalchemy.orm import Session

from dermaflux.curation.tables import CurrentDecisionRow, ImageRow, ImageVerdictRow, LeaseRow


@dataclass(frozen=True, slots=True)
class Hands:
    """Whose hands: a reviewer's in a dataset."""

    dataset_id: str
    reviewer: str

    @property
    def leases(self) -> ColumnElement[bool]:
        """Of a lease: whether it is theirs."""
        return (LeaseRow.dataset_id == self.dataset_id) & (LeaseRow.reviewer == self.reviewer)


def hand_out(
    session: Session, hands: Hands, num_slots: int, limit: int, now: datetime, until: datetime
) -> list[str]:
    """The images now in the reviewer's hands, at most `limit`: those he holds already, then new ones.

    All of these are leased until `until`. num_slots: reviewers an image.
    """
    drop_expired(session, now)
    held = _still_due(session, hands, num_slots)[:limit]
    renew(session, hands, until, held)
    new: list[str] = []
    for query in (_started(hands, num_slots), _only_leased(hands, num_slots), _untouched(hands)):
        if (wanted := limit - len(held) - len(new)) > 0:
            new += session.scalars(query.limit(wanted))
    session.add_all(
        LeaseRow(
            dataset_id=hands.dataset_id, image_id=image_id, reviewer=hands.reviewer, leased_at=now, expires_at=until
        )
        for image_id in new
    )
    return held + new


def renew(session: Session, hands: Hands, until: datetime, image_ids: Sequence[str] | None = None) -> int:
    """Let the reviewer's leases, or those on some images, run until then; how many. Expired ones must be gone."""
    mine = select(LeaseRow).where(hands.leases)
    found = session.scalars(mine if image_ids is None else mine.where(LeaseRow.image_id.in_(image_ids))).all()
    for lease in found:
        lease.expires_at = until
    return len(found)


def give_back(session: Session, hands: Hands, image_id: str | None = None) -> None:
    """End the reviewer's leases, or the one on an image."""
    statement = delete(LeaseRow).where(hands.leases)
    session.execute(statement if image_id is None else statement.where(LeaseRow.image_id == image_id))


def drop_expired(session: Session, now: datetime) -> None:
    """End all leases that have run out, in every dataset."""
    session.execute(delete(LeaseRow).where(LeaseRow.expires_at <= now))


def _still_due(session: Session, hands: Hands, num_slots: int) -> list[str]:
    """What the reviewer holds, oldest first; a lease is ended where late verdicts of others have filled the image."""
    number = _lease_counts(hands.dataset_id)
    taken = func.coalesce(ImageVerdictRow.num_reviewers, 0) + number.c.leases
    held = session.execute(
        select(LeaseRow.image_id, taken)
        .join(number, number.c.image_id == LeaseRow.image_id)
        .outerjoin(
            ImageVerdictRow,
            (ImageVerdictRow.dataset_id == hands.dataset_id) & (ImageVerdictRow.image_id == LeaseRow.image_id),
        )
        .where(hands.leases)
        .order_by(LeaseRow.leased_at, LeaseRow.image_id)
    ).all()
    for image_id, slots_taken in held:
        if slots_taken > num_slots:
            give_back(session, hands, image_id)
    return [image_id for image_id, slots_taken in held if slots_taken <= num_slots]


def _started(hands: Hands, num_slots: int) -> Select[str]:
    """Images with a verdict and a free slot, most verdicts first, then most leases, then oldest."""
    number = _lease_counts(hands.dataset_id)
    leases = func.coalesce(number.c.leases, 0)
    decided = select(CurrentDecisionRow.image_id).where(
        CurrentDecisionRow.dataset_id == hands.dataset_id,
        CurrentDecisionRow.image_id == ImageVerdictRow.image_id,
        CurrentDecisionRow.reviewer == hands.reviewer,
    )
    leased = select(LeaseRow.image_id).where(
        hands.leases, LeaseRow.image_id == ImageVerdictRow.image_id
    )
    return (
        select(ImageVerdictRow.image_id)
        .outerjoin(number, number.c.image_id == ImageVerdictRow.image_id)
        .where(
            ImageVerdictRow.dataset_id == hands.dataset_id,
            ImageVerdictRow.num_reviewers < num_slots,
            ImageVerdictRow.num_reviewers + leases < num_slots,
            ~decided.exists(),
            ~leased.exists(),
        )
        .order_by(ImageVerdictRow.num_reviewers.desc(), leases.desc(), ImageVerdictRow.image_id)
    )


def _only_leased(hands: Hands, num_slots: int) -> Select[str]:
    """Images without a verdict but in others' hands, with a free slot, most leases first, then oldest."""
    number = _lease_counts(hands.dataset_id)
    leased = select(LeaseRow.image_id).where(hands.leases, LeaseRow.image_id == number.c.image_id)
    return (
        select(number.c.image_id)
        .where(number.c.leases < num_slots, ~_has_verdict(hands, number.c.image_id), ~leased.exists())
        .order_by(number.c.leases.desc(), number.c.image_id)
    )


def _untouched(hands: Hands) -> Select[str]:
    """Images that nobody has judged or holds, oldest first."""
    leased = select(LeaseRow.image_id).where(LeaseRow.dataset_id == hands.dataset_id, LeaseRow.image_id == ImageRow.id)
    return (
        select(ImageRow.id).where(~_has_verdict(hands, ImageRow.id), ~leased.exists()).order_by(ImageRow.id)
    )


def _has_verdict(hands: Hands, image_id: Any) -> ColumnElement[bool]:
    judged = select(ImageVerdictRow.image_id).where(ImageVerdictRow.dataset_id == hands.dataset_id)
    return judged.where(ImageVerdictRow.image_id == image_id).exists()


def _lease_counts(dataset_id: str) -> Subquery:
    counted = select(LeaseRow.image_id, func.count().label("leases")).where(LeaseRow.dataset_id == dataset_id)
    return counted.group_by(LeaseRow.image_id).subquery()
