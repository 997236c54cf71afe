"""The words of a blinded reader study: what is asked, what is answered, and the plan that stays as it was made.

Frozen data with checks. It knows no picture, no table and no front end.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from dermaflux.domain.errors import InvalidRequest
from dermaflux.domain.lesion import HAM_DIAGNOSES, Diagnosis, choice

NUM_OF_EACH_RANGE = (2, 300)
SIZE_RANGE_PX = (160, 640)
TIME_LIMIT_RANGE_S = (1.0, 600.0)
SHARE_RANGE = (0.0, 0.5)
CONFIDENCE_RANGE = (1, 5)
MIN_CHECKS = 3
MAX_READERS = 50
MAX_ANSWER_MS = 24 * 3_600_000


class Source(StrEnum):
    """Where a picture comes from, or what a reader takes it for."""

    REAL = "real"
    SYNTHETIC = "synthetic"


class LesionQuestion(StrEnum):
    """What is asked of the lesion beside the source: nothing, benign or malignant, or one of the seven diagnoses."""

    NONE = "none"
    SIDE = "side"
    DIAGNOSIS = "diagnosis"

    @property
    def answers(self) -> tuple[Diagnosis, ...]:
        """What may be answered."""
        if self is LesionQuestion.NONE:
            return ()
        return (Diagnosis.BENIGN, Diagnosis.MALIGNANT) if self is LesionQuestion.SIDE else HAM_DIAGNOSES


class Frame(StrEnum):
    """How every picture is cut: a square, or the disc in it, which hides what the corners would tell."""

    SQUARE = "square"
    ROUND = "round"


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyPlan:
    """How a study is done. `num_of_each`: real pictures, and as many synthetic ones.

    repeat_share and check_share: so many more pictures are shown a second time, and so many instructed cards, as shares
    of the pictures. readers: who is invited; empty means every reviewer. size_px: the side of a picture in CSS pixels.
    """

    num_of_each: int = 50
    question: LesionQuestion = LesionQuestion.NONE
    frame: Frame = Frame.SQUARE
    size_px: int = 384
    time_limit_s: float | None = None
    repeat_share: float = 0.1
    check_share: float = 0.05
    match_diagnoses: bool = True
    readers: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Raise InvalidRequest naming the first field outside its range."""
        put = object.__setattr__
        put(self, "question", choice("question", self.question, LesionQuestion))
        put(self, "frame", choice("frame", self.frame, Frame))
        put(self, "readers", tuple(dict.fromkeys(name.strip() for name in self.readers if name.strip())))
        _check("num_of_each", self.num_of_each, NUM_OF_EACH_RANGE)
        _check("size_px", self.size_px, SIZE_RANGE_PX)
        _check("repeat_share", self.repeat_share, SHARE_RANGE)
        _check("check_share", self.check_share, SHARE_RANGE)
        if self.time_limit_s is not None:
            _check("time_limit_s", self.time_limit_s, TIME_LIMIT_RANGE_S)
        if len(self.readers) > MAX_READERS:
            raise InvalidRequest(f"{len(self.readers)} readers are invited; at most {MAX_READERS} can be.")

    @property
    def num_pictures(self) -> int:
        """How many different pictures are judged."""
        return 2 * self.num_of_each

    @property
    def num_repeats(self) -> int:
        """How many pictures are shown a second time."""
        return round(self.num_pictures * self.repeat_share)

    @property
    def num_checks(self) -> int:
        """How many instructed cards are shown: none, or at least three, so that one slip condemns nobody."""
        return max(MIN_CHECKS, round(self.num_pictures * self.check_share)) if self.check_share else 0

    @property
    def num_shown(self) -> int:
        """How many a reader sees in all."""
        return self.num_pictures + self.num_repeats + self.num_checks

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready dict that `from_dict` reads back to an equal plan."""
        return asdict(self) | {"readers": list(self.readers)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "StudyPlan":
        """The plan of a dict. Raises InvalidRequest for bad fields."""
        return cls(**{**values, "readers": tuple(values.get("readers", ()))})


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyAnswer:
    """What a reader says of the picture at a place of their own order (0 is the first).

    browser_ms: from paint to answer, pauses left out. zoomed: the magnification was changed while it was shown.
    """

    position: int
    source: Source
    confidence: int
    lesion: Diagnosis | None = None
    browser_ms: int = 0
    num_pauses: int = 0
    zoomed: bool = False

    def __post_init__(self) -> None:
        """Raise InvalidRequest naming the first field that does not belong."""
        put = object.__setattr__
        put(self, "source", choice("source", self.source, Source))
        if self.lesion is not None:
            put(self, "lesion", choice("lesion", self.lesion, Diagnosis))
        _check_whole("position", self.position, (0, 10_000))
        _check_whole("confidence", self.confidence, CONFIDENCE_RANGE)
        _check_whole("browser_ms", self.browser_ms, (0, MAX_ANSWER_MS))
        _check_whole("num_pauses", self.num_pauses, (0, 10_000))
        if not isinstance(self.zoomed, bool):
            raise InvalidRequest(f"zoomed is {self.zoomed!r}. Give true or false.")

    def check_fits(self, question: LesionQuestion) -> None:
        """Raise InvalidRequest unless the lesion is answered exactly where it is asked."""
        if question is LesionQuestion.NONE and self.lesion is not None:
            raise InvalidRequest("This study asks nothing of the lesion. Leave that answer out.")
        if question is not LesionQuestion.NONE and self.lesion not in question.answers:
            raise InvalidRequest(f"Answer one of {', '.join(question.answers)} of the lesion as well.")


def _check(name: str, value: float, bounds: tuple[float, float]) -> None:
    low, high = bounds
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise InvalidRequest(f"{name} is {value!r}, outside {low:g} to {high:g}.")
    if isinstance(low, int) and not isinstance(value, int):
        raise InvalidRequest(f"{name} is {value!r}. Give a whole number from {low:g} to {high:g}.")


def _check_whole(name: str, value: Any, bounds: tuple[int, int]) -> None:
    _check(name, value, bounds)
