"""Do the images show what was asked? Sweep one attribute with the others held, measure, and compare.

The generator and the judges come in as callables, so it knows no model. Answers: Spearman of requested
against measured, the share within one level, leakage (moving one slider must not move the others),
the refusal rate, and how well P(malignant) tells malignant requests from benign ones.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.stats import rankdata

from dermaflux.domain.lesion import (
    HAM_DIAGNOSES,
    LEVEL_STEP,
    Diagnosis,
    LesionSpec,
    typical_colours,
)
from dermaflux.domain.records import Assessment
from dermaflux.domain.sweep import LEVELS, moved_spec

if TYPE_CHECKING:
    from PIL import Image

ATTRIBUTES = ("asymmetry", "border", "num_colours")
DIAGNOSIS = "diagnosis"
MEASURED = (*ATTRIBUTES, "mask_area", "malignant")

Generate = Callable[[LesionSpec], Sequence["Image.Image"]]
Assess = Callable[["Image.Image"], Assessment]


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepPoint:
    """One request of the sweep: `attribute` is moved to `level`, the rest of `spec` is held."""

    attribute: str
    level: float
    spec: LesionSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepSample:
    """What was found on one image of a point; None where it was refused."""

    point: SweepPoint
    seed_index: int
    measured: Mapping[str, float | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class AttributeAdherence:
    """One slider: Spearman -1..1, the shares 0..1, all over the images that could be measured.

    monotone_share: of all steps to the next higher level at one seed, those on which the measure did not fall.
    """

    spearman: float | None
    within_one_level: float | None
    monotone_share: float | None
    num_measured: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AdherenceReport:
    """`leakage[moved][measured]` is a Spearman correlation: near 1 on the diagonal, near 0 off it.

    malignant_auc compares P(malignant) between malignant and benign requests of the diagnosis sweep.
    """

    num_images: int
    refusal_share: float
    attributes: Mapping[str, AttributeAdherence]
    leakage: Mapping[str, Mapping[str, float | None]]
    malignant_auc: float | None

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready dict."""
        return asdict(self)


def sweep_points(bases: Sequence[LesionSpec]) -> tuple[SweepPoint, ...]:
    """Every attribute through all its levels from each base, then every diagnosis from the first base."""
    moved = [
        SweepPoint(attribute=attribute, level=level, spec=moved_spec(base, attribute, level))
        for base in bases
        for attribute in ATTRIBUTES
        for level in LEVELS[attribute]
    ]
    turned = [
        SweepPoint(
            attribute=DIAGNOSIS, level=float(d.is_malignant), spec=replace(bases[0], diagnosis=d)
        )
        for d in HAM_DIAGNOSES
    ]
    return tuple(moved + turned)


def middle_spec(diagnosis: Diagnosis) -> LesionSpec:
    """The spec that stands in the middle of every slider, where the others are held."""
    return LesionSpec(
        asymmetry=1.0, border=4.0, colours=typical_colours(3, diagnosis), diagnosis=diagnosis
    )


def run_sweep(
    points: Sequence[SweepPoint], generate: Generate, assess: Assess
) -> Iterator[SweepSample]:
    """Generate and judge every point, one sample at a time. Image i of every point must share its seed."""
    for point in points:
        for seed_index, image in enumerate(generate(point.spec)):
            yield SweepSample(point=point, seed_index=seed_index, measured=_measured(assess(image)))


def adherence_report(samples: Sequence[SweepSample]) -> AdherenceReport:
    """The figures of a sweep. Where too little was measured, a figure is None and never a guess."""
    refused = [sample for sample in samples if sample.measured["asymmetry"] is None]
    return AdherenceReport(
        num_images=len(samples),
        refusal_share=len(refused) / len(samples) if samples else 0.0,
        attributes={name: _adherence(_of(samples, name), name) for name in ATTRIBUTES},
        leakage={
            moved: {found: _spearman(_of(samples, moved), found) for found in MEASURED}
            for moved in (*ATTRIBUTES, DIAGNOSIS)
        },
        malignant_auc=_malignant_auc(_of(samples, DIAGNOSIS)),
    )


def _measured(assessment: Assessment) -> Mapping[str, float | None]:
    measurement = assessment.measurement
    return {name: getattr(measurement, name) for name in (*ATTRIBUTES, "mask_area")} | {
        "malignant": assessment.prediction.malignant
    }


def _of(samples: Sequence[SweepSample], attribute: str) -> list[SweepSample]:
    return [sample for sample in samples if sample.point.attribute == attribute]


def _adherence(samples: Sequence[SweepSample], name: str) -> AttributeAdherence:
    pairs = [(s.point.level, s.measured[name]) for s in samples]
    known = np.array(
        [(level, value) for level, value in pairs if value is not None], dtype=float
    ).reshape(-1, 2)
    near = np.abs(known[:, 0] - known[:, 1]) <= LEVEL_STEP[name] + 1e-9
    return AttributeAdherence(
        spearman=spearman(known[:, 0], known[:, 1]),
        within_one_level=float(near.mean()) if len(known) else None,
        monotone_share=_monotone_share(samples, name),
        num_measured=len(known),
    )


def _monotone_share(samples: Sequence[SweepSample], name: str) -> float | None:
    series: dict[tuple[Diagnosis, int], list[tuple[float, float]]] = {}
    for sample in samples:
        if (value := sample.measured[name]) is not None:
            key = (sample.point.spec.diagnosis, sample.seed_index)
            series.setdefault(key, []).append((sample.point.level, value))
    steps = [
        later[1] >= earlier[1]
        for values in series.values()
        for earlier, later in zip(sorted(values), sorted(values)[1:], strict=False)
    ]
    return float(np.mean(steps)) if steps else None


def _spearman(samples: Sequence[SweepSample], found: str) -> float | None:
    pairs = [(s.point.level, s.measured[found]) for s in samples if s.measured[found] is not None]
    values = np.array(pairs, dtype=float).reshape(-1, 2)
    return spearman(values[:, 0], values[:, 1])


def spearman(first: np.ndarray, second: np.ndarray) -> float | None:
    """Spearman's rank correlation with ties averaged; None for fewer than 3 pairs. A constant gives 0."""
    if len(first) < 3:
        return None
    rank_1, rank_2 = rankdata(first), rankdata(second)
    rank_1, rank_2 = rank_1 - rank_1.mean(), rank_2 - rank_2.mean()
    norm = float(np.sqrt((rank_1 @ rank_1) * (rank_2 @ rank_2)))
    return float(rank_1 @ rank_2) / norm if norm else 0.0


def _malignant_auc(samples: Sequence[SweepSample]) -> float | None:
    scores = [(s.measured["malignant"], s.point.spec.malignant) for s in samples]
    found = [(score, malignant) for score, malignant in scores if score is not None]
    positive = sum(malignant for _, malignant in found)
    negative = len(found) - positive
    if not positive or not negative:
        return None
    ranks = rankdata([score for score, _ in found])
    rank_sum = sum(rank for rank, (_, malignant) in zip(ranks, found, strict=True) if malignant)
    return float((rank_sum - positive * (positive + 1) / 2) / (positive * negative))
