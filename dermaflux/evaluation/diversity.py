"""Are the images of one request as varied as real lesions of the class it asked for?

A generator that draws the same lesion again and again can score well on everything else. Plain numbers on features
(N, D); it knows no model and reads no picture.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from dermaflux.domain.errors import InvalidRequest
from dermaflux.evaluation.quality import mean_pairwise_distance

MIN_REAL = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassDiversity:
    """One diagnosis: mean pairwise distance within its requests, within the real class, and their ratio (1 = alike)."""

    within_request: float
    within_class: float
    ratio: float
    num_requests: int
    num_images: int
    num_real: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DiversityReport:
    """By diagnosis, and the mean of the ratios, each diagnosis counted once."""

    classes: Mapping[str, ClassDiversity]
    ratio: float

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready dict."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Labelled:
    """Features (N, D), the diagnosis of each row, and which rows belong together (the request that made them)."""

    features: np.ndarray
    diagnoses: Sequence[str]
    groups: Sequence[str] = ()

    def of(self, diagnosis: str) -> np.ndarray:
        """The rows (n,) of one diagnosis."""
        return np.flatnonzero(np.array([str(d) == diagnosis for d in self.diagnoses]))


def diversity_report(synthetic: Labelled, real: Labelled) -> DiversityReport:
    """Compare every request of at least two images with the real pictures of its diagnosis.

    Raises InvalidRequest when no request has two images, or none of their diagnoses MIN_REAL real pictures.
    """
    classes = {}
    for diagnosis in dict.fromkeys(str(d) for d in synthetic.diagnoses):
        found, rows = _within_requests(synthetic, diagnosis), real.of(diagnosis)
        if found and len(rows) >= MIN_REAL:
            within_class = mean_pairwise_distance(real.features[rows])
            within_request = float(np.mean([distance for distance, _ in found]))
            classes[diagnosis] = ClassDiversity(
                within_request=within_request,
                within_class=within_class,
                ratio=within_request / within_class,
                num_requests=len(found),
                num_images=sum(size for _, size in found),
                num_real=len(rows),
            )
    if not classes:
        raise InvalidRequest(
            f"Nothing to compare: give requests of two images or more, and {MIN_REAL} real pictures of their diagnoses."
        )
    return DiversityReport(classes=classes, ratio=float(np.mean([c.ratio for c in classes.values()])))


def _within_requests(synthetic: Labelled, diagnosis: str) -> list[tuple[float, int]]:
    """The mean pairwise distance and the size of every request of a diagnosis that has two images or more."""
    groups: dict[str, list[int]] = {}
    for row in map(int, synthetic.of(diagnosis)):
        groups.setdefault(synthetic.groups[row], []).append(row)
    return [
        (mean_pairwise_distance(synthetic.features[rows]), len(rows)) for rows in groups.values() if len(rows) > 1
    ]
