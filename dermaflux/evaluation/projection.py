"""Puts vectors onto a plane to be looked at: the two main axes, or t-SNE, which shows groups and no distances.

Numbers only. Where a point lies says what is near what; it is no measurement.
"""

from enum import StrEnum

import numpy as np

_NEIGHBOURS = 30
_PRINCIPAL = 30
_SEED = 0


class Method(StrEnum):
    """How to project: fast and faithful to large distances, or slow and faithful to neighbours."""

    PCA = "pca"
    TSNE = "t-sne"


def on_plane(vectors: np.ndarray, method: Method = Method.PCA) -> np.ndarray:
    """Vectors (N, D) as points (N, 2), each axis from 0 to 1; the same vectors give the same points."""
    rows = np.asarray(vectors, dtype=np.float64)
    if len(rows) < 3:
        return np.linspace(0.5, 0.6, 2 * len(rows)).reshape(-1, 2)
    axes = _principal(rows)
    if method is Method.TSNE and len(rows) > 5:
        from sklearn.manifold import TSNE

        fitted = TSNE(perplexity=min(_NEIGHBOURS, (len(rows) - 1) / 3), init="pca", random_state=_SEED)
        return _unit_square(fitted.fit_transform(axes))
    return _unit_square(axes[:, :2])


def _principal(rows: np.ndarray) -> np.ndarray:
    centred = rows - rows.mean(axis=0)
    _, _, axes = np.linalg.svd(centred, full_matrices=False)
    kept = centred @ axes[:_PRINCIPAL].T
    # An axis may point either way; its largest entry decides, so that a map does not flip from day to day.
    signs = np.sign(axes[np.arange(kept.shape[1]), np.abs(axes[: kept.shape[1]]).argmax(axis=1)])
    kept = kept * np.where(signs == 0, 1, signs)
    return kept if kept.shape[1] > 1 else np.column_stack([kept, np.zeros(len(kept))])


def _unit_square(points: np.ndarray) -> np.ndarray:
    low, span = points.min(axis=0), np.ptp(points, axis=0)
    return (points - low) / np.where(span == 0, 1, span)
