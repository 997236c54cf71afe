"""How well several classes are told apart: sensitivity and AUC of each, their means, and who is taken for whom.

It knows no model and no picture; probabilities and names come in.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.metrics import confusion_matrix, recall_score, roc_auc_score

from dermaflux.domain.errors import InvalidRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassFigures:
    """One class: its pictures, the share of them named first, and the AUC of its probability against the rest."""

    num_pictures: int
    sensitivity: float
    auc: float


@dataclass(frozen=True, slots=True, kw_only=True)
class MulticlassReport:
    """`classes` holds the classes that occur; balanced_accuracy and macro_auc are means over them, each counted once.

    confusion[i][j]: pictures of class i whose likeliest class is j, in the order of `class_names`.
    """

    num_pictures: int
    balanced_accuracy: float
    macro_auc: float
    class_names: tuple[str, ...]
    confusion: tuple[tuple[int, ...], ...]
    classes: dict[str, ClassFigures]


def multiclass_report(
    names: Sequence[str], probabilities: np.ndarray, class_names: Sequence[str]
) -> MulticlassReport:
    """The figures of true class names (N,) and probabilities (N, C) in the order of `class_names`.

    Raises InvalidRequest unless the shapes agree, every name is a class, and at least two classes occur.
    """
    if probabilities.shape != (len(names), len(class_names)) or not set(names) <= set(class_names):
        raise InvalidRequest(
            f"{len(names)} names of {sorted(set(names))} and probabilities {probabilities.shape} must fit the classes "
            f"{list(class_names)}."
        )
    truth, present = np.asarray(names), [name for name in class_names if name in set(names)]
    if len(present) < 2:
        raise InvalidRequest(f"Only {present} occurs. Figures need pictures of at least two classes.")
    likeliest = np.asarray(class_names)[probabilities.argmax(axis=1)]
    shares: Any = recall_score(truth, likeliest, labels=present, average=None)  # type: ignore[arg-type] - allowed
    sensitivity = np.asarray(shares)
    areas = [roc_auc_score(truth == name, probabilities[:, list(class_names).index(name)]) for name in present]
    return MulticlassReport(
        num_pictures=len(names),
        balanced_accuracy=float(sensitivity.mean()),
        macro_auc=float(np.mean(areas)),
        class_names=tuple(class_names),
        confusion=tuple(
            tuple(int(count) for count in row)
            for row in confusion_matrix(truth, likeliest, labels=list(class_names))
        ),
        classes={
            name: ClassFigures(
                num_pictures=int((truth == name).sum()), sensitivity=float(share), auc=float(area)
            )
            for name, share, area in zip(present, sensitivity, areas, strict=True)
        },
    )
