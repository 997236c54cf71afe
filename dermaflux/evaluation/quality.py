"""How near a set of synthetic images is to a real one, in a feature space: Fréchet, KID, PRDC.

Plain numbers on feature matrices (N, D), one row an image; it knows no model and reads no picture.
Every figure stands beside its real-against-real floor at equal n, since all of them depend on n.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy.spatial.distance import cdist

from dermaflux.domain.errors import InvalidRequest

MIN_IMAGES = 10
NEIGHBOURS = 5
_KID_SUBSETS = 50
_KID_SUBSET_SIZE = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class SetDistance:
    """Figures of one set against a reference of real images.

    fid and kid: 0 = same distribution, no upper end; kid_sd is its spread over subsets. precision and
    recall (Kynkäänniemi 2019) and coverage (Naeem 2020) lie in 0..1; density has no upper end, 1 = real.
    diversity: mean pairwise distance within the set over that within the reference, 1 = as varied.
    """

    fid: float
    kid: float
    kid_sd: float
    precision: float
    recall: float
    density: float
    coverage: float
    diversity: float


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityReport:
    """Synthetic against real, and other real images against the same reference as the floor."""

    synthetic: SetDistance
    real_floor: SetDistance
    num_synthetic: int
    num_reference: int
    feature_dim: int

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready dict."""
        return asdict(self)


def quality_report(
    real: np.ndarray, synthetic: np.ndarray, rng: np.random.Generator
) -> QualityReport:
    """Compare features (N, D) of synthetic images with real ones, with the floor at equal n.

    Real images are split at random: one part is the reference, m others stand in for a perfect generator,
    m = min(synthetic, half of real). Raises InvalidRequest when either set is too small.
    """
    _check(real, synthetic)
    num_compared = min(len(synthetic), len(real) // 2)
    order = rng.permutation(len(real))
    held_out, reference = real[order[:num_compared]], real[order[num_compared:]]
    chosen = synthetic[rng.permutation(len(synthetic))[:num_compared]]
    return QualityReport(
        synthetic=set_distance(reference, chosen, rng),
        real_floor=set_distance(reference, held_out, rng),
        num_synthetic=num_compared,
        num_reference=len(reference),
        feature_dim=real.shape[1],
    )


def set_distance(
    reference: np.ndarray, candidate: np.ndarray, rng: np.random.Generator
) -> SetDistance:
    """All figures of `candidate` (M, D) against `reference` (N, D)."""
    kid, kid_sd = kernel_distance(reference, candidate, rng)
    within_reference = mean_pairwise_distance(reference)
    diversity = mean_pairwise_distance(candidate) / within_reference if within_reference else 1.0
    return SetDistance(
        fid=frechet_distance(reference, candidate),
        kid=kid,
        kid_sd=kid_sd,
        diversity=diversity,
        **neighbourhood_figures(reference, candidate),
    )


def frechet_distance(first: np.ndarray, second: np.ndarray) -> float:
    """FID of two feature matrices: the Fréchet distance of the Gaussians fitted to them."""
    return frechet_of_gaussians(
        (first.mean(axis=0), np.cov(first, rowvar=False)),
        (second.mean(axis=0), np.cov(second, rowvar=False)),
    )


def frechet_of_gaussians(
    first: tuple[np.ndarray, np.ndarray], second: tuple[np.ndarray, np.ndarray]
) -> float:
    """|m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)) of two (mean (D,), covariance (D, D)).

    The trace of the root comes from the symmetric C1^(1/2) C2 C1^(1/2), which has the same eigenvalues
    and stays real where a covariance is singular (fewer images than dimensions). Heusel 2017.
    """
    (mean_1, cov_1), (mean_2, cov_2) = first, second
    cov_1, cov_2 = np.atleast_2d(cov_1), np.atleast_2d(cov_2)
    values, vectors = np.linalg.eigh(cov_1)
    root_1 = (vectors * np.sqrt(np.clip(values, 0, None))) @ vectors.T
    cross = np.linalg.eigvalsh(root_1 @ cov_2 @ root_1)
    trace_of_root = np.sqrt(np.clip(cross, 0, None)).sum()
    distance = (
        np.sum((mean_1 - mean_2) ** 2) + np.trace(cov_1) + np.trace(cov_2) - 2 * trace_of_root
    )
    return float(max(distance, 0.0))


def kernel_distance(
    first: np.ndarray, second: np.ndarray, rng: np.random.Generator
) -> tuple[float, float]:
    """KID: unbiased squared MMD with the kernel (x.y / D + 1)^3, mean and sd over random subsets. Binkowski 2018."""
    size = min(len(first), len(second), _KID_SUBSET_SIZE)
    if size == len(first) == len(second):
        return squared_mmd(first, second), 0.0
    values = [
        squared_mmd(first[_subset(first, size, rng)], second[_subset(second, size, rng)])
        for _ in range(_KID_SUBSETS)
    ]
    return float(np.mean(values)), float(np.std(values, ddof=1))


def squared_mmd(first: np.ndarray, second: np.ndarray) -> float:
    """The unbiased estimate of the squared MMD under the cubic kernel; may fall below 0 for equal distributions."""
    dim = first.shape[1]
    k_11, k_22, k_12 = (
        (a @ b.T / dim + 1) ** 3 for a, b in ((first, first), (second, second), (first, second))
    )
    n, m = len(first), len(second)
    within_1 = (k_11.sum() - np.trace(k_11)) / (n * (n - 1))
    within_2 = (k_22.sum() - np.trace(k_22)) / (m * (m - 1))
    return float(within_1 + within_2 - 2 * k_12.mean())


def neighbourhood_figures(
    reference: np.ndarray, candidate: np.ndarray, neighbours: int = NEIGHBOURS
) -> Mapping[str, float]:
    """Precision, recall (Kynkäänniemi 2019), density and coverage (Naeem 2020) from k-th neighbour balls."""
    k = min(neighbours, len(reference) - 1, len(candidate) - 1)
    reference_radius = _kth_distance(reference, k)
    candidate_radius = _kth_distance(candidate, k)
    distance = cdist(reference, candidate)
    in_reference_ball = distance <= reference_radius[:, None]
    return {
        "precision": float(in_reference_ball.any(axis=0).mean()),
        "recall": float((distance <= candidate_radius[None, :]).any(axis=1).mean()),
        "density": float(in_reference_ball.sum(axis=0).mean() / k),
        "coverage": float((distance.min(axis=1) <= reference_radius).mean()),
    }


def mean_pairwise_distance(features: np.ndarray) -> float:
    """The mean Euclidean distance of all pairs of different rows."""
    n = len(features)
    return float(cdist(features, features).sum() / (n * (n - 1)))


def _kth_distance(features: np.ndarray, k: int) -> np.ndarray:
    distance = cdist(features, features)
    np.fill_diagonal(distance, 0.0)  # itself comes first, so index k is the k-th neighbour
    return np.partition(distance, k, axis=1)[:, k]


def _subset(features: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
    return rng.choice(len(features), size, replace=False)


def _check(real: np.ndarray, synthetic: np.ndarray) -> None:
    if real.ndim != 2 or synthetic.ndim != 2 or real.shape[1] != synthetic.shape[1]:
        raise ValueError(
            f"feature shapes {real.shape} and {synthetic.shape} do not belong together"
        )
    if len(synthetic) < MIN_IMAGES or len(real) < 2 * MIN_IMAGES:
        raise InvalidRequest(
            f"There are {len(synthetic)} synthetic and {len(real)} real images, too few to compare. "
            f"Give at least {MIN_IMAGES} synthetic and {2 * MIN_IMAGES} real ones; hundreds make a useful figure."
        )
