"""Are the marks of the dermoscope drawn as often as real pictures have them, and can a diagnosis be read from them?

A model that draws ink with one class teaches a classifier the ink. Plain numbers on scores (N, K), a column a mark;
it knows no picture and finds no mark.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from dermaflux.domain.errors import InvalidRequest

NUM_FOLDS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkedPictures:
    """Scores (N, K) of N pictures, which marks are present (N, K), and the diagnosis of each."""

    scores: np.ndarray
    present: np.ndarray
    diagnoses: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkRates:
    """Shares 0..1 of pictures with each mark, by its name, and of how many pictures."""

    rates: Mapping[str, float]
    num_images: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ArtefactAudit:
    """Rates by diagnosis ('all' for every picture), and how well the diagnosis can be told from the scores alone.

    Readability is the mean one-against-the-rest AUC of a cross-validated logistic regression: .5 not at all, 1 wholly;
    None where fewer than two diagnoses have NUM_FOLDS pictures.
    """

    real: Mapping[str, MarkRates]
    synthetic: Mapping[str, MarkRates]
    real_readability: float | None
    synthetic_readability: float | None

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready dict."""
        return asdict(self)


def audit(real: MarkedPictures, synthetic: MarkedPictures, marks: Sequence[str], seed: int = 0) -> ArtefactAudit:
    """Compare two sets. Raises InvalidRequest when one is empty."""
    if not len(real.diagnoses) or not len(synthetic.diagnoses):
        raise InvalidRequest("Nothing to compare: one of the two sets is empty.")
    return ArtefactAudit(
        real=_rates(real, marks),
        synthetic=_rates(synthetic, marks),
        real_readability=readability(real, seed),
        synthetic_readability=readability(synthetic, seed),
    )


def readability(pictures: MarkedPictures, seed: int = 0) -> float | None:
    """How well the diagnosis can be told from the scores, as `ArtefactAudit` says. Rare diagnoses are left out."""
    labels = np.asarray(pictures.diagnoses, dtype=str)
    names, counts = np.unique(labels, return_counts=True)
    kept = names[counts >= NUM_FOLDS]
    if len(kept) < 2:
        return None
    rows = np.isin(labels, kept)
    model = make_pipeline(StandardScaler(), LogisticRegression(class_weight="balanced", max_iter=1000))
    folds = StratifiedKFold(NUM_FOLDS, shuffle=True, random_state=seed)
    guessed = np.asarray(
        cross_val_predict(model, pictures.scores[rows], labels[rows], cv=folds, method="predict_proba")
    )
    return float(np.mean([roc_auc_score(labels[rows] == name, guessed[:, k]) for k, name in enumerate(kept)]))


def _rates(pictures: MarkedPictures, marks: Sequence[str]) -> dict[str, MarkRates]:
    labels = np.asarray(pictures.diagnoses, dtype=str)
    groups = {name: labels == name for name in sorted(set(labels.tolist()))}
    groups["all"] = np.ones(len(labels), dtype=bool)
    return {
        name: MarkRates(
            rates=dict(zip(marks, pictures.present[rows].mean(axis=0).tolist(), strict=True)),
            num_images=int(rows.sum()),
        )
        for name, rows in groups.items()
    }
