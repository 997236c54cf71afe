"""The arms of an augmentation study by name.

An arm is a way to train on the same few real pictures. Without synthetic ones (the fair baselines):

    plain        whole frames, only turned and mirrored
    augmented    standard augmentation: crops, squeezes, colour, mixup
    oversampled  the same, all classes drawn alike
    longer       the same, twice the steps
    randaugment  the same, two operations of RandAugment before

With them, `SOURCE:RATIO[:HOW]` with standard augmentation: `flow:1.75` adds 1.75 pictures of the folder `flow` for each
real one. HOW, several joined by +: agreeing, close (filters, `training.synthetic_source`), half (drawn half as often),
alone (no real pictures), first (half of the steps on synthetic ones alone, the other half on the real ones).
It knows no picture and no training.
"""

from dataclasses import dataclass
from pathlib import Path

from dermaflux.domain.errors import InvalidRequest

RESULTS = "results.jsonl"
"""A study's finished cells, a line each."""
DIFFERENCES = "differences.json"
"""Beside them: each arm's paired differences to its baseline, written by training.study_report."""

BASELINES = ("plain", "augmented", "oversampled", "longer", "randaugment")
AGREEING, CLOSE = "agreeing", "close"
ALONE, FIRST, HALF = "alone", "first", "half"
HOW = (AGREEING, CLOSE, HALF, ALONE, FIRST)


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """One way to train, read from its name."""

    name: str
    source: str | None = None
    ratio: float = 0.0
    how: frozenset[str] = frozenset()

    @classmethod
    def parse(cls, name: str) -> "Arm":
        """The arm of a name. Raises InvalidRequest saying what names there are."""
        if name in BASELINES:
            return cls(name=name)
        source, _, rest = name.partition(":")
        ratio, _, how = rest.partition(":")
        try:
            arm = cls(name=name, source=source, ratio=float(ratio), how=frozenset(how.split("+") if how else ()))
        except ValueError:
            arm = None
        if arm is None or not source or Path(source).name != source or arm.ratio <= 0 or arm.how - set(HOW):
            raise InvalidRequest(
                f"The arm {name!r} is not known. Choose {', '.join(BASELINES)}, or SOURCE:RATIO[:HOW] such as "
                f"flow:1.75 or flow:1:close, HOW one of {', '.join(HOW)}."
            )
        return arm
