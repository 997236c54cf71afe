"""One cell of an augmentation study: its pictures, its classifier, the figures: chosen on val, reported on test.

It knows no grid and no results file.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.metrics import balanced_accuracy_score

from dermaflux.classification.calibration import fit
from dermaflux.classification.checkpoint import malignant_classes
from dermaflux.evaluation.classifier_metrics import binary_metrics, youden_threshold
from training.study_config import PROBE, Cell, StudyConfig
from training.study_material import HeldOutLogits, class_names, stages_of
from training.study_probe import probed
from training.study_training import fine_tuned


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What a cell found: its line of figures, and P(malignant) of the test pictures (N,)."""

    line: dict[str, Any]
    test_scores: np.ndarray


def run_cell(config: StudyConfig, cell: Cell, should_stop: Callable[[], bool]) -> Result:
    """Train and judge one cell. Raises Cancelled between two steps, and what the parts raise."""
    stages = stages_of(config, cell, class_names(config.data))
    learn = probed if cell.model == PROBE else fine_tuned
    figures, test_scores = _judged(learn(config, cell, stages, should_stop))
    line = {"key": cell.key, "model": cell.model, "num_real": cell.num_real, "arm": cell.arm.name, "seed": cell.seed}
    num_pictures = sum(len(stage.labels) for stage in stages)
    return Result(line=line | {"num_pictures": num_pictures} | figures, test_scores=test_scores)


def _judged(found: HeldOutLogits) -> tuple[dict[str, dict[str, float]], np.ndarray]:
    """The figures on val and test, and P(malignant) on test; calibration and threshold come from val."""
    mask = malignant_classes(found.judges.class_names)
    malignant, held = np.asarray(mask), found.judges.parts
    calibration = fit(found.logits["val"], held["val"].labels, mask)
    figures, scores, threshold = {}, np.empty(0), 0.5
    for name, pictures in held.items():
        probabilities = calibration.probabilities(found.logits[name])
        truth, scores = malignant[pictures.labels], probabilities[:, malignant].sum(1)
        threshold = youden_threshold(truth, scores) if name == "val" else threshold
        figures[name] = binary_metrics(truth, scores, threshold=threshold) | {
            "class_accuracy": float((probabilities.argmax(1) == pictures.labels).mean()),
            "class_balanced_accuracy": float(balanced_accuracy_score(pictures.labels, probabilities.argmax(1))),
        }
    return figures, scores
