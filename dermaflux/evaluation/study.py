"""What the cells of an augmentation study say: by setting and arm, what is best on val, and a metric against the ratio.

A line is one finished training: model, num_real, arm, seed, and the figures on val and test. It knows no file.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dermaflux.evaluation.study_arms import BASELINES, Arm

Line = dict[str, Any]
METRICS = {"auc": "AUC", "balanced_accuracy": "balanced accuracy"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One model at one number of real pictures: the lines of each arm, seeds in order."""

    model: str
    num_real: int
    arms: dict[str, list[Line]]

    def mean(self, arm: str, split: str, figure: str) -> float:
        """The mean of a figure over the seeds of an arm."""
        return float(np.mean([line[split][figure] for line in self.arms[arm]]))

    def best(self, arms: Sequence[str]) -> str | None:
        """The arm with the highest mean AUC on val; None of none."""
        known = [arm for arm in arms if arm in self.arms]
        return max(known, key=lambda arm: self.mean(arm, "val", "auc"), default=None)

    @property
    def baseline(self) -> str | None:
        """The fair baseline chosen on val."""
        return self.best(BASELINES)

    @property
    def chosen(self) -> str | None:
        """The ratio chosen on val, of the arms that add a flow's pictures to the real ones in the plain way."""
        plain = [arm for arm in self.arms if arm not in BASELINES and not Arm.parse(arm).how]
        return self.best([arm for arm in plain if Arm.parse(arm).source == "flow"])


def settings_of(lines: Sequence[Line]) -> list[Setting]:
    """The lines by model and number of real pictures; baselines first, then the ratios, then other ways by name."""
    grouped: dict[tuple[str, int], dict[str, list[Line]]] = defaultdict(lambda: defaultdict(list))
    for line in sorted(lines, key=lambda line: line["seed"]):
        grouped[line["model"], line["num_real"]][line["arm"]].append(line)
    return [
        Setting(model=model, num_real=num_real, arms={arm: arms[arm] for arm in sorted(arms, key=_place)})
        for (model, num_real), arms in sorted(grouped.items())
    ]


def _place(name: str) -> tuple[Any, ...]:
    """Where an arm stands in tables: workers finish in any order."""
    if name in BASELINES:
        return (0, BASELINES.index(name))
    arm = Arm.parse(name)
    return (1, sorted(arm.how), arm.source, arm.ratio)


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """A metric's mean and standard deviation over seeds against the ratio, and the chosen baseline's mean."""

    name: str
    ratios: list[float]
    means: list[float]
    spreads: list[float]
    baseline: float | None


def curves(settings: Sequence[Setting], metric: str) -> list[Curve]:
    """One curve a setting: `augmented` at ratio 0, then the flow's plain ratios."""
    return [_curve(setting, metric) for setting in settings]


def _curve(setting: Setting, metric: str) -> Curve:
    points: dict[float, list[float]] = {}
    for arm, lines in setting.arms.items():
        ratio = 0.0 if arm == "augmented" else _plain_ratio(arm)
        if ratio is not None:
            points[ratio] = [line["test"][metric] for line in lines]
    ratios = sorted(points)
    return Curve(
        name=f"{setting.num_real} real",
        ratios=ratios,
        means=[float(np.mean(points[ratio])) for ratio in ratios],
        spreads=[float(np.std(points[ratio], ddof=1)) if len(points[ratio]) > 1 else 0.0 for ratio in ratios],
        baseline=setting.mean(setting.baseline, "test", metric) if setting.baseline else None,
    )


def _plain_ratio(name: str) -> float | None:
    arm = Arm.parse(name)
    return arm.ratio if arm.source == "flow" and not arm.how else None
