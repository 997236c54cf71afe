"""Measure every HAM10000 picture with the embedded segmenter: raw measures once, the calibrated table from them.

`python -m training.measure_training_set [--field value ...]` writes `runs/raw_ham10000.jsonl` (kept while the
segmenter stays the same) and `runs/measured_ham10000.csv`. Rows of archive 224 are the same lesions in a
centre crop: they carry the whole frame's measurement, or are refused when the crop cuts the lesion.
"""

import csv
import json
import logging
import os
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import tyro
from tqdm import tqdm

from dermaflux.domain.errors import NotMeasurable
from dermaflux.domain.lesion import Colour
from dermaflux.domain.records import Measurement
from dermaflux.measurement.calibration import CALIBRATION_NAME, Calibration
from dermaflux.measurement.masks import (
    analysis_mask,
    analysis_picture,
    check_certain,
    check_measurable,
    lesion_mask,
    mask_confidence,
)
from dermaflux.measurement.measurer import measurement_of
from dermaflux.measurement.raw import MEASURES_VERSION, RawMeasures, raw_measures
from dermaflux.measurement.segmenter import Segmenter
from training.dataset import HAM_ARCHIVES, LesionDataset, load_ham10000
from training.pictures import PictureSource
from training.program import program

log = logging.getLogger(__name__)
MAX_CROP_LOSS = 0.05
_CROP_SHARE = 450 / 600  # the centre 450 of 600 original columns, all 450 rows
_COLUMNS: tuple[str, ...] = (
    "image_id", "archive", "split", "asymmetry", "border", "colours", "num_colours", "colour_score",
    "mask_area", "refused", "ita_degrees",
)  # fmt: skip

Row = dict[str, Any]
_worker: dict[str, Any] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasureRun:
    """Where to read and write, and how many processes measure."""

    data_dir: Path = Path("../shared/data")
    models_dir: Path = Path("assets/models")
    calibration_path: Path = Path("assets/measurement") / CALIBRATION_NAME
    raw_path: Path = Path("runs/raw_ham10000.jsonl")
    out_path: Path = Path("runs/measured_ham10000.csv")
    num_processes: int = 2
    given_masks: bool = False
    """Use the given masks instead of the segmenter's, to compare the two."""


def raw_table(run: MeasureRun) -> list[Row]:
    """The raw measures of every whole frame, from `raw_path` as far as it goes, the rest measured now.

    A row: image_id, lesion_id, split, diagnosis, mask_area, crop_loss, iou, confidence, refused, raw, shares.
    """
    made_with = f"{weights_hash(run)}/{MEASURES_VERSION}"
    dataset = load_ham10000(run.data_dir)
    done = {row["image_id"]: row for row in _kept_rows(run.raw_path, made_with)}
    todo = [index for index, record in enumerate(dataset.records) if record.image_id not in done]
    if todo:
        log.info("%d pictures to measure, %d kept from %s", len(todo), len(done), run.raw_path)
        run.raw_path.parent.mkdir(parents=True, exist_ok=True)
        with run.raw_path.open("a" if done else "w", encoding="utf-8") as handle:
            for row in tqdm(_measured(run, todo), total=len(todo), desc="measure", mininterval=5):
                done[row["image_id"]] = row | {"made_with": made_with}
                handle.write(json.dumps(done[row["image_id"]]) + "\n")
    return [done[record.image_id] for record in dataset.records]


def weights_hash(run: MeasureRun) -> str:
    """Which masks were used: the first 12 digits of the weights' sha256, or 'given'."""
    if run.given_masks:
        return "given"
    return Segmenter.load(run.models_dir / "segmenter").sha256[:12]


def _kept_rows(path: Path, made_with: str) -> Iterator[Row]:
    if path.is_file():
        with path.open(encoding="utf-8") as handle:
            rows = (json.loads(line) for line in handle if line.endswith("}\n"))
            yield from (row for row in rows if row["made_with"] == made_with)


def _measured(run: MeasureRun, indices: list[int]) -> Iterator[Row]:
    if run.num_processes == 1:
        _start_worker(run)
        yield from map(_measure_frame, indices)
        return
    with ProcessPoolExecutor(run.num_processes, initializer=_start_worker, initargs=(run,)) as pool:
        yield from pool.map(_measure_frame, indices, chunksize=32)


def _start_worker(run: MeasureRun) -> None:
    torch.set_num_threads(1)
    _worker["data"] = load_ham10000(run.data_dir)
    _worker["segmenter"] = None if run.given_masks else Segmenter.load(run.models_dir / "segmenter")


def _measure_frame(index: int) -> Row:
    dataset: LesionDataset = _worker["data"]
    segmenter: Segmenter | None = _worker["segmenter"]
    image, given, record = dataset[index]
    row: Row = {
        "image_id": record.image_id, "lesion_id": record.lesion_id, "split": str(record.split),
        "diagnosis": str(record.diagnosis), "mask_area": None, "crop_loss": None, "iou": None,
        "confidence": None, "refused": None, "raw": {}, "shares": {},
    }  # fmt: skip
    try:
        picture = analysis_picture(image)
        target = analysis_mask(np.asarray(given), picture.size)
        probability = (
            target.astype(np.float32) if segmenter is None else segmenter.probability(picture)
        )
        mask = lesion_mask(probability, picture.size)
        row |= {
            "mask_area": float(mask.mean()),
            "crop_loss": crop_loss(mask),
            "iou": overlap(mask, target),
        }
        row["confidence"] = mask_confidence(probability)
        check_certain(probability)
        check_measurable(mask)
        raw = raw_measures(np.asarray(picture), mask)
        row |= {
            "raw": dict(raw.values),
            "shares": {str(c): float(s) for c, s in raw.shares.items()},
        }
    except NotMeasurable as refusal:
        row["refused"] = str(refusal)
    return row


def overlap(found: np.ndarray, given: np.ndarray) -> float:
    """Intersection over union of two bool masks; 1 when both are empty."""
    union = int((found | given).sum())
    return 1.0 if union == 0 else float((found & given).sum()) / union


def crop_loss(mask: np.ndarray) -> float:
    """The share of the lesion outside the centre square that the 224 px archive keeps, 0..1."""
    edge = round(mask.shape[1] * (1 - _CROP_SHARE) / 2)
    total = int(mask.sum())
    return 0.0 if total == 0 else 1 - float(mask[:, edge:-edge].sum()) / total


def table_rows(
    raw_rows: Iterable[Row], calibration: Calibration, cropped: PictureSource
) -> Iterator[Row]:
    """The lines of the csv: every whole frame, then every centre crop that the 224 archive holds."""
    crops = []
    for row in raw_rows:
        line = _line(row, calibration)
        yield line | {"archive": 200}
        if cropped.has(f"images/{row['image_id']}.jpg"):
            crops.append(_crop_line(row, line))
    yield from crops


def measured(row: Row, calibration: Calibration) -> Measurement:
    """The calibrated measurement of a raw row; the row's own refusal where it was refused."""
    if row["refused"]:
        return Measurement(refused=row["refused"])
    shares: Mapping[Colour, float] = {Colour(name): share for name, share in row["shares"].items()}
    return measurement_of(
        RawMeasures(values=row["raw"], shares=shares), row["mask_area"], calibration
    )


def _line(row: Row, calibration: Calibration) -> Row:
    line: Row = dict.fromkeys(_COLUMNS) | {k: row[k] for k in ("image_id", "split", "refused")}
    if row["refused"]:
        return line
    found = measured(row, calibration)
    return line | {
        "asymmetry": round(found.asymmetry or 0.0, 4),
        "border": round(found.border or 0.0, 4),
        "colours": "|".join(found.colours),
        "num_colours": found.num_colours,
        "colour_score": round(found.colour_score or 0.0, 4),
        "mask_area": round(row["mask_area"], 4),
        "ita_degrees": row["raw"].get("ita_degrees"),
    }


def _crop_line(row: Row, line: Row) -> Row:
    if line["refused"] is None and row["crop_loss"] > MAX_CROP_LOSS:
        why = f"The centre crop loses {row['crop_loss']:.0%} of the lesion."
        return dict.fromkeys(_COLUMNS) | {
            "image_id": row["image_id"],
            "split": row["split"],
            "archive": 224,
            "refused": why,
        }
    area = line["mask_area"]
    kept = None if area is None else round(area * (1 - row["crop_loss"]) / _CROP_SHARE, 4)
    return line | {"archive": 224, "mask_area": kept}


def write_table(path: Path, lines: Iterable[Row]) -> int:
    """Write the csv atomically; returns how many lines."""
    path.parent.mkdir(parents=True, exist_ok=True)
    count = 0
    part = path.with_suffix(".part")
    with part.open("w", newline="", encoding="utf-8") as handle:
        writer = csv.DictWriter(handle, _COLUMNS)
        writer.writeheader()
        for line in lines:
            writer.writerow(line)
            count += 1
    os.replace(part, path)
    return count


@program
def main(arguments: list[str] | None = None) -> None:
    """Measure, calibrate, write the csv."""
    run = tyro.cli(MeasureRun, args=arguments)
    started = time.monotonic()
    rows = raw_table(run)
    cropped = PictureSource(run.data_dir / HAM_ARCHIVES[224])
    count = write_table(run.out_path, table_rows(rows, Calibration.load(run.calibration_path), cropped))
    log.info("%d lines in %s after %.0f s", count, run.out_path, time.monotonic() - started)


if __name__ == "__main__":
    sys.exit(main())
