"""What a probe is asked and what it answers: options, differences with their intervals, the verdict.

Records only; they know neither features nor heads.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from dermaflux.domain.errors import InvalidRequest
from dermaflux.evaluation.classifier_metrics import Interval

MIN_OF_A_CLASS = 2


class Verdict(StrEnum):
    """What the interval of the balanced accuracy says: above 0, below 0, or neither."""

    HELPS = "helps"
    HARMS = "harms"
    OPEN = "cannot be told"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeOptions:
    """How often the heads are trained, on how many real pictures, and how the intervals are drawn.

    num_real: each draw takes about so many real training pictures, every class in its proportion and with at least
    MIN_OF_A_CLASS; None takes all, each draw a bootstrap of their lesions.
    """

    num_real: int | None = None
    num_draws: int = 5
    num_resamples: int = 1000
    seed: int = 0

    def __post_init__(self) -> None:
        """Raise InvalidRequest for a number that cannot be."""
        if self.num_real is not None and self.num_real < 10:
            raise InvalidRequest(f"num_real is {self.num_real}. Give 10 real pictures or more, or leave it out.")
        if not 2 <= self.num_draws <= 100:
            raise InvalidRequest(f"num_draws is {self.num_draws}, outside 2 to 100.")
        if not 100 <= self.num_resamples <= 100_000 or self.seed < 0:
            raise InvalidRequest("num_resamples must lie in 100 to 100000, and seed be 0 or more.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """A figure without and with the added set (means over the draws), and the interval of what it changes."""

    without: float
    with_added: float
    delta: Interval

    @property
    def change(self) -> str:
        """As `+0.031 (+0.010, +0.052)`."""
        return self.delta.signed


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassRecall:
    """The recall of one class, how many held-out pictures judge it, and how many were added to it."""

    recall: Difference
    num_held_out: int
    num_added: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeReport:
    """What the added set changes. malignant_auc is None where benign or malignant pictures are missing.

    num_real counts the pictures of a draw; left out are pictures of classes that the real training ones lack.
    """

    balanced_accuracy: Difference
    malignant_auc: Difference | None
    classes: Mapping[str, ClassRecall]
    num_real: int
    num_added: int
    num_held_out: int
    num_lesions: int
    num_draws: int
    num_added_left_out: int
    num_held_out_left_out: int

    @property
    def verdict(self) -> Verdict:
        """Whether the interval of the balanced accuracy leaves 0 out, and on which side."""
        delta = self.balanced_accuracy.delta
        return Verdict.HELPS if delta.low > 0 else Verdict.HARMS if delta.high < 0 else Verdict.OPEN

    @property
    def headline(self) -> str:
        """The answer in one sentence."""
        said = {Verdict.HELPS: "helps", Verdict.HARMS: "harms", Verdict.OPEN: "neither helps nor harms for certain"}
        return (
            f"The accepted set of {self.num_added} images {said[self.verdict]}: balanced accuracy "
            f"{self.balanced_accuracy.change} beside {self.num_real} real training pictures, on "
            f"{self.num_held_out} held-out ones of {self.num_lesions} lesions.{self._left_out()}"
        )

    def _left_out(self) -> str:
        if not self.num_added_left_out + self.num_held_out_left_out:
            return ""
        return (
            f" Of diagnoses without real training pictures, {self.num_added_left_out} accepted and "
            f"{self.num_held_out_left_out} held-out ones are left out."
        )

    def rows(self) -> list[tuple[str, Difference, int, int]]:
        """Every figure as its name, its difference, how many pictures judge it, and how many were added."""
        both = (self.num_held_out, self.num_added)
        found = [("balanced accuracy", self.balanced_accuracy, *both)]
        if self.malignant_auc:
            found.append(("malignant AUC", self.malignant_auc, *both))
        return found + [(f"recall {n}", c.recall, c.num_held_out, c.num_added) for n, c in self.classes.items()]

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready dict."""
        return asdict(self) | {"verdict": str(self.verdict), "headline": self.headline}
