"""The results of a reader study as one record, and what they mean in words.

The figures come from `reader_study` and, where readers are compared with each other, from whoever fills the record.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from dermaflux.evaluation.classifier_metrics import Interval
from dermaflux.evaluation.reader_study import Detection, LesionAccuracy

MARGIN = 0.10  # within so much of guessing, pictures count as practically indistinguishable
FEW_READERS = 5
CHECKS_A_FAILURE = 5  # one check in so many may be failed, and always one


@dataclass(frozen=True, slots=True, kw_only=True)
class ReaderFigures:
    """One reader. `detection` is None while there are not answers of both kinds; median_s is of scored pictures."""

    reader: str
    num_answers: int
    is_finished: bool
    detection: Detection | None
    lesion: LesionAccuracy | None
    median_s: float
    checks_passed: int
    num_checks: int
    repeats_equal: int
    num_repeats: int
    num_zoomed: int

    @property
    def is_flagged(self) -> bool:
        """Whether more checks were failed than a slip explains: a rule set before the study, not after it."""
        return self.num_checks - self.checks_passed > max(1, self.num_checks // CHECKS_A_FAILURE)


@dataclass(frozen=True, slots=True, kw_only=True)
class PairKappa:
    """Cohen's kappa of two readers on "real" or "synthetic"; None where both always said the same one thing."""

    readers: tuple[str, str]
    kappa: Interval | None


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupFigures:
    """Several readers together. The alphas are Krippendorff's: of the call, and of the rating 1..10 as ranks."""

    num_readers: int
    detection: Detection
    lesion: LesionAccuracy | None
    median_s: float
    call_alpha: Interval | None
    rating_alpha: Interval | None
    pairs: tuple[PairKappa, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReaderStudyReport:
    """What a study came to. `everyone` are all readers that count, `attentive` those not flagged, if any is flagged.

    A report for a reader holds that reader alone beside the figures of the group.
    """

    study: str
    num_pictures: int
    readers: tuple[ReaderFigures, ...]
    num_flagged: int
    num_unfinished: int
    everyone: GroupFigures | None
    attentive: GroupFigures | None

    @property
    def headline(self) -> str:
        """The answer in words, of the attentive readers where some are flagged."""
        group = self.attentive or self.everyone
        if group is None:
            return "Nobody has read to the end yet, so there is no result."
        said = in_words(group.detection.accuracy, group.num_readers)
        if not self.num_flagged:
            return said
        if self.attentive is None:
            return f"{said} But none of those who read passed the attention checks."
        left_out = f"Left out here: {self.num_flagged} who failed the attention checks."
        return f"{said} {left_out} The figures stand below with and without them."

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready dict; every reader says whether flagged."""
        values = asdict(self)
        for reader, figures in zip(values["readers"], self.readers, strict=True):
            reader["is_flagged"] = figures.is_flagged
        return values | {"headline": self.headline}


def in_words(accuracy: Interval, num_readers: int) -> str:
    """What an accuracy of telling real from synthetic means; 50 % is guessing."""
    who = "The reader was" if num_readers == 1 else f"The {num_readers} readers were"
    said = (
        f"{who} right on {_percent(accuracy.value)} of the pictures (95 % interval {_percent(accuracy.low)} to "
        f"{_percent(accuracy.high)}); guessing gives 50 %."
    )
    return " ".join([said, _meaning(accuracy), *_limits(num_readers)])


def _meaning(accuracy: Interval) -> str:
    if accuracy.low > 0.5 and accuracy.high <= 0.5 + MARGIN:
        return "Synthetic pictures can be told from real ones, but hardly."
    if accuracy.low > 0.5:
        return "Synthetic pictures can be told from real ones."
    if accuracy.high < 0.5:
        return "That is worse than guessing: the pictures can be told apart, and synthetic ones are taken for real."
    if accuracy.low >= 0.5 - MARGIN and accuracy.high <= 0.5 + MARGIN:
        return f"To within {round(100 * MARGIN)} points of guessing, real and synthetic are indistinguishable here."
    return (
        f"No difference from guessing was shown, but a true rate of {_percent(accuracy.high)} fits these answers too: "
        "that takes more readers or pictures to rule out."
    )


def _limits(num_readers: int) -> Sequence[str]:
    if num_readers == 1:
        return ("The interval is for other pictures and this reader; other readers may differ.",)
    if num_readers < FEW_READERS:
        return (f"With {num_readers} readers, how far others would differ is hardly known.",)
    return ()


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"
