"""The verb `evaluate classifier`: gathers labelled real pictures, and writes the report as tables or JSON."""

from collections.abc import Iterable

from dermaflux.cli.classifier_commands import Classifier
from dermaflux.cli.output import ProgressBar, write_json, write_line, write_table
from dermaflux.domain.errors import DataNotFound
from dermaflux.domain.records import DISCLAIMER
from dermaflux.evaluation.classifier_report import ClassifierReport
from dermaflux.evaluation.multiclass import MulticlassReport
from dermaflux.evaluation.subgroups import FIGURES, Subgroups, age_band
from dermaflux.services import Services
from dermaflux.services.explaining import LabelledPicture
from dermaflux.services.real_pictures import RealPicture, read_real


def classifier(services: Services, command: Classifier) -> None:
    """Judge labelled real pictures with the classifier in use and report how well that went, and for whom."""
    with read_real(command.source, command.split, command.max_images, command.seed) as real:
        known = [picture for picture in real.pictures if picture.diagnosis]
        if not known:
            raise DataNotFound(f"No table gives the pictures in {command.source} a diagnosis. Add metadata.csv.")
        with ProgressBar("Judging") as on_step:
            report = services.evaluate_classifier(
                [_labelled(picture) for picture in known],
                lambda place: real.load(known[place]),
                seed=command.seed,
                on_step=on_step,
            )
    if command.json:
        write_json(report.to_dict() | {"split": command.split, "statement": DISCLAIMER})
        return
    _write_figures(report)
    if report.multiclass:
        _write_classes(report.multiclass)
    for attribute, found in report.subgroups.items():
        _write_subgroups(attribute, found)
    write_line(f"\n{DISCLAIMER}")


def _labelled(picture: RealPicture) -> LabelledPicture:
    assert picture.diagnosis is not None
    groups = {"age": age_band(picture.age), "sex": picture.sex, "site": picture.site}
    return LabelledPicture(diagnosis=picture.diagnosis, lesion_id=picture.lesion_id, groups=groups)


def _write_figures(report: ClassifierReport) -> None:
    write_line(
        f"{report.num_pictures} pictures of {report.num_lesions} lesions, {report.num_refused} more refused; "
        "intervals are 95 %, over lesions\n"
    )
    write_table(("figure", "value"), ((n, report.intervals.get(n, value)) for n, value in report.figures.items()))
    _write_titled(
        "Reliability",
        ("P(malignant)", "pictures", "mean", "frequency"),
        (
            (f"{b.low:.2f} to {b.high:.2f}", b.num_pictures, b.mean_score, b.frequency)
            for b in report.reliability
        ),
    )
    _write_titled(
        "Net benefit, in true positives a picture",
        ("threshold", "classifier", "treat all", "treat none"),
        ((p.threshold, p.net_benefit, p.treat_all, p.treat_none) for p in report.decision_curve),
    )
    _write_titled(
        "By diagnosis",
        ("diagnosis", "pictures", "called malignant", "mean P(malignant)"),
        ((n, d.num_pictures, d.called_positive, d.mean_malignant) for n, d in report.diagnoses.items()),
    )


def _write_classes(found: MulticlassReport) -> None:
    _write_titled(
        f"Classes: balanced accuracy {found.balanced_accuracy:.3f}, macro AUC {found.macro_auc:.3f}",
        ("class", "pictures", "sensitivity", "AUC"),
        ((name, c.num_pictures, c.sensitivity, c.auc) for name, c in found.classes.items()),
    )
    _write_titled(
        "Confusion: rows are true, columns named first",
        ("", *found.class_names),
        ((name, *row) for name, row in zip(found.class_names, found.confusion, strict=True)),
    )


def _write_subgroups(attribute: str, found: Subgroups) -> None:
    _write_titled(
        f"By {attribute}",
        (attribute, "pictures", "positive", *FIGURES),
        (
            (name, cell.num_pictures, cell.num_positive, *(getattr(cell, figure) for figure in FIGURES))
            for name, cell in found.cells.items()
        ),
    )
    for figure, gap in found.gaps.items():
        write_line(f"{figure}: {gap.difference:.3f} between {gap.worst} (worst) and {gap.best} (best)")


def _write_titled(title: str, header: tuple[str, ...], rows: Iterable[tuple[object, ...]]) -> None:
    write_line(f"\n{title}")
    write_table(header, rows)
