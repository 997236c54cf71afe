"""What an augmentation study found: tables in words of Markdown, the two panels and the ROC as HTML and PNG.

    python -m training.study_report cpu --out docs/images

Baseline and ratio are the best on val, each by its mean AUC over the seeds; what is reported is their difference on
test. Unfinished arms are reported with the seeds they have. The differences are also written beside the study's lines,
for the Evaluate page, which has not the test pictures' labels. It trains nothing.
"""

import json
import logging
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tyro

from dermaflux.domain.errors import DataNotFound
from dermaflux.domain.records import Split
from dermaflux.evaluation.classifier_metrics import Interval
from dermaflux.evaluation.paired_arms import ArmDifference, ArmScores, difference
from dermaflux.evaluation.study import Setting, settings_of
from dermaflux.evaluation.study_arms import DIFFERENCES
from training.classifier_data import open_data, part
from training.program import program
from training.study_config import PRESETS, StudyConfig
from training.study_figures import write_panels, write_study_roc
from training.study_grid import Grid
from training.whole_files import write_whole

log = logging.getLogger(__name__)
_COLUMNS = (
    "arm", "seeds", "val AUC", "test AUC", "balanced accuracy", "accuracy", "AUC less the baseline's",
    "balanced accuracy less the baseline's",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """Labels (N,) and lesions of the test pictures, in the order of all scores."""

    labels: np.ndarray
    lesion_ids: tuple[str, ...]


def compare(grid: Grid, truth: Truth, setting: Setting, arm: str, against: str) -> ArmDifference | None:
    """An arm against another over the seeds that both have; None when there is none."""
    seeds = {line["seed"] for line in setting.arms[arm]} & {line["seed"] for line in setting.arms[against]}
    if not seeds:
        return None
    first, second = (_scores(grid, setting, name, seeds) for name in (against, arm))
    return difference(truth.labels, first, second, truth.lesion_ids)


Differences = dict[tuple[str, int, str], ArmDifference]
"""The paired difference of each arm to its setting's chosen baseline, by model, number of real pictures and arm."""


def differences(grid: Grid, truth: Truth, settings: Sequence[Setting]) -> Differences:
    """Every arm that shares a seed with the chosen baseline, against it."""
    found: Differences = {}
    for setting in settings:
        for arm in setting.arms:
            if setting.baseline in (None, arm):
                continue
            if gain := compare(grid, truth, setting, arm, str(setting.baseline)):
                found[setting.model, setting.num_real, arm] = gain
    return found


def markdown(settings: Sequence[Setting], gains: Differences) -> str:
    """All tables: a row an arm, and its paired difference to the chosen baseline."""
    parts = []
    for setting in settings:
        rows = [_row(setting, arm, gains.get((setting.model, setting.num_real, arm))) for arm in setting.arms]
        title = f"### {setting.model}, {setting.num_real} real pictures\n"
        head = [title, f"| {' | '.join(_COLUMNS)} |", "|---" * len(_COLUMNS) + "|"]
        parts.append("\n".join([*head, *rows, _verdict(setting)]))
    return "\n".join(parts)


def as_json(settings: Sequence[Setting], gains: Differences) -> str:
    """The differences as JSON, a dict an arm: value, low and high of each metric."""
    against = {(setting.model, setting.num_real): setting.baseline for setting in settings}
    listed = [
        {"model": model, "num_real": num_real, "arm": arm, "against": against[model, num_real],
         "num_seeds": gain.num_seeds, "auc": _ends(gain.auc), "balanced_accuracy": _ends(gain.balanced_accuracy)}
        for (model, num_real, arm), gain in gains.items()
    ]  # fmt: skip
    return json.dumps({"differences": listed}, indent=1) + "\n"


def _ends(found: Interval) -> list[float]:
    return [round(value, 5) for value in (found.value, found.low, found.high)]


def _row(setting: Setting, arm: str, gain: ArmDifference | None) -> str:
    lines = setting.arms[arm]
    figures = [_spread([line["test"][name] for line in lines]) for name in ("auc", "balanced_accuracy", "accuracy")]
    mark = {setting.baseline: " (baseline)", setting.chosen: " (chosen)"}.get(arm, "")
    gains = [gain.auc.signed, gain.balanced_accuracy.signed] if gain else ["", ""]
    cells = [f"{arm}{mark}", str(len(lines)), f"{setting.mean(arm, 'val', 'auc'):.3f}", *figures, *gains]
    return f"| {' | '.join(cells)} |"


def _verdict(setting: Setting) -> str:
    return f"\nOn val the best baseline is {setting.baseline}, the best ratio {setting.chosen}.\n"


def _spread(values: Sequence[float]) -> str:
    spread = f" ± {np.std(values, ddof=1):.3f}" if len(values) > 1 else ""
    return f"{np.mean(values):.3f}{spread}"


def _scores(grid: Grid, setting: Setting, arm: str, seeds: set[int]) -> ArmScores:
    lines = [line for line in setting.arms[arm] if line["seed"] in seeds]
    return ArmScores(
        scores=np.stack([np.load(grid.scores_path(line["key"])).astype(np.float64) for line in lines]),
        thresholds=np.array([line["val"]["threshold"] for line in lines]),
    )


def truth_of(config: StudyConfig) -> Truth:
    """The test pictures' labels and lesions; no pixel is read."""
    records = part(open_data(config.data), Split.TEST, config.data.limit).records
    return Truth(
        labels=np.array([record.diagnosis.is_malignant for record in records]),
        lesion_ids=tuple(record.lesion_id for record in records),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportConfig:
    """Where pages and pictures go: the study's own folder when not given."""

    study: StudyConfig
    out: Path | None = None


@program
def main() -> None:
    """The command line."""
    presets = {name: (text, ReportConfig(study=study)) for name, (text, study) in PRESETS.items()}
    config = tyro.extras.overridable_config_cli(presets, prog="python -m training.study_report")
    grid, out = Grid(config.study.folder), config.out or config.study.folder
    if not (lines := list(grid.finished().values())):
        raise DataNotFound(f"{grid.results} holds no finished cell. Run training.augmentation_study first.")
    truth, settings = truth_of(config.study), settings_of(lines)
    gains = differences(grid, truth, settings)
    write_whole(grid.folder / DIFFERENCES, as_json(settings, gains))
    write_whole(grid.folder / "report.md", text := markdown(settings, gains))
    write_panels(out, settings)
    for setting in settings:
        arms = [arm for arm in dict.fromkeys((setting.baseline, setting.chosen)) if arm]
        scores = {arm: _scores(grid, setting, arm, {line["seed"] for line in setting.arms[arm]}).scores for arm in arms}
        write_study_roc(out, f"{setting.model}, {setting.num_real} real pictures", scores, truth)
    sys.stdout.write(text)


if __name__ == "__main__":
    sys.exit(main())
