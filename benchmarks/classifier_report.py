"""How good the embedded classifier is: HAM10000 val and test, ISIC 2017 test, with intervals.

`python -m benchmarks.classifier_report [--split test] [--record]` prints the tables of docs/classifier.md.
Every picture goes through the served `LesionClassifier.predict`. Intervals are 95 % percentiles of 2,000
bootstrap resamples of lesions (of pictures for ISIC 2017, which names no lesions).
"""

import csv
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import tyro
from PIL import Image

from dermaflux.classification import LesionClassifier
from dermaflux.classification.checkpoint import write_facts
from dermaflux.domain.errors import DataNotFound
from dermaflux.domain.records import Split
from dermaflux.evaluation.classifier_report import (
    ClassifierReport,
    JudgedPicture,
    classifier_report,
)
from training.dataset import PictureSource, decode_rgb, load_ham10000
from training.program import program

SHOWN = (
    "average_precision", "partial_auc_tpr80", "accuracy", "balanced_accuracy", "sensitivity", "specificity",
    "sensitivity_at_specificity_80", "sensitivity_at_specificity_90", "sensitivity_at_specificity_95",
    "specificity_at_sensitivity_95", "brier", "ece",
)  # fmt: skip
CHUNK = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportOptions:
    """What to report."""

    model: Path = Path("assets/models/classifier")
    data_dir: Path = Path("../shared/data")
    splits: tuple[str, ...] = ("val", "test", "isic2017")
    """Any of val, test (HAM10000) and isic2017 (its test split)."""
    record: bool = False
    """Also write the figures into the checkpoint's config.json."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Pictures to judge: class names, 1 for positive, and the lesion each belongs to."""

    title: str
    names: tuple[str, ...]
    truth: np.ndarray
    clusters: tuple[str, ...]
    pictures: Iterator[Image.Image]


@program
def main() -> None:
    """Print one section a part."""
    report(tyro.cli(ReportOptions, prog="python -m benchmarks.classifier_report"))


def report(options: ReportOptions) -> None:
    """Judge each part and print it; record the figures if asked to."""
    classifier = LesionClassifier.from_folder(options.model)
    print(f"model {options.model}, weights {classifier.facts.weights_sha256[:12]}, crop {classifier.facts.inputs.crop}")
    found = {}
    for name in options.splits:
        part = _isic_test(options.data_dir) if name == "isic2017" else _ham(options.data_dir, Split(name))
        found[name if name == "isic2017" else f"ham_{name}"] = _judge(classifier, part)
    if options.record:
        metrics = dict(classifier.facts.metrics) | found
        write_facts(options.model, replace(classifier.facts, metrics=metrics))


def _judge(classifier: LesionClassifier, part: Part) -> dict[str, float | int | list[float]]:
    started, judged = time.monotonic(), []
    facts = zip(part.names, part.truth, part.clusters, strict=True)
    for chunk in _chunks(part.pictures):
        for prediction in classifier.predict(chunk):
            name, positive, lesion_id = next(facts)
            judged.append(
                JudgedPicture(diagnosis=name, positive=bool(positive), lesion_id=lesion_id, prediction=prediction)
            )
    seconds = time.monotonic() - started
    report = classifier_report(judged)
    _show(part, report)
    print(f"\n{len(judged)} pictures in {seconds:.0f} s with decoding ({len(judged) / seconds:.0f} a second)")
    intervals = {f"{name}_interval_95": [v.low, v.high] for name, v in report.intervals.items()}
    return dict(report.figures) | intervals


def _show(part: Part, report: ClassifierReport) -> None:
    print(f"\n## {part.title}\n")
    print(f"{report.num_pictures} pictures of {report.num_lesions} lesions, {report.num_refused} more refused\n")
    print("| figure | value |\n|---|---|")
    print(f"| AUC (95 % interval) | {report.intervals['auc']} |")
    for name in SHOWN:
        print(f"| {name.replace('_', ' ')} | {report.intervals.get(name) or format(report.figures[name], '.3f')} |")
    print("\n| class | n | called malignant | mean P(malignant) | top class right |\n|---|---|---|---|---|")
    classes = report.multiclass.classes if report.multiclass else {}
    for name, found in report.diagnoses.items():
        right = f"{classes[name].sensitivity:.2f}" if name in classes else "-"
        print(f"| {name} | {found.num_pictures} | {found.called_positive:.2f} | {found.mean_malignant:.2f} | {right} |")


def _ham(data_dir: Path, split: Split) -> Part:
    data = load_ham10000(data_dir).split(split)
    records = data.records
    return Part(
        title=f"HAM10000 {split}: malignant (mel, bcc, akiec) against the rest",
        names=tuple(str(r.diagnosis) for r in records),
        truth=np.array([int(r.diagnosis.is_malignant) for r in records]),
        clusters=tuple(r.lesion_id for r in records),
        pictures=(decode_rgb(data.source.read(r.image_path), r.image_path) for r in records),
    )


def _isic_test(data_dir: Path) -> Part:
    table = data_dir / "isic2017.csv"
    if not table.is_file():
        raise DataNotFound(f"{table} does not exist. Point --data-dir at the folder with isic2017.csv.")
    with table.open(newline="") as handle:
        rows = [row for row in csv.DictReader(handle) if row["split"] == "test"]
    source = PictureSource(data_dir / "isic2017_256.zip")
    return Part(
        title="ISIC 2017 test (squeezed to squares): melanoma against the rest, external",
        names=tuple(row["dx"] for row in rows),
        truth=np.array([int(row["dx"] == "melanoma") for row in rows]),
        clusters=tuple(row["image_id"] for row in rows),
        pictures=(decode_rgb(source.read(name), name) for name in (f"test/{row['image_id']}.jpg" for row in rows)),
    )


def _chunks(pictures: Iterator[Image.Image]) -> Iterator[list[Image.Image]]:
    chunk: list[Image.Image] = []
    for picture in pictures:
        chunk.append(picture)
        if len(chunk) == CHUNK:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


if __name__ == "__main__":
    sys.exit(main())
