"""Duplicates within a set and leaks against another: reads pictures, describes them, and lets `evaluation` compare.

Pictures are described a batch at a time and not kept: a fingerprint is some hundred bytes, whatever the picture's size.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from dermaflux.domain.errors import InvalidRequest
from dermaflux.services.judging import Judging
from dermaflux.services.records import OnStep

if TYPE_CHECKING:
    from PIL import Image

    from dermaflux.evaluation.duplicates import DuplicateReport, Fingerprints, Likeness, Thresholds

_BATCH = 64


class Deduplicating(Judging):
    """Fingerprints of pictures and what follows from them."""

    def fingerprints(
        self, count: int, load: Callable[[int], "Image.Image"], on_step: OnStep | None = None
    ) -> "Fingerprints":
        """What pictures 0..count-1 are compared by. Raises ModelNotAvailable, and what `load` raises."""
        import numpy as np

        from dermaflux.evaluation.duplicates import Fingerprints
        from dermaflux.picture_hashes import content_hash, perceptual_hash

        descriptor = self._descriptor()
        content, hashes, vectors = [], [], [descriptor.embed([])]
        for start in range(0, count, _BATCH):
            images = [load(index).convert("RGB") for index in range(start, min(start + _BATCH, count))]
            content += [content_hash(image) for image in images]
            hashes += [perceptual_hash(image) for image in images]
            vectors.append(descriptor.embed(images))
            if on_step:
                on_step(len(content), count)
        return Fingerprints(
            content=content, phash=np.array(hashes, dtype=np.uint64), vectors=np.concatenate(vectors)
        )

    def duplicate_thresholds(
        self, lesion_distance: float | None = None, phash_bits: int | None = None
    ) -> "Thresholds":
        """The thresholds asked for, else the calibrated ones. Raises InvalidRequest for one that cannot be."""
        from dermaflux.evaluation.duplicates import PHASH_BITS, Thresholds

        calibrated = self._descriptor().copy_distance
        distance = calibrated if lesion_distance is None else lesion_distance
        if distance is None:
            raise InvalidRequest("The descriptor has no calibrated threshold. Give one with --distance.")
        bits = PHASH_BITS if phash_bits is None else phash_bits
        if not 0 <= distance <= 2 or not 0 <= bits <= 64:
            raise InvalidRequest(f"The distance {distance} must lie in 0..2 and the differing bits {bits} in 0..64.")
        return Thresholds(lesion_distance=distance, phash_bits=bits)

    def find_duplicates(self, prints: "Fingerprints", thresholds: "Thresholds") -> "DuplicateReport":
        """The groups of pictures that are alike."""
        from dermaflux.evaluation import duplicates

        return duplicates.find_duplicates(prints, thresholds)

    def find_leaks(
        self, prints: "Fingerprints", reference: "Fingerprints", thresholds: "Thresholds"
    ) -> "Sequence[Likeness]":
        """The pictures that are alike to one of the reference."""
        from dermaflux.evaluation import duplicates

        return duplicates.find_leaks(prints, reference, thresholds)
