"""The whole report on a classifier: what it said of pictures whose diagnosis is known, turned into every figure.

Discrimination, calibration, net benefit, classes and subgroups, with intervals over lesions. Pictures that were
refused are counted and left out. It knows no network and no file: predictions come in as records.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from dermaflux.domain.errors import InvalidRequest
from dermaflux.domain.records import Prediction
from dermaflux.evaluation.classifier_metrics import (
    Bootstrap,
    Interval,
    binary_metrics,
    bootstrap_auc,
    bootstrap_metrics,
    sensitivity_at_specificity,
    specificity_at_sensitivity,
)
from dermaflux.evaluation.decision_curve import DecisionPoint, decision_curve
from dermaflux.evaluation.multiclass import MulticlassReport, multiclass_report
from dermaflux.evaluation.reliability import ReliabilityBin, reliability_curve
from dermaflux.evaluation.roc_band import roc_band
from dermaflux.evaluation.subgroups import LabelledScores, Subgroups, subgroups

_ROC_RESAMPLES = 500  # each draws a whole curve; a band for the eye needs no more


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedPicture:
    """One real picture: its diagnosis by name, whether that is positive, its lesion, and what the classifier said.

    groups: attribute -> group, None where it is not known; every picture has the same attributes.
    """

    diagnosis: str
    positive: bool
    lesion_id: str
    prediction: Prediction
    groups: Mapping[str, str | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class DiagnosisFigures:
    """All pictures of one diagnosis: how many, the share called positive, and the mean P(malignant)."""

    num_pictures: int
    called_positive: float
    mean_malignant: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassifierReport:
    """`figures` as `binary_metrics` gives them; `intervals` of some of them; `multiclass` None where no class fits.

    roc: the curve with its pointwise band, as equally long lists: false_rate, sensitivity, low, high.
    """

    num_pictures: int
    num_lesions: int
    num_refused: int
    figures: Mapping[str, float]
    intervals: Mapping[str, Interval]
    roc: Mapping[str, Sequence[float]]
    reliability: Sequence[ReliabilityBin]
    decision_curve: Sequence[DecisionPoint]
    diagnoses: Mapping[str, DiagnosisFigures]
    multiclass: MulticlassReport | None
    subgroups: Mapping[str, Subgroups]

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready dict."""
        return asdict(self)


def classifier_report(pictures: Sequence[JudgedPicture], how: Bootstrap | None = None) -> ClassifierReport:
    """Every figure of the pictures that were not refused, at the classifier's own operating point.

    Raises InvalidRequest when all were refused, or when not both positive and negative ones are left.
    """
    how = how or Bootstrap()
    kept = [picture for picture in pictures if picture.prediction.refused is None]
    if not kept:
        raise InvalidRequest("The classifier refused every picture, so there is no figure. Use other pictures.")
    judged = _labelled_scores(kept)
    labels, scores = judged.labels, judged.scores
    return ClassifierReport(
        num_pictures=len(kept),
        num_lesions=len(set(judged.clusters)),
        num_refused=len(pictures) - len(kept),
        figures=binary_metrics(labels, scores, threshold=judged.threshold),
        intervals=_intervals(judged, how),
        roc=_roc(judged, how),
        reliability=reliability_curve(labels, scores),
        decision_curve=decision_curve(labels, scores),
        diagnoses=_by_diagnosis([picture.diagnosis for picture in kept], judged),
        multiclass=_multiclass(kept),
        subgroups={name: subgroups(judged, [p.groups[name] for p in kept], how) for name in kept[0].groups},
    )


def _roc(judged: LabelledScores, how: Bootstrap) -> dict[str, list[float]]:
    how = replace(how, num_resamples=min(how.num_resamples, _ROC_RESAMPLES))
    band = roc_band(judged.labels, judged.scores, judged.clusters, how)
    return {name: getattr(band, name).round(5).tolist() for name in ("false_rate", "sensitivity", "low", "high")}


def _intervals(judged: LabelledScores, how: Bootstrap) -> dict[str, Interval]:
    points = {
        "sensitivity_at_specificity_90": lambda labels, scores: sensitivity_at_specificity(labels, scores, 0.90),
        "specificity_at_sensitivity_95": lambda labels, scores: specificity_at_sensitivity(labels, scores, 0.95),
    }
    return {
        "auc": bootstrap_auc(judged.labels, judged.scores, judged.clusters, how),
        **bootstrap_metrics(judged.labels, judged.scores, judged.clusters, points, how),
    }


def _labelled_scores(kept: Sequence[JudgedPicture]) -> LabelledScores:
    threshold = kept[0].prediction.threshold
    assert threshold is not None  # only a refusal has none
    return LabelledScores(
        labels=np.array([picture.positive for picture in kept]),
        scores=np.array([picture.prediction.malignant for picture in kept], dtype=np.float64),
        clusters=[picture.lesion_id for picture in kept],
        threshold=threshold,
    )


def _by_diagnosis(names: Sequence[str], judged: LabelledScores) -> dict[str, DiagnosisFigures]:
    """The commonest diagnosis first."""
    truth = np.asarray(names)
    found, counts = np.unique(truth, return_counts=True)
    return {
        str(name): DiagnosisFigures(
            num_pictures=int(count),
            called_positive=float((judged.scores[truth == name] >= judged.threshold).mean()),
            mean_malignant=float(judged.scores[truth == name].mean()),
        )
        for name, count in sorted(zip(found, counts, strict=True), key=lambda item: -item[1])
    }


def _multiclass(kept: Sequence[JudgedPicture]) -> MulticlassReport | None:
    """Over the pictures whose diagnosis is a class of the classifier; None when fewer than two such occur."""
    class_names = tuple(kept[0].prediction.diagnosis)
    known = [picture for picture in kept if picture.diagnosis in class_names]
    if len({picture.diagnosis for picture in known}) < 2:
        return None
    probabilities = np.array([[p.prediction.diagnosis[name] for name in class_names] for p in known])
    return multiclass_report([p.diagnosis for p in known], probabilities, class_names)
