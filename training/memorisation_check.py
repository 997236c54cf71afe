"""How near do the probe samples of a run come to the pictures it learns from? The product's own ruler, while it learns.

Distances are those of the lesion descriptor (1 - cosine), the threshold is the one it was calibrated with. A run learns
each picture in eight positions, and the descriptor takes mirror images for the same but not turned ones: so a sample is
held against the training pictures in four turns, the nearest counts. The training pictures are described once a run;
only their vectors are kept, in the run's folder and without names. It knows no prompt, and of a copy that the
descriptor does not tell (docs/duplicates.md) it knows nothing.
"""

import hashlib
import logging
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from dermaflux.classification.descriptor import LesionDescriptor
from dermaflux.evaluation.neighbours import nearest
from training.nano_data import CaptionedPictures

log = logging.getLogger(__name__)
VECTORS_NAME = "training_vectors.safetensors"
_KEY, _MEDIAN = "vectors", "held_out_median"
_AT_ONCE = 64
_MAX_HELD_OUT = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class NearestTrained:
    """How near (0 same .. 2 opposite) one sample comes to a training picture, and whether that counts as a copy.

    is_copy is None where the descriptor has no calibrated threshold.
    """

    distance: float
    is_copy: bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """Vectors (N, D) of the training pictures, and how near the median held-out picture comes to one of them."""

    vectors: np.ndarray
    held_out_median: float


class MemorisationCheck:
    """Holds samples against the training pictures of one run."""

    def __init__(self, descriptor: LesionDescriptor, reference: Reference) -> None:
        self._descriptor, self._reference = descriptor, reference

    @property
    def threshold(self) -> float | None:
        """Nearer than this counts as a copy; None where the descriptor was not calibrated."""
        return self._descriptor.copy_distance

    def nearest(self, images: Sequence[Image.Image]) -> list[NearestTrained]:
        """Of each sample the distance to the nearest training picture."""
        distances, limit = _turned_distances(self._descriptor, images, self._reference.vectors), self.threshold
        return [
            NearestTrained(distance=round(float(d), 4), is_copy=None if limit is None else bool(d <= limit))
            for d in distances
        ]

    def figures(self, found: Sequence[NearestTrained]) -> dict[str, float | None]:
        """What a history says of a round: nearest, median, share of copies (None uncalibrated), and the two rulers."""
        distances = [near.distance for near in found]
        flags = [near.is_copy for near in found if near.is_copy is not None]
        return {
            "memorisation_min": min(distances),
            "memorisation_median": round(float(np.median(distances)), 4),
            "memorisation_share": sum(flags) / len(flags) if flags else None,
            "memorisation_threshold": self.threshold,
            "memorisation_held_out": self._reference.held_out_median,
        }


def prepare_check(
    folder: Path,
    descriptor: LesionDescriptor,
    train: Sequence[CaptionedPictures],
    held_out: Sequence[CaptionedPictures],
) -> MemorisationCheck:
    """The check of a run. The vectors are read from its folder, or made and put there."""
    if descriptor.copy_distance is None:
        log.warning("the descriptor has no calibrated threshold: distances are measured, nothing is called a copy")
    path = folder / VECTORS_NAME
    facts = {"descriptor_sha256": descriptor.sha256, "pictures_sha256": _pixels_sha256(train)}
    reference = _kept(path, facts)
    if reference is None:
        reference = _described(descriptor, train, held_out)
        _keep(path, reference, facts)
    return MemorisationCheck(descriptor, reference)


def copies_in_words(figures: Mapping[str, Any], num_samples: int) -> str:
    """What the figures of a round mean where something counts as a copy; empty where nothing does."""
    copies = round((figures.get("memorisation_share") or 0) * num_samples)
    if not copies:
        return ""
    come, each = ("comes", "it") if copies == 1 else ("come", "they")
    return (
        f"{copies} of {num_samples} probe samples of step {figures['step']} {come} so near to a training picture that "
        f"{each} may be copied (nearest {figures['memorisation_min']:.3f}, threshold "
        f"{figures['memorisation_threshold']:.3f}). Look at the samples; fewer steps, a lower rank or more pictures "
        "help; the run is not stopped."
    )


def _described(
    descriptor: LesionDescriptor, train: Sequence[CaptionedPictures], held_out: Sequence[CaptionedPictures]
) -> Reference:
    began = time.monotonic()
    pictures = _pictures(train)
    vectors = np.concatenate([descriptor.embed(some) for some in iter(lambda: [*islice(pictures, _AT_ONCE)], [])])
    unseen = list(islice(_pictures(held_out), _MAX_HELD_OUT))
    distances = _turned_distances(descriptor, unseen, vectors)
    log.info("%d training pictures described in %.1f s", len(vectors), time.monotonic() - began)
    return Reference(vectors=vectors, held_out_median=round(float(np.median(distances)), 4))


def _turned_distances(
    descriptor: LesionDescriptor, images: Sequence[Image.Image], vectors: np.ndarray
) -> np.ndarray:
    """Of each image (M,) the distance to the nearest of the vectors, in the best of four turns."""
    turns = [nearest(descriptor.embed([image.rotate(90 * n, expand=True) for image in images]), vectors)[1]
             for n in range(4)]  # fmt: skip
    return np.min(turns, axis=0)


def _pictures(sets: Sequence[CaptionedPictures]) -> Iterator[Image.Image]:
    for part in sets:
        for picture in part.images:
            yield Image.fromarray(picture.permute(1, 2, 0).contiguous().numpy())


def _pixels_sha256(sets: Sequence[CaptionedPictures]) -> str:
    digest = hashlib.sha256()
    for part in sets:
        digest.update(part.images.contiguous().numpy().data)
    return digest.hexdigest()


def _kept(path: Path, facts: Mapping[str, str]) -> Reference | None:
    """What an earlier start of the same run described; None where that is missing, damaged or of other pictures."""
    try:
        with safe_open(path, "np") as file:
            said, vectors = dict(file.metadata()), file.get_tensor(_KEY)
        if {name: said.get(name) for name in facts} != dict(facts):
            return None
        return Reference(vectors=vectors, held_out_median=float(said[_MEDIAN]))
    except (OSError, KeyError, TypeError, ValueError, SafetensorError) as error:
        if path.is_file():
            log.warning("%s is damaged (%s) and is made anew", path, error)
        return None


def _keep(path: Path, reference: Reference, facts: Mapping[str, str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    save_file({_KEY: reference.vectors}, temporary, metadata={**facts, _MEDIAN: str(reference.held_out_median)})
    os.replace(temporary, path)
