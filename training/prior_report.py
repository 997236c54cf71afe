"""Figures of several models on the same test pictures: one line a model, against one reference, and the ROC figure.

Each threshold is chosen on val by the same rule for everyone (Youden); test is only looked at. It loads no model.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dermaflux.domain.errors import InvalidRequest
from dermaflux.domain.records import Split
from dermaflux.evaluation.classifier_metrics import (
    Bootstrap,
    binary_metrics,
    bootstrap_metrics,
    compare_auc,
    sensitivity_at_specificity,
    specificity_at_sensitivity,
    youden_threshold,
)
from dermaflux.evaluation.classifier_metrics import auc as area
from dermaflux.evaluation.roc_band import RocBand, roc_band
from training.dataset import LesionDataset

_BOOTSTRAPPED = {
    "auc": area,
    "sensitivity_at_specificity_90": lambda truth, scores: sensitivity_at_specificity(truth, scores, 0.90),
    "specificity_at_sensitivity_95": lambda truth, scores: specificity_at_sensitivity(truth, scores, 0.95),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """Truth (N,), lesions and splits of the pictures, in the order of every model's scores."""

    truth: np.ndarray
    lesion_ids: np.ndarray
    is_test: np.ndarray

    @classmethod
    def of(cls, data: LesionDataset) -> "Judged":
        """The facts of a data set that holds val and test."""
        return cls(
            truth=np.array([int(record.diagnosis.is_malignant) for record in data.records]),
            lesion_ids=np.array([record.lesion_id for record in data.records]),
            is_test=np.array([record.split == Split.TEST for record in data.records]),
        )


def figures(judged: Judged, columns: Mapping[str, np.ndarray], how: Bootstrap) -> dict[str, dict[str, Any]]:
    """By column of scores (N,) its figures on test, with the difference of AUC to the first column (DeLong).

    Only pictures that every column has a score for count: the same for all. Raises InvalidRequest when val or test
    lack a class.
    """
    kept = np.all([~np.isnan(scores) for scores in columns.values()], axis=0)
    val, test = kept & ~judged.is_test, kept & judged.is_test
    for name, part in (("val", val), ("test", test)):
        if len(set(judged.truth[part])) < 2:
            raise InvalidRequest(f"The {name} pictures must be benign and malignant ones. Use more of them.")
    truth, lesions = judged.truth[test], list(judged.lesion_ids[test])
    reference, first = next(iter(columns.items()))
    found = {}
    for name, scores in columns.items():
        threshold = youden_threshold(judged.truth[val], scores[val])
        intervals = bootstrap_metrics(truth, scores[test], lesions, _BOOTSTRAPPED, how)
        difference, p_value = compare_auc(truth, scores[test], first[test])
        found[name] = binary_metrics(truth, scores[test], threshold=threshold) | {
            **{f"{metric}_interval_95": [v.low, v.high] for metric, v in intervals.items()},
            "num_pictures": int(test.sum()),
            "num_refused": int((judged.is_test & ~kept).sum()),
            "auc_difference": {"to": reference, "value": difference, "p_delong": p_value},
        }
    return found


def bands(judged: Judged, columns: Mapping[str, np.ndarray], how: Bootstrap) -> dict[str, RocBand]:
    """By column its ROC curve on the same test pictures."""
    test = np.all([~np.isnan(scores) for scores in columns.values()], axis=0) & judged.is_test
    lesions = list(judged.lesion_ids[test])
    return {name: roc_band(judged.truth[test], scores[test], lesions, how) for name, scores in columns.items()}


def table(lines: Sequence[Mapping[str, Any]]) -> str:
    """The results as Markdown. What the paper reports stands in a column of its own: it was not measured here."""
    rows = [
        "| model | AUC (95 %) | sens. at spec. .90 | spec. at sens. .95 | to the first (p) | reported by the paper |",
        "|---|---|---|---|---|---|",
    ]
    for line in lines:
        reported = "" if line.get("reported_auc") is None else f"{line['reported_auc']:.3f}, not measured here"
        if line["state"] != "done":
            rows.append(f"| {line['name']} | not run: {line['why']} | | | | {reported} |")
            continue
        for column, f in line["figures"].items():
            low, high = f["auc_interval_95"]
            gap = f["auc_difference"]
            rows.append(
                f"| {line['name']}, {column} | {f['auc']:.3f} ({low:.3f}, {high:.3f}) "
                f"| {f['sensitivity_at_specificity_90']:.3f} | {f['specificity_at_sensitivity_95']:.3f} "
                f"| {gap['value']:+.3f} ({gap['p_delong']:.2g}) | {reported} |"
            )
    return "\n".join(rows)
