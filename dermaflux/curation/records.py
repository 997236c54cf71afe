"""What goes into and comes out of the curation store: decisions, datasets, filters, pages.

Frozen data with checks; no table, file or session is known here.
"""

import re
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from dermaflux.domain.errors import InvalidRequest
from dermaflux.domain.lesion import Diagnosis, SkinTone, choice
from dermaflux.domain.records import StoredImage, Verdict

MAX_PAGE = 500
MAX_PICKED = 20_000  # a database takes some 32,000 values in one statement
MAX_NOTE_CHARS = 2000
MAX_TAGS = 20
MAX_TAG_CHARS = 64
MAX_REVIEWER_CHARS = 100
MAX_REQUEST_ID_CHARS = 64
REALISM_RANGE = (1, 5)
_DATASET_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9 _.-]{0,62}[A-Za-z0-9_-])?")
_NOT_STORABLE = re.compile("[\0\ud800-\udfff]")


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionRequest:
    """What a reviewer says of an image in a dataset. realism 1 (no) .. 5 (indistinguishable) or None.

    expected_version is `StoredImage.version` as the reviewer saw it, None for no check. A request that is sent again
    with its request_id, or with the same content and expected_version, is stored once. Verdicts with one batch_id are
    taken back together.
    """

    dataset: str
    image_id: str
    reviewer: str
    verdict: Verdict
    realism: int | None = None
    tags: tuple[str, ...] = ()
    note: str = ""
    expected_version: int | None = None
    request_id: str | None = None
    batch_id: str | None = None

    def __post_init__(self) -> None:
        """Raise InvalidRequest naming the first field that does not belong."""
        put = object.__setattr__
        put(self, "verdict", choice("verdict", self.verdict, Verdict))
        put(self, "reviewer", checked_reviewer(self.reviewer))
        put(self, "tags", tuple(dict.fromkeys(tag.strip() for tag in self.tags)))
        _check_realism(self.realism)
        if len(self.tags) > MAX_TAGS or any(not 0 < len(tag) <= MAX_TAG_CHARS for tag in self.tags):
            raise InvalidRequest(f"Give at most {MAX_TAGS} tags of 1 to {MAX_TAG_CHARS} characters each.")
        if len(self.note) > MAX_NOTE_CHARS:
            raise InvalidRequest(f"The note is longer than {MAX_NOTE_CHARS} characters. Shorten it.")
        _check_version(self.expected_version)
        _check_identity("request_id", self.request_id)
        _check_identity("batch_id", self.batch_id)
        _check_storable("note", self.note)


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """One event of the chain. An undo has no verdict of its own and names the decision it takes back.

    `adjudicates`: the verdict settles an image on which reviewers disagree, or takes that back.
    """

    decision_id: str
    sequence: int
    created_at: str
    reviewer: str
    dataset: str
    image_id: str
    verdict: Verdict | None
    realism: int | None
    tags: tuple[str, ...]
    note: str
    undoes: str | None
    previous_hash: str
    hash: str
    adjudicates: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """A named set under curation. Its images are those decided on in its name.

    A private one is for its owner and administrators; an archived one is kept whole, but no longer offered.
    """

    name: str
    owner: str
    description: str
    created_at: str
    private: bool = False
    archived: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class VerdictCounts:
    """How many images of the pool stand where in a dataset; `undecided` have no verdict yet."""

    accept: int = 0
    reject: int = 0
    unsure: int = 0
    undecided: int = 0

    @property
    def decided(self) -> int:
        """How many images have a verdict."""
        return self.accept + self.reject + self.unsure


class Order(StrEnum):
    """How a page is sorted; images without the figure come last, those without a rating not at all.

    By the time they were stored, P(malignant), how far what was found lies from the request, or realism.
    """

    NEWEST = "newest"
    OLDEST = "oldest"
    MOST_MALIGNANT = "most malignant"
    LEAST_MALIGNANT = "least malignant"
    FARTHEST = "farthest"
    CLOSEST = "closest"
    MOST_REALISTIC = "most realistic"
    LEAST_REALISTIC = "least realistic"

    @property
    def by_realism(self) -> bool:
        """Whether ratings decide."""
        return self in (Order.MOST_REALISTIC, Order.LEAST_REALISTIC)


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageFilter:
    """Which images a page shows; an empty field lets everything pass. Ranges are inclusive (low, high).

    With `reviewer` the verdicts are that reviewer's own, otherwise what all reviewers agree on. `viewer` is who looks:
    in a blinded dataset others' verdicts on an image are hidden from him until enough are in.
    asymmetry 0..2, border 0..8 and skin_tones are the requested values; measured_* what was found. agrees: whether the
    classifier is on the requested side; reviewers_agree: whether the two or more who have judged an image gave it one
    verdict, settled or not. made_from and made_until are days in UTC, both included. `image_ids` picks
    from these images only.
    """

    verdict: Verdict | None = None
    undecided: bool = False
    reviewer: str | None = None
    viewer: str | None = None
    diagnoses: tuple[Diagnosis, ...] = ()
    asymmetry: tuple[float, float] | None = None
    border: tuple[float, float] | None = None
    num_colours: tuple[int, int] | None = None
    measured_asymmetry: tuple[float, float] | None = None
    measured_border: tuple[float, float] | None = None
    measured_num_colours: tuple[int, int] | None = None
    malignant_probability: tuple[float, float] | None = None
    memorised: bool | None = None
    agrees: bool | None = None
    reviewers_agree: bool | None = None
    skin_tones: tuple[SkinTone, ...] = ()
    made_from: date | None = None
    made_until: date | None = None
    image_ids: tuple[str, ...] | None = None
    model: str | None = None
    job_id: str | None = None
    text: str = ""
    order: Order = Order.NEWEST

    def __post_init__(self) -> None:
        """Coerce plain strings and refuse a filter that nothing can pass."""
        put = object.__setattr__
        put(self, "diagnoses", tuple(choice("diagnosis", d, Diagnosis) for d in self.diagnoses))
        put(self, "skin_tones", tuple(choice("skin_tone", tone, SkinTone) for tone in self.skin_tones))
        put(self, "order", choice("order", self.order, Order))
        if self.image_ids is not None and len(self.image_ids) > MAX_PICKED:
            raise InvalidRequest(f"{len(self.image_ids)} images are picked. Pick at most {MAX_PICKED} at once.")
        if self.undecided and self.order.by_realism:
            raise InvalidRequest("Images that nobody has judged have no realism to be sorted by. Sort otherwise.")
        if self.verdict is not None:
            put(self, "verdict", choice("verdict", self.verdict, Verdict))
            if self.undecided:
                raise InvalidRequest("A filter cannot ask for a verdict and for undecided images. Drop one.")

    @property
    def asks_for_verdicts(self) -> bool:
        """Whether only images pass that somebody has judged."""
        return self.verdict is not None or self.reviewers_agree is not None or self.order.by_realism


@dataclass(frozen=True, slots=True, kw_only=True)
class ImagePage:
    """Part of the images that pass a filter. `total` counts all; `next_after` is the cursor of the next page."""

    images: tuple[StoredImage, ...]
    total: int
    next_after: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainReport:
    """The outcome of checking every decision's hash. `head` is the newest hash; problem None means intact."""

    num_decisions: int
    head: str
    problem: str | None = None

    @property
    def intact(self) -> bool:
        """Whether nothing was changed, removed from the middle or slipped in."""
        return self.problem is None


@dataclass(frozen=True, slots=True, kw_only=True)
class ForgottenUser:
    """What went and what stayed when a user was forgotten; images that others decided on stay."""

    num_images_removed: int
    num_images_kept: int
    num_decisions_anonymous: int
    num_jobs_removed: int = 0


def checked_dataset_name(name: str, what: str = "dataset") -> str:
    """The name without outer blanks; InvalidRequest says the rule when it breaks it."""
    name = name.strip()
    if not _DATASET_NAME.fullmatch(name):
        raise InvalidRequest(
            f"{name!r} cannot name a {what}. Use 1 to 64 letters, digits, blanks, '-', '_' or '.', "
            "beginning with a letter or digit and not ending in a dot."
        )
    return name


def checked_reviewer(name: str) -> str:
    """The reviewer's name without outer blanks; InvalidRequest when it is empty or too long."""
    name = name.strip()
    if not 0 < len(name) <= MAX_REVIEWER_CHARS:
        raise InvalidRequest(f"A reviewer needs a name of 1 to {MAX_REVIEWER_CHARS} characters.")
    _check_storable("reviewer", name)
    return name


def _check_version(expected_version: int | None) -> None:
    if expected_version is not None and (not isinstance(expected_version, int) or expected_version < 0):
        raise InvalidRequest(f"expected_version is {expected_version!r}. Give the version the image was shown with.")


def _check_identity(name: str, value: str | None) -> None:
    if value is None:
        return
    if not 0 < len(value) <= MAX_REQUEST_ID_CHARS or not (value.isascii() and value.isprintable()):
        raise InvalidRequest(f"A {name} has 1 to {MAX_REQUEST_ID_CHARS} printable ASCII characters.")


def _check_storable(what: str, text: str) -> None:
    if _NOT_STORABLE.search(text):
        raise InvalidRequest(f"The {what} holds a character that no database keeps (NUL or half of a pair). Remove it.")


def _check_realism(realism: int | None) -> None:
    low, high = REALISM_RANGE
    if realism is None:
        return
    if not isinstance(realism, int) or isinstance(realism, bool) or not low <= realism <= high:
        raise InvalidRequest(f"realism is {realism!r}. Give a whole number from {low} to {high}, or nothing.")
