"""Fit the calibration of the measurement: human ratings -> mixes -> percentiles of real lesions -> units.

`python -m training.calibrate_measurement [--field value ...]`. Weights are fitted on rated HAM10000 train
pictures only, the ridge strength is chosen on val, percentile tables come from all train lesions with a good
mask; test is never read. Masks are the embedded segmenter's, as in use. It knows no picture, only raw measures.
"""

import csv
import hashlib
import json
import logging
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import tyro
from scipy.optimize import nnls
from scipy.stats import rankdata

from dermaflux.domain.errors import DataNotFound
from dermaflux.domain.lesion import ASYMMETRY_RANGE, BORDER_RANGE, Colour
from dermaflux.measurement.calibration import Calibration, Part, Scale, ShareRule
from dermaflux.measurement.masks import ANALYSIS_AREA_PX
from dermaflux.measurement.window import DIAMETER_PX, WINDOW_PX
from training.measure_training_set import MeasureRun, Row, raw_table, weights_hash
from training.program import program

log = logging.getLogger(__name__)
NUM_QUANTILES = 101
MIN_IOU = 0.7
RIDGES = (0.003, 0.01, 0.03, 0.1, 0.3)
COLOUR_RANGE = (1.0, 6.0)

# Which measures may enter a headline number: each kept to its own attribute, none holds the lesion's area.
CANDIDATES: Mapping[str, Mapping[str, int]] = {
    "asymmetry": {
        "asymmetry_shape": 1, "asymmetry_pigment": 1, "asymmetry_colour": 1, "asymmetry_total": 1,
        "asymmetry_offset": 1,
    },
    "border": {
        "border_compactness": 1, "border_concavity": 1, "border_opening": 1, "border_roughness": 1,
        "border_irregularity": 1, "pigment_compactness_60": 1, "pigment_concavity_60": 1,
        "pigment_opening_60": 1, "pigment_compactness_90": 1, "pigment_concavity_90": 1,
        "pigment_opening_90": 1,
    },
    "colour": {
        "colour_spread": 1, "colour_logdet": 1, "colour_third": 1, "colour_hue_spread": 1,
        "colour_mottle": 1, "colour_texture": 1, "colour_mottle_relative": 1,
        "colour_texture_relative": 1, "colour_entropy": 1, "asymmetry_colour": 1,
    },
}  # fmt: skip
RATINGS = {"asymmetry": "btl_asym", "border": "btl_border", "colour": "btl_color"}
RANGES = {"asymmetry": ASYMMETRY_RANGE, "border": BORDER_RANGE, "colour": COLOUR_RANGE}
# Bounds in words: three tenths of a lesion always are a colour of their own, a thousandth may be one.
_CERTAIN_SHARES = (0.2, 0.25, 0.3)
_POSSIBLE_SHARES = (0.001, 0.002, 0.004)
_LEVELS = (5.1, 5.25, 5.5, 6.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class RatedRow:
    """A measured picture with its human ratings by attribute (nan where one is missing)."""

    row: Row
    ratings: Mapping[str, float]


def read_ratings(path: Path) -> dict[str, dict[str, float]]:
    """Bradley-Terry scores of HAM10000 pictures by image_id and attribute; DataNotFound without the file."""
    if not path.is_file():
        raise DataNotFound(
            f"{path} does not exist. Point --data-dir at the folder with abc_labels.csv."
        )
    with path.open(newline="") as handle:
        return {
            row["image_id"]: {name: float(row[column] or "nan") for name, column in RATINGS.items()}
            for row in csv.DictReader(handle)
            if row["set"] == "ham10000" and row["btl_asym"]
        }


def fit_calibration(
    rows: Sequence[Row], ratings: Mapping[str, Mapping[str, float]], facts: dict[str, Any]
) -> Calibration:
    """The calibration from raw rows of all splits; rows of the test split are dropped first."""
    rows = [row for row in rows if not row["refused"] and row["split"] != "test"]
    rated = [
        RatedRow(row=row, ratings=ratings[row["image_id"]])
        for row in rows
        if row["image_id"] in ratings
    ]
    good = [row for row in rows if row["split"] == "train" and row["iou"] >= MIN_IOU]
    chosen: dict[str, Any] = {
        "num_lesion_pictures": len(good),
        "num_rated_train": _count(rated, "train"),
    }
    scales = {}
    for attribute in CANDIDATES:
        scales[attribute], chosen[attribute] = _best_scale(attribute, good, rated)
        log.info("%s: %s", attribute, chosen[attribute])
    rule, chosen["num_colours"] = _best_share_rule(scales["colour"], rated)
    log.info("num_colours: %s", chosen["num_colours"])
    return Calibration(**scales, share_rule=rule, facts=facts | {"fit": chosen})


def _count(rated: Sequence[RatedRow], split: str) -> int:
    return sum(item.row["split"] == split for item in rated)


def _best_scale(
    attribute: str, good: Sequence[Row], rated: Sequence[RatedRow]
) -> tuple[Scale, dict[str, float]]:
    """The scale whose ridge does best on val, and its agreement on train and val."""
    tables = {
        name: _quantiles([row["raw"][name] for row in good]) for name in CANDIDATES[attribute]
    }
    parts = [
        Part(measure=name, weight=0.0, sign=sign, quantiles=tables[name])
        for name, sign in CANDIDATES[attribute].items()
    ]
    best: tuple[float, Scale, dict[str, float]] | None = None
    for ridge in RIDGES:
        weights = _fit_weights(parts, attribute, rated, ridge)
        scale = _scale(attribute, parts, weights, good)
        scores = {split: _agreement(scale, attribute, rated, split) for split in ("train", "val")}
        if best is None or scores["val"] > best[0]:
            best = (scores["val"], scale, {"ridge": ridge, **scores})
    assert best is not None
    return best[1], best[2]


def _fit_weights(
    parts: Sequence[Part], attribute: str, rated: Sequence[RatedRow], ridge: float
) -> np.ndarray:
    """Non-negative ridge regression of the rank of the rating on the parts' percentiles; weights sum to 1."""
    used = [r for r in rated if r.row["split"] == "train" and np.isfinite(r.ratings[attribute])]
    target = rankdata([r.ratings[attribute] for r in used]) / len(used)
    features = np.array([[part.percentile(r.row["raw"]) for part in parts] for r in used])
    left = features - features.mean(axis=0)
    penalty = np.sqrt(ridge * len(used)) * np.eye(len(parts)) * left.std()
    weights, _ = nnls(
        np.vstack([left, penalty]), np.concatenate([target - target.mean(), np.zeros(len(parts))])
    )
    return weights / weights.sum()


def _scale(
    attribute: str, parts: Sequence[Part], weights: np.ndarray, good: Sequence[Row]
) -> Scale:
    kept = tuple(
        Part(
            measure=part.measure,
            weight=round(float(weight), 4),
            sign=part.sign,
            quantiles=part.quantiles,
        )
        for part, weight in zip(parts, weights, strict=True)
        if weight >= 0.01
    )
    low, high = RANGES[attribute]
    bare = Scale(parts=kept, mix_quantiles=(0.0, 1.0), low=low, high=high)
    mixes = _quantiles([bare.mix(row["raw"]) for row in good])
    return Scale(parts=kept, mix_quantiles=mixes, low=low, high=high)


def _quantiles(values: Sequence[float]) -> tuple[float, ...]:
    table = np.quantile(np.asarray(values), np.linspace(0, 1, NUM_QUANTILES))
    return tuple(float(f"{value:.6g}") for value in table)


def _agreement(scale: Scale, attribute: str, rated: Sequence[RatedRow], split: str) -> float:
    used = [r for r in rated if r.row["split"] == split and np.isfinite(r.ratings[attribute])]
    found = [scale.percentile(r.row["raw"]) for r in used]
    return round(spearman(found, [r.ratings[attribute] for r in used]), 4)


def _best_share_rule(scale: Scale, rated: Sequence[RatedRow]) -> tuple[ShareRule, dict[str, float]]:
    """The thresholds whose colour count follows the rating best on train, and its agreement."""
    best: tuple[float, ShareRule] | None = None
    for certain, possible, levels in product(_CERTAIN_SHARES, _POSSIBLE_SHARES, _LEVELS):
        rule = ShareRule(certain=certain, possible=possible, levels=levels)
        score = _count_agreement(rule, scale, rated, "train")
        if best is None or score > best[0]:
            best = (score, rule)
    assert best is not None
    rule = best[1]
    return rule, {
        split: round(_count_agreement(rule, scale, rated, split), 4) for split in ("train", "val")
    }


def _count_agreement(rule: ShareRule, scale: Scale, rated: Sequence[RatedRow], split: str) -> float:
    used = [r for r in rated if r.row["split"] == split and np.isfinite(r.ratings["colour"])]
    counts = [
        len(
            rule.present(
                {Colour(k): v for k, v in r.row["shares"].items()}, scale.percentile(r.row["raw"])
            )
        )
        for r in used
    ]
    return spearman(counts, [r.ratings["colour"] for r in used])


def spearman(values: Sequence[float] | np.ndarray, others: Sequence[float] | np.ndarray) -> float:
    """Spearman's rank correlation, ties at their mean rank, -1..1."""
    return float(np.corrcoef(rankdata(values), rankdata(others))[0, 1])


def facts_of(run: MeasureRun, rows: Sequence[Row]) -> dict[str, Any]:
    """What the tables were made from: mask method, sizes, data hash, licence."""
    listed = "\n".join(f"{row['image_id']},{row['split']}" for row in rows)
    return {
        "mask_method": f"segmenter {weights_hash(run)}",
        "analysis_area_px": ANALYSIS_AREA_PX,
        "window_px": WINDOW_PX,
        "diameter_px": DIAMETER_PX,
        "data": "HAM10000 whole frames 200x150, train split; BTL ratings of rated train pictures",
        "data_sha256": hashlib.sha256(listed.encode()).hexdigest(),
        "licence": "CC BY-NC 4.0 (fitted on HAM10000); non-commercial, research use only",
    }


@program
def main(arguments: list[str] | None = None) -> None:
    """Measure what is not yet measured, fit, write the calibration file."""
    run = tyro.cli(MeasureRun, args=arguments)
    rows = raw_table(run)
    calibration = fit_calibration(rows, read_ratings(run.data_dir / "abc_labels.csv"), facts_of(run, rows))
    path = run.calibration_path
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_text(json.dumps(calibration.to_dict(), indent=1) + "\n", encoding="utf-8")
    os.replace(part, path)
    log.info("calibration written to %s", path)


if __name__ == "__main__":
    sys.exit(main())
