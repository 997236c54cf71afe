"""What goes into and comes out of an export, and of taking one back in.

Frozen data with checks; no table, file or session is known here.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from dermaflux.domain.errors import InvalidRequest
from dermaflux.domain.lesion import choice
from dermaflux.domain.records import Split, Verdict

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image

    from dermaflux.curation.credentials import CredentialSigner

HASH_BITS = 64

FindLesion = Callable[["Image.Image"], "np.ndarray"]
"""The lesion on an image as bool (H, W) in its size; all false when none is found."""


class ExportFormat(StrEnum):
    """The file layouts a dataset can leave in."""

    IMAGEFOLDER = "imagefolder"
    PARQUET = "parquet"
    WEBDATASET = "webdataset"
    DICOM = "dicom"
    COCO = "coco"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportRequest:
    """Which images of a dataset go where, and how. Synthetic images go into train only.

    verdicts: what all reviewers together must have come to. min_agreement 0..1: the least share of an image's reviewers
    who accepted it. Images flagged as memorised stay behind unless asked for. without: ids or sha256 of images to leave
    out. duplicate_bits 0..63: of images whose perceptual hashes differ in at most so many of 64 bits only the first
    stays; None looks for none. max_per_diagnosis: how many of one diagnosis at most. Who is kept follows from the
    content hash, so the choice is the same wherever it is made. images_per_shard matters for parquet and webdataset.
    """

    dataset: str
    format: ExportFormat
    folder: Path
    split: Split = Split.TRAIN
    images_per_shard: int = 1000
    verdicts: tuple[Verdict, ...] = (Verdict.ACCEPT,)
    min_agreement: float = 0.0
    include_memorised: bool = False
    without: frozenset[str] = frozenset()
    duplicate_bits: int | None = None
    max_per_diagnosis: int | None = None

    def __post_init__(self) -> None:
        """Raise InvalidRequest for a value that cannot be, and for synthetic images in val or test."""
        put = object.__setattr__
        put(self, "format", choice("format", self.format, ExportFormat))
        put(self, "split", choice("split", self.split, Split))
        put(self, "folder", Path(self.folder))
        put(self, "without", frozenset(self.without))
        put(self, "verdicts", tuple(choice("verdict", verdict, Verdict) for verdict in self.verdicts))
        if self.split is not Split.TRAIN:
            raise InvalidRequest(
                f"Synthetic images are not written into the {self.split} split: a score on them says nothing "
                "about real patients. Export to train."
            )
        self._check_numbers()

    def _check_numbers(self) -> None:
        if self.images_per_shard < 1:
            raise InvalidRequest(f"images_per_shard is {self.images_per_shard}. Give at least 1.")
        if not self.verdicts:
            raise InvalidRequest("No verdict was named, so no image would be exported. Name accept at least.")
        if not 0 <= self.min_agreement <= 1:
            raise InvalidRequest(f"min_agreement is {self.min_agreement}. Give a share from 0 to 1.")
        if self.duplicate_bits is not None and not 0 <= self.duplicate_bits < HASH_BITS:
            raise InvalidRequest(f"duplicate_bits is {self.duplicate_bits}. Give 0 to {HASH_BITS - 1}, best under 7.")
        if self.max_per_diagnosis is not None and self.max_per_diagnosis < 1:
            raise InvalidRequest(f"max_per_diagnosis is {self.max_per_diagnosis}. Give at least 1.")


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportTools:
    """What an export may need of others: COCO a finder of lesions, signed images a signer."""

    find_lesion: FindLesion | None = None
    signer: "CredentialSigner | None" = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportReport:
    """What an export wrote; left_out says why images stayed behind.

    `manifest_sha256` is equal for equal unsigned exports; `set_sha256` for equal sets of images with their verdicts,
    in any format, signed or not.
    """

    folder: Path
    format: ExportFormat
    num_images: int
    num_bytes: int
    manifest_sha256: str
    set_sha256: str
    diagnoses: Mapping[str, int]
    left_out: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportReport:
    """What was taken in: images of the export, how many of them are new to the store, decisions added to the chain."""

    dataset: str
    num_images: int
    num_new_images: int
    num_decisions: int
    set_sha256: str
