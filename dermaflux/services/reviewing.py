"""Reviews by several people: plans, assignments, disputes and their settlement, agreement. Thin, as all of curating."""

from typing import Any

from dermaflux.curation.records import DecisionRequest
from dermaflux.curation.review_records import (
    DEFAULT_LEASE_MINUTES,
    Agreement,
    Assignment,
    Dispute,
    ReviewPlan,
)
from dermaflux.domain.lesion import choice
from dermaflux.domain.records import StoredImage, Verdict
from dermaflux.services.curating import Curating


class Reviewing(Curating):
    """Several reviewers on one dataset. Raises DataNotFound, InvalidRequest, StaleDecision as the store does."""

    def review_plan(self, dataset: str) -> ReviewPlan:
        """How many reviewers see each image of a dataset, and whether they are blinded."""
        return self._store().review_plan(dataset)

    def set_review_plan(self, dataset: str, *, reviewers_per_image: int = 1, blinded: bool = False) -> None:
        """Change how a dataset is reviewed; verdicts and assignments stay."""
        plan = ReviewPlan(reviewers_per_image=reviewers_per_image, blinded=blinded)
        self._store().set_review_plan(dataset, plan)

    def next_assignments(
        self, dataset: str, reviewer: str, limit: int = 10, lease_minutes: float = DEFAULT_LEASE_MINUTES
    ) -> tuple[Assignment, ...]:
        """The images a reviewer is to judge now, his for lease_minutes; asking again renews them."""
        return self._store().next_assignments(dataset, reviewer, limit, lease_minutes)

    def renew_assignments(
        self, dataset: str, reviewer: str, lease_minutes: float = DEFAULT_LEASE_MINUTES
    ) -> int:
        """Keep what the reviewer holds for lease_minutes from now; how many images."""
        return self._store().renew_assignments(dataset, reviewer, lease_minutes)

    def give_back_assignments(self, dataset: str, reviewer: str) -> None:
        """Let others have what the reviewer holds."""
        self._store().give_back_assignments(dataset, reviewer)

    def disputes(self, dataset: str, limit: int = 120) -> tuple[Dispute, ...]:
        """The images whose reviewers disagree and that nobody has settled, the longest waiting first."""
        return self._store().disputes(dataset, limit)

    def num_disputes(self, dataset: str) -> int:
        """How many images wait for an adjudicator."""
        return self._store().num_disputes(dataset)

    def adjudicate(
        self, dataset: str, image_id: str, adjudicator: str, verdict: str, **details: Any
    ) -> StoredImage:
        """Settle a disputed image; the image with the verdict it has now. details: as of `decide`."""
        request = DecisionRequest(
            dataset=dataset,
            image_id=image_id,
            reviewer=adjudicator,
            verdict=choice("verdict", verdict, Verdict),
            **details,
        )
        self._store().adjudicate(request)
        return self.image(image_id, dataset, request.reviewer)

    def agreement(self, dataset: str) -> Agreement:
        """How far the reviewers agree where several have judged the same image."""
        return self._store().agreement(dataset)
