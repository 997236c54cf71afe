"""How far synthetic pictures can be told from real ones, and whether they teach the same difference.

    python -m benchmarks.synthetic_gap          # needs runs/study/flow (training.synthetic_pool)

500 real pictures of split=train and 1,500 synthetic ones, all classes alike, of which as many of each class are taken
from both as there are in both. By what the study's probe sees in them: the AUC at which real is told from synthetic
(.5: not at all), and the AUC of malignant against benign, learned from one kind and asked of the other or the same. In
five folds; no val or test picture is looked at, no network trained. nano was trained on these real pictures.
"""

import sys

import numpy as np
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold

from dermaflux.classification.checkpoint import malignant_classes
from dermaflux.evaluation.probe_head import fitted_head, standardiser
from dermaflux.evaluation.study_arms import Arm
from training.probe_features import ProbeFeatures
from training.study_config import PRESETS, PROBE, Cell
from training.study_material import class_names, stages_of
from training.study_probe import random_training_views

NUM_REAL = 500
NUM_FOLDS = 5
PENALTY = 0.1
"""On half the squared weights, beside the mean loss."""

Kind = tuple[np.ndarray, np.ndarray]
"""Features (N, F), the mean of a picture's views, and class index (N,)."""


def main() -> None:
    """Print one row a figure."""
    config = PRESETS["probe"][1]
    names = class_names(config.data)
    real, synthetic = _alike(_seen("augmented", names), _seen("flow:3:alone", names), len(names))
    _row("pictures of each kind", len(real[0]))
    both = np.concatenate([real[0], synthetic[0]])
    is_synthetic = np.repeat([0, 1], [len(real[0]), len(synthetic[0])])
    _row("synthetic told from real", _auc(both, is_synthetic, both, is_synthetic))
    malignant = np.asarray(malignant_classes(names))
    kinds = {"real": real, "synthetic": synthetic}
    for learned, (shown, labels) in kinds.items():
        for asked, (judged, truth) in kinds.items():
            found = _auc(shown, malignant[labels], judged, malignant[truth])
            _row(f"malignant told from benign: learned from {learned}, asked of {asked}", found)


def _seen(arm: str, names: tuple[str, ...]) -> Kind:
    config = PRESETS["probe"][1]
    cell = Cell(model=PROBE, num_real=NUM_REAL, arm=Arm.parse(arm), seed=0)
    (frames,) = stages_of(config, cell, names)
    views = random_training_views(config.run_of(cell).augment, config.size_px)
    features = ProbeFeatures(config.folder / "features").of(frames.frames, views, lambda: False)
    return features.mean(axis=1), frames.labels.numpy()


def _alike(real: Kind, synthetic: Kind, num_classes: int) -> tuple[Kind, Kind]:
    """As many of each class from both, so that the mix of classes tells nothing; order shuffled."""
    rng = np.random.default_rng(0)
    rows: tuple[list[int], list[int]] = ([], [])
    for index in range(num_classes):
        places = [np.flatnonzero(labels == index) for _, labels in (real, synthetic)]
        count = min(map(len, places))
        for kept, place in zip(rows, places, strict=True):
            kept.extend(rng.permutation(place)[:count])
    return tuple((seen[kept], labels[kept]) for (seen, labels), kept in zip((real, synthetic), rows, strict=True))  # type: ignore[return-value]


def _auc(shown: np.ndarray, labels: np.ndarray, judged: np.ndarray, truth: np.ndarray) -> float:
    """AUC on `judged`; where it is `shown` itself, each fold is judged by what the others taught."""
    if judged is not shown:
        return float(roc_auc_score(truth, _scores(shown, labels, judged)))
    scores = np.empty(len(labels))
    for learned, left in StratifiedKFold(NUM_FOLDS, shuffle=True, random_state=0).split(shown, labels):
        scores[left] = _scores(shown[learned], labels[learned], shown[left])
    return float(roc_auc_score(labels, scores))


def _scores(shown: np.ndarray, labels: np.ndarray, judged: np.ndarray) -> np.ndarray:
    """Log odds on `judged` of a head that learned `shown`, both sides weighing the same."""
    mean, spread = standardiser(shown)
    index = labels.astype(int)
    head = fitted_head((shown - mean) / spread, index, 1 / np.bincount(index)[index], PENALTY)
    return head.decision_function((judged - mean) / spread)


def _row(what: str, value: float) -> None:
    sys.stdout.write(f"| {what} | {value:.3f} |\n" if isinstance(value, float) else f"| {what} | {value} |\n")


if __name__ == "__main__":
    main()
