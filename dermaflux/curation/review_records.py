"""What goes into and comes out of a review by several people: plans, assignments, disputes.

Frozen data with checks; no table and no session is known here.
"""

from dataclasses import dataclass

from dermaflux.curation.records import Decision
from dermaflux.domain.errors import InvalidRequest
from dermaflux.domain.records import StoredImage

REVIEWERS_PER_IMAGE_RANGE = (1, 5)
LEASE_MINUTES_RANGE = (0.1, 24 * 60.0)
DEFAULT_LEASE_MINUTES = 15.0
MAX_ASSIGNMENTS = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewPlan:
    """How many reviewers see each image of a dataset (1..5), and whether they are blinded.

    Blinded means that nobody sees others' verdicts on an image before so many are in.
    """

    reviewers_per_image: int = 1
    blinded: bool = False

    def __post_init__(self) -> None:
        """Raise InvalidRequest for a number outside the range."""
        low, high = REVIEWERS_PER_IMAGE_RANGE
        number = self.reviewers_per_image
        if not isinstance(number, int) or isinstance(number, bool) or not low <= number <= high:
            raise InvalidRequest(f"reviewers_per_image is {number!r}. Give a whole number from {low} to {high}.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """An image in a reviewer's hands; after `expires_at` it may be handed to somebody else."""

    image: StoredImage
    expires_at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Dispute:
    """An image on which enough reviewers disagree, with each one's current verdict, oldest first."""

    image: StoredImage
    verdicts: tuple[Decision, ...]


def checked_lease_minutes(minutes: float) -> float:
    """The minutes as they are; InvalidRequest outside 0.1 to 1440."""
    low, high = LEASE_MINUTES_RANGE
    if not low <= minutes <= high:
        raise InvalidRequest(f"lease_minutes is {minutes!r}. Give {low:g} to {high:g}.")
    return minutes


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A figure of agreement with its 95 % interval, over so many images; without a value, `reason` says why."""

    num_images: int
    value: float | None = None
    low: float | None = None
    high: float | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PairAgreement:
    """Cohen's kappa of two reviewers over the images both have judged."""

    reviewers: tuple[str, str]
    kappa: Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """How far the reviewers of a dataset agree, over the images that two or more have judged.

    raw: share of equal verdicts; verdict_alpha: Krippendorff's, nominal; realism_alpha: the same, ordinal.
    Adjudications take no part.
    """

    num_images: int
    num_reviewers: int
    raw: Estimate
    verdict_alpha: Estimate
    realism_alpha: Estimate
    pairs: tuple[PairAgreement, ...]
