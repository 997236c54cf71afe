"""Does a synthetic image copy a training image? Distance to the nearest one, against a calibrated threshold.

Plain numbers on feature matrices (N, D); the distance is 1 - cosine similarity, 0 = same, 2 = opposite.
The threshold comes from real images: how near does another lesion come, how near another picture of
the same lesion? It knows no model and reads no picture.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from dermaflux.domain.errors import InvalidRequest
from dermaflux.evaluation.neighbours import distance_blocks, nearest

FALSE_ALARM_SHARE = 0.001
ROC_SHARES = (0.001, 0.003, 0.01, 0.03, 0.1)
MIN_REAL = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """The distance below which an image counts as a copy, and what that means on real images.

    `false_alarm_share` of `num_real` real images lie nearer than `threshold` to a *different* lesion;
    `same_lesion_found` is the share of same-lesion pairs the threshold finds, None without such pairs;
    same_lesion_auc is how well the distance tells same-lesion pairs from nearest different lesions, and `roc` the
    share of same-lesion pairs found at other false-alarm shares, as (false alarms, found).
    """

    threshold: float
    false_alarm_share: float
    num_real: int
    median_real_to_real: float
    num_same_lesion_pairs: int
    same_lesion_found: float | None
    same_lesion_auc: float | None
    roc: tuple[tuple[float, float], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RealFeatures:
    """Features (N, D) of real pictures, and which lesion each shows."""

    features: np.ndarray
    lesion_ids: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class NearestImage:
    """One synthetic image's nearest training image: row indices, distance, whether it counts as a copy."""

    synthetic_index: int
    training_index: int
    distance: float
    is_copy: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class MemorisationReport:
    """The share of copies among the synthetic images, beside the share expected of real ones by chance."""

    copied_share: float
    num_copies: int
    num_synthetic: int
    median_distance: float
    min_distance: float
    calibration: Calibration
    nearest: tuple[NearestImage, ...]

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready dict."""
        return asdict(self)


def calibrate(
    features: np.ndarray, lesion_ids: Sequence[str], false_alarm_share: float = FALSE_ALARM_SHARE
) -> Calibration:
    """The threshold from real training features (N, D) alone, each picture's lesion named.

    It is the `false_alarm_share` quantile of the distance from a picture to the nearest picture of another
    lesion. Raises InvalidRequest for fewer than 20 pictures or fewer than two lesions.
    """
    _check_enough(lesion_ids)
    return _calibration(*_real_distances(features, lesion_ids), false_alarm_share)


def calibrate_on_unseen(
    training: np.ndarray, unseen: RealFeatures, false_alarm_share: float = FALSE_ALARM_SHARE
) -> Calibration:
    """The threshold from real pictures that neither generator nor descriptor has learned from.

    How near do they come to a training picture (N, D)? Nearer than all but `false_alarm_share` of them is a copy.
    Features that were trained on the training pictures hold those apart, so that among themselves they seem further
    from one another than new ones do. Same-lesion pairs are those among the unseen. Raises as `calibrate` does.
    """
    _check_enough(unseen.lesion_ids)
    _, pairs = _real_distances(unseen.features, unseen.lesion_ids)
    return _calibration(nearest(unseen.features, training)[1], pairs, false_alarm_share)


def _check_enough(lesion_ids: Sequence[str]) -> None:
    if len(lesion_ids) < MIN_REAL or len(set(lesion_ids)) < 2:
        raise InvalidRequest(
            f"{len(lesion_ids)} real images of {len(set(lesion_ids))} lesions cannot calibrate a threshold. "
            f"Give at least {MIN_REAL} images of different lesions."
        )


def _real_distances(features: np.ndarray, lesion_ids: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """From each picture to the nearest one of another lesion (N,), and between pictures of one lesion (P,)."""
    lesion_of = np.unique(np.asarray(lesion_ids), return_inverse=True)[1]
    to_others, same_pairs = [], []
    for start, distance in distance_blocks(features, features):
        rows = np.arange(start, start + len(distance))
        same = lesion_of[rows][:, None] == lesion_of[None, :]
        to_others.append(np.where(same, np.inf, distance).min(axis=1))
        later = same & (np.arange(len(features))[None, :] > rows[:, None])
        same_pairs.append(distance[later])
    return np.concatenate(to_others), np.concatenate(same_pairs)


def _calibration(others: np.ndarray, pairs: np.ndarray, false_alarm_share: float) -> Calibration:
    threshold = float(np.quantile(others, false_alarm_share))
    return Calibration(
        threshold=threshold,
        false_alarm_share=false_alarm_share,
        num_real=len(others),
        median_real_to_real=float(np.median(others)),
        num_same_lesion_pairs=len(pairs),
        same_lesion_found=float((pairs <= threshold).mean()) if len(pairs) else None,
        same_lesion_auc=_share_below(pairs, others) if len(pairs) else None,
        roc=tuple((share, _found_at(share, pairs, others)) for share in ROC_SHARES) if len(pairs) else (),
    )


def memorisation_report(
    synthetic: np.ndarray, training: np.ndarray, calibration: Calibration
) -> MemorisationReport:
    """The nearest training image (N, D) of every synthetic one (M, D), nearest first."""
    if not len(synthetic):
        raise InvalidRequest("There is no synthetic image to check. Give a folder that holds some.")
    index, distance = nearest(synthetic, training)
    copies = distance <= calibration.threshold
    found = tuple(
        NearestImage(
            synthetic_index=int(row),
            training_index=int(index[row]),
            distance=float(distance[row]),
            is_copy=bool(copies[row]),
        )
        for row in np.argsort(distance, kind="stable")
    )
    return MemorisationReport(
        copied_share=float(copies.mean()),
        num_copies=int(copies.sum()),
        num_synthetic=len(synthetic),
        median_distance=float(np.median(distance)),
        min_distance=float(distance.min()),
        calibration=calibration,
        nearest=found,
    )


def _found_at(share: float, pairs: np.ndarray, others: np.ndarray) -> float:
    return float((pairs <= np.quantile(others, share)).mean())


def _share_below(near: np.ndarray, far: np.ndarray) -> float:
    """P(near < far) + P(equal) / 2: the AUC of telling the two apart by distance."""
    far = np.sort(far)
    below = len(far) - np.searchsorted(far, near, side="right")
    equal = np.searchsorted(far, near, side="right") - np.searchsorted(far, near, side="left")
    return float((below + equal / 2).sum() / (len(near) * len(far)))
