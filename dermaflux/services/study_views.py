"""What services take and give of reader studies: a request for a new one, an entry of the list, a reader's turn.

Frozen records. A turn holds all that reaches a reader's browser, and nothing that tells what a picture is.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from dermaflux.domain.study import LesionQuestion, StudyPlan


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyRequest:
    """A new study: accepted images of a dataset among the pictures of a real set (of one split, if its table has any).

    Without a seed a random one is drawn.
    """

    name: str
    dataset: str
    real: str | None
    split: str = "test"
    plan: StudyPlan = field(default_factory=StudyPlan)
    seed: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReaderProgress:
    """How far a reader is, for the owner of the study."""

    reader: str
    num_answered: int
    is_finished: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyEntry:
    """A study as one visitor sees it in the list.

    loses_reading: looking at the results now ends this visitor's chance to read. progress is for the owner only.
    """

    name: str
    owner: str
    is_open: bool
    is_mine: bool
    num_shown: int
    num_answered: int
    is_finished: bool
    may_read: bool
    may_look: bool
    loses_reading: bool
    progress: tuple[ReaderProgress, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyTurn:
    """Where a reader is: `position` of `total` are answered. pictures: JPEG bytes by place, this one and the next."""

    study: str
    position: int
    total: int
    question: LesionQuestion
    size_px: int
    time_limit_s: float | None
    pictures: Mapping[int, bytes]
