"""The descriptor's vectors of the pictures that the embedded generator learned from: how near does a new picture come?

One file beside the descriptor, made by `training/describe_training_set.py`. Numbers and public image ids only; no
picture can be had from it. It knows no generator and does no describing.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from dermaflux.domain.errors import ModelNotAvailable

VECTORS_NAME = "training_vectors.safetensors"
_KEY = "vectors"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingVectors:
    """Unit vectors (N, D) float32 and the id of each picture."""

    vectors: np.ndarray
    image_ids: Sequence[str]

    @classmethod
    def load(cls, folder: Path, descriptor_sha256: str) -> Self | None:
        """The vectors of a descriptor's folder; None where there are none.

        Raises ModelNotAvailable when they are damaged or of another descriptor.
        """
        path = folder / VECTORS_NAME
        if not path.is_file():
            return None
        try:
            with safe_open(path, "np") as file:
                facts, vectors = dict(file.metadata()), file.get_tensor(_KEY)
            image_ids = json.loads(facts["image_ids"])
        except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
            raise ModelNotAvailable(f"{path} is damaged ({error}). Restore or delete it.") from error
        if facts.get("descriptor_sha256") != descriptor_sha256 or len(image_ids) != len(vectors):
            raise ModelNotAvailable(f"{path} belongs to another descriptor. Describe the training set anew.")
        return cls(vectors=vectors.astype(np.float32), image_ids=image_ids)

    def save(self, folder: Path, descriptor_sha256: str, data: str) -> Path:
        """Write them as `load` reads them, in float16, to a temporary name first; data: which pictures these are."""
        path = folder / VECTORS_NAME
        partial = path.with_name(f".{path.name}.partial")
        facts = {"descriptor_sha256": descriptor_sha256, "data": data, "image_ids": json.dumps(list(self.image_ids))}
        save_file({_KEY: self.vectors.astype(np.float16)}, partial, metadata=facts)
        partial.chmod(0o644)  # safetensors writes for the owner alone
        partial.replace(path)
        return path

    def nearest(self, vector: np.ndarray) -> tuple[float, str]:
        """The distance (1 - cosine) from a unit vector (D,) to the nearest picture, and that picture's id."""
        likeness = self.vectors @ vector
        place = int(likeness.argmax())
        return max(0.0, 1.0 - float(likeness[place])), self.image_ids[place]
