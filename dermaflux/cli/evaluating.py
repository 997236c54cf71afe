"""The verb evaluate and its subjects. It gathers images; services judge and compare them."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from dermaflux.cli.commands import (
    Adherence,
    Artefacts,
    Coverage,
    Diversity,
    Memorisation,
    Quality,
)
from dermaflux.cli.compared import (
    REAL,
    SYNTHETIC,
    features,
    real_features,
    real_pictures,
    synthetic_pictures,
    unseen_features,
)
from dermaflux.cli.making import sampling_request
from dermaflux.cli.output import ProgressBar, with_progress, write_json, write_line, write_table
from dermaflux.domain.errors import DataNotFound
from dermaflux.domain.records import DISCLAIMER, SamplingRequest
from dermaflux.evaluation.memorisation import RealFeatures
from dermaflux.services import Services
from dermaflux.services.real_pictures import RealPicture, read_real

QUALITY_IMAGES = 1000
SHEET_PAIRS = 10


def adherence(services: Services, command: Adherence) -> None:
    """Sweep every slider with a model and report how well the images follow."""
    base = sampling_request(services, "sweep", command.num_images, command.sampling)
    with ProgressBar("Sweeping") as on_step:
        report = services.evaluate_adherence(base, on_step)
    if command.json:
        write_json(report.to_dict() | {"request": _asked(base), "statement": DISCLAIMER})
        return
    write_table(
        ("attribute", "Spearman", "within one level", "monotone", "measured"),
        (
            (name, a.spearman, a.within_one_level, a.monotone_share, a.num_measured)
            for name, a in report.attributes.items()
        ),
    )
    write_line(
        f"\nrefused {report.refusal_share:.1%} of {report.num_images}; malignant AUC {report.malignant_auc}\n"
    )
    columns = list(next(iter(report.leakage.values())))
    write_table(
        ("moved", *columns), ((moved, *row.values()) for moved, row in report.leakage.items())
    )


def quality(services: Services, command: Quality) -> None:
    """Compare synthetic pictures with real ones."""
    embed = services.embedder(command.features)
    by = str(command.features or "embedded classifier")
    flags = replace(command.reference, max_images=command.reference.max_images or QUALITY_IMAGES)
    ours = synthetic_pictures(services, command.synthetic, flags)
    with real_pictures(flags) as reference:
        real = real_features(embed, reference, REAL).features
    synthetic = features(embed, len(ours), ours.load, SYNTHETIC)
    report = services.evaluate_quality(real, synthetic, flags.seed)
    if command.json:
        write_json(report.to_dict() | {"features": by, "statement": DISCLAIMER})
        return
    figures = report.to_dict()
    write_table(
        ("figure", "synthetic", "real (floor)"),
        (
            (name, value, figures["real_floor"][name])
            for name, value in figures["synthetic"].items()
        ),
    )
    write_line(f"{report.num_synthetic} images each against {report.num_reference} real ones, features of {by}")


def memorisation(services: Services, command: Memorisation) -> None:
    """Look for synthetic pictures that copy a real one."""
    embed = services.lesion_embedder(command.features)
    ours = synthetic_pictures(services, command.synthetic, command.reference, with_copies=True)
    with real_pictures(command.reference) as reference:
        pictures = reference.pictures
        compared = real_features(embed, reference, REAL)
        unseen = unseen_features(embed, command.reference, command.unseen, pictures)
        report = services.evaluate_memorisation(
            features(embed, len(ours), ours.load, SYNTHETIC), compared, unseen
        )
        if command.sheet:
            pairs = [
                (ours.load(n.synthetic_index), reference.load(pictures[n.training_index]))
                for n in report.nearest[:SHEET_PAIRS]
            ]
            services.write_pairs(command.sheet, pairs)
    nearest = [
        {
            "path": ours.names[found.synthetic_index],
            "nearest": pictures[found.training_index].name,
            "distance": found.distance,
            "is_copy": found.is_copy,
        }
        for found in report.nearest
    ]
    if command.json:
        about = {"compared": _compared(command, pictures, unseen), "sheet": command.sheet and str(command.sheet)}
        write_json(report.to_dict() | about | {"nearest": nearest, "statement": DISCLAIMER})
        return
    write_line(
        f"{report.num_copies} of {report.num_synthetic} lie within {report.calibration.threshold:.3g} of a real one "
        f"({report.calibration.false_alarm_share:.1%} of real pictures lie so near to another lesion)"
    )
    write_table(
        ("path", "nearest", "distance", "copy"), (tuple(found.values()) for found in nearest[:20])
    )


def diversity(services: Services, command: Diversity) -> None:
    """Compare the spread within each request with that of the real class it asked for."""
    embed = services.embedder(command.features)
    ours = synthetic_pictures(services, command.synthetic, command.reference)
    asked = [ours.asked(row) for row in range(len(ours))]
    with real_pictures(command.reference) as reference:
        reference.pictures = pictures = [picture for picture in reference.pictures if picture.diagnosis]
        if not pictures:
            raise DataNotFound(f"No table gives the pictures in {command.reference.real} a diagnosis.")
        real = real_features(embed, reference, REAL).features
    synthetic = features(embed, len(ours), ours.load, SYNTHETIC)
    report = services.evaluate_diversity(synthetic, asked, real, [str(p.diagnosis) for p in pictures])
    if command.json:
        write_json(report.to_dict() | {"statement": DISCLAIMER})
        return
    write_table(
        ("diagnosis", "within a request", "within the real class", "ratio", "requests", "images", "real"),
        (
            (name, c.within_request, c.within_class, c.ratio, c.num_requests, c.num_images, c.num_real)
            for name, c in report.classes.items()
        ),
    )
    write_line(f"\nratio {report.ratio:.2f}, each diagnosis counted once")


def artefacts(services: Services, command: Artefacts) -> None:
    """Compare how often synthetic and real pictures show dark corners, hair, ink and rulers, by diagnosis."""
    flags = replace(command.reference, max_images=command.reference.max_images or QUALITY_IMAGES)
    ours = synthetic_pictures(services, command.synthetic, flags)
    asked = [ours.asked(row).diagnosis for row in range(len(ours))]
    with real_pictures(flags) as reference:
        known = [(p.diagnosis, p) for p in reference.pictures if p.diagnosis]
        if not known:
            raise DataNotFound(f"No table gives the pictures in {flags.real} a diagnosis.")
        real = [services.marks_of(d, reference.load(p)) for d, p in with_progress(known, REAL)]
    synthetic = [services.marks_of(asked[row], ours.load(row)) for row in with_progress(range(len(ours)), SYNTHETIC)]
    report = services.evaluate_artefacts(synthetic, real, flags.seed)
    if command.json:
        write_json(report.to_dict() | {"statement": DISCLAIMER})
        return
    sets = (("real", report.real), ("synthetic", report.synthetic))
    marks = tuple(report.real["all"].rates)
    write_table(
        ("pictures", "diagnosis", *marks, "images"),
        ((name, d, *found.rates.values(), found.num_images) for name, part in sets for d, found in part.items()),
    )
    write_line(
        f"\nThe diagnosis can be told from these marks with a mean AUC of {_figure(report.real_readability)} in real, "
        f"{_figure(report.synthetic_readability)} in synthetic pictures (0.5: not at all)"
    )


def coverage(services: Services, command: Coverage) -> None:
    """Count a dataset by diagnosis and level, beside real pictures if there are some."""
    real = _facts(services, command) if command.real else ()
    report = services.evaluate_coverage(command.dataset, list(real))
    if command.json:
        write_json(report.to_dict() | {"dataset": command.dataset, "statement": DISCLAIMER})
        return
    write_table(
        ("diagnosis", "attribute", "level", "synthetic", "real"),
        (
            (cell.diagnosis, cell.attribute, cell.level, cell.synthetic, cell.real)
            for cell in report.cells
        ),
    )
    if report.covered_share is not None:
        write_line(
            f"{report.covered_share:.0%} of the cells that real pictures fill hold a synthetic one"
        )


def _figure(value: float | None) -> str:
    return "unknown, too few pictures" if value is None else f"{value:.2f}"


def _facts(services: Services, command: Coverage) -> Iterator[Any]:
    assert command.real is not None
    with read_real(command.real, command.split, command.max_images, command.seed) as reference:
        for picture in with_progress([p for p in reference.pictures if p.diagnosis], "Real pictures measured"):
            assert picture.diagnosis is not None
            yield services.lesion_facts(picture.diagnosis, services.measure(reference.load(picture)))


def _compared(command: Memorisation, pictures: list[RealPicture], unseen: RealFeatures | None) -> dict[str, Any]:
    """What the images were compared with, and whose pictures set the threshold; None: the compared ones themselves."""
    return {
        "split": command.reference.split,
        "num_pictures": len(pictures),
        "num_without_split": sum(picture.split is None for picture in pictures),
        "calibrated_on": None if unseen is None else command.unseen,
    }


def _asked(request: SamplingRequest) -> dict[str, Any]:
    values = replace(request, spec=None).to_dict()
    return {
        name: values[name]
        for name in ("model", "adapter", "adapter_weight", "seed", "num_images", "candidates")
    }
