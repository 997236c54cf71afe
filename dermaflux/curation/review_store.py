"""The part of the store for reviews by several people: plans, assignments on leases, disputes and agreement.

Short transactions, one a call. It makes no decision; that is the store's part.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import Engine, func, select

from dermaflux.curation import agreement_report, assignments, disputes, lookups, rows
from dermaflux.curation.assignments import Hands
from dermaflux.curation.image_pool import ImagePool
from dermaflux.curation.records import MAX_PAGE, ImageFilter, checked_reviewer
from dermaflux.curation.retention_store import RetentionStore
from dermaflux.curation.review_records import (
    DEFAULT_LEASE_MINUTES,
    MAX_ASSIGNMENTS,
    Agreement,
    Assignment,
    Dispute,
    ReviewPlan,
    checked_lease_minutes,
)
from dermaflux.curation.tables import ReviewPlanRow
from dermaflux.curation.visibility import plan_of
from dermaflux.domain.errors import InvalidRequest


def utc_now() -> datetime:
    """The moment, with its zone."""
    return datetime.now(UTC)


class ReviewStore(RetentionStore):
    """Images and their reviews. `clock` says when a lease ends; processes that share a database need one time."""

    def __init__(self, engine: Engine, images: Path | ImagePool, clock: Callable[[], datetime] = utc_now) -> None:
        super().__init__(engine, images)
        self._clock = clock

    def review_plan(self, dataset: str) -> ReviewPlan:
        """How a dataset is reviewed: by one reviewer an image and open, unless set otherwise. Raises DataNotFound."""
        with self._read() as session:
            return plan_of(session, lookups.dataset_row(session, dataset).id)

    def set_review_plan(self, dataset: str, plan: ReviewPlan) -> None:
        """Change how a dataset is reviewed, from now on; leases and verdicts stay. Raises DataNotFound."""
        with self._write() as session:
            dataset_id = lookups.dataset_row(session, dataset).id
            session.merge(
                ReviewPlanRow(
                    dataset_id=dataset_id, reviewers_per_image=plan.reviewers_per_image, blinded=plan.blinded
                )
            )

    def next_assignments(
        self, dataset: str, reviewer: str, limit: int = 10, lease_minutes: float = DEFAULT_LEASE_MINUTES
    ) -> tuple[Assignment, ...]:
        """The images the reviewer is to judge now: those he holds already, then those nearest to completion.

        They are his for lease_minutes (0.1..1440), which asking again renews. Never an image he has decided, and never
        more reviewers on an image than the plan asks. Raises InvalidRequest (limit 1..100), DataNotFound.
        """
        if not 1 <= limit <= MAX_ASSIGNMENTS:
            raise InvalidRequest(f"limit is {limit}. Ask for 1 to {MAX_ASSIGNMENTS} images at once.")
        reviewer, now = checked_reviewer(reviewer), self._clock()
        until = now + timedelta(minutes=checked_lease_minutes(lease_minutes))
        with self._write() as session:
            hands = Hands(lookups.dataset_row(session, dataset).id, reviewer)
            num_slots = plan_of(session, hands.dataset_id).reviewers_per_image
            found = assignments.hand_out(session, hands, num_slots, limit, now, until)
            images = self._images_in(session, found, hands.dataset_id, ImageFilter(viewer=reviewer))
        self.pool.bring_here(image.sha256 for image in images)
        return tuple(Assignment(image=image, expires_at=until.isoformat()) for image in images)

    def renew_assignments(
        self, dataset: str, reviewer: str, lease_minutes: float = DEFAULT_LEASE_MINUTES
    ) -> int:
        """Let what the reviewer holds stay his for lease_minutes from now; how many images. Expired leases are gone."""
        reviewer, now = checked_reviewer(reviewer), self._clock()
        until = now + timedelta(minutes=checked_lease_minutes(lease_minutes))
        with self._write() as session:
            assignments.drop_expired(session, now)
            return assignments.renew(session, Hands(lookups.dataset_row(session, dataset).id, reviewer), until)

    def give_back_assignments(self, dataset: str, reviewer: str) -> None:
        """End the reviewer's leases, so that others get the images at once. Raises DataNotFound."""
        reviewer = checked_reviewer(reviewer)
        with self._write() as session:
            assignments.give_back(session, Hands(lookups.dataset_row(session, dataset).id, reviewer))

    def disputes(self, dataset: str, limit: int = 120) -> tuple[Dispute, ...]:
        """Images with all verdicts in that disagree and that nobody has settled, the longest waiting first.

        Raises InvalidRequest for a limit outside 1..500, DataNotFound.
        """
        if not 1 <= limit <= MAX_PAGE:
            raise InvalidRequest(f"limit is {limit}. Ask for 1 to {MAX_PAGE} disputes at once.")
        with self._read() as session:
            row = lookups.dataset_row(session, dataset)
            query = disputes.open_disputes(row.id, plan_of(session, row.id).reviewers_per_image)
            found = list(session.scalars(query.limit(limit)))
            said = [rows.decision(event, row.name) for event in session.scalars(disputes.verdicts_on(row.id, found))]
            images = self._images_in(session, found, row.id)
        self.pool.bring_here(image.sha256 for image in images)
        return tuple(
            Dispute(image=image, verdicts=tuple(one for one in said if one.image_id == image.image_id))
            for image in images
        )

    def num_disputes(self, dataset: str) -> int:
        """How many images wait for an adjudicator. Raises DataNotFound."""
        with self._read() as session:
            dataset_id = lookups.dataset_row(session, dataset).id
            query = disputes.open_disputes(dataset_id, plan_of(session, dataset_id).reviewers_per_image)
            return session.scalar(select(func.count()).select_from(query.order_by(None).subquery())) or 0

    def agreement(self, dataset: str) -> Agreement:
        """How far the reviewers agree on the images that several have judged, as of now. Raises DataNotFound."""
        with self._read() as session:
            return agreement_report.agreement_of(session, lookups.dataset_row(session, dataset).id)
