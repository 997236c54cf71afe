"""Real lesion pictures by split: HAM10000 from its archives, or a user's own folder, through one door.

A `LesionDataset` is lazy: records are read at once, pixels when asked for, image and mask in one
common frame. It knows nothing of models, captions or measurement.
"""

import csv
import hashlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from dermaflux.domain.errors import DataNotFound, DermaFluxError, ImageNotReadable, InvalidRequest
from dermaflux.domain.records import Split
from training.lesion_records import LesionRecord, RejectedRow, folder_record, ham_record, table_rows
from training.pictures import (
    FrameTransform,
    Pictures,
    PictureSource,
    check_image,
    decode_mask,
    decode_rgb,
)

HAM_ARCHIVES = {200: "ham10000_200x150.zip", 224: "ham10000_224.zip"}


class LesionDataset:
    """Records of one split and, on indexing, their pictures and masks in one common frame.

    `dataset[i]` -> (RGB image, 1-bit-like "L" mask or None, record). `rejected` lists a user table's bad rows.
    """

    def __init__(
        self,
        records: Sequence[LesionRecord],
        source: Pictures,
        fit: Callable[[Image.Image], FrameTransform] | None = None,
        rejected: Sequence[RejectedRow] = (),
    ) -> None:
        self.records = tuple(records)
        self.source = source
        self.fit = fit
        self.rejected = tuple(rejected)

    def __len__(self) -> int:
        """How many pictures the split holds."""
        return len(self.records)

    def __getitem__(self, index: int) -> tuple[Image.Image, Image.Image | None, LesionRecord]:
        """Decode one picture and its mask, both through the same transform."""
        record = self.records[index]
        image = decode_rgb(self.source.read(record.image_path), record.image_path)
        mask = None
        if record.mask_path:
            mask = decode_mask(self.source.read(record.mask_path), record.mask_path)
            if mask.size != image.size:
                raise ImageNotReadable(f"The mask of {record.image_id} is {mask.size}, its image {image.size}.")
        if self.fit:
            transform = self.fit(image)
            image = transform.apply(image)
            mask = transform.apply(mask) if mask else None
        return image, mask, record

    def __iter__(self) -> Iterator[tuple[Image.Image, Image.Image | None, LesionRecord]]:
        """All pictures in record order."""
        return (self[index] for index in range(len(self)))

    def split(self, split: Split) -> "LesionDataset":
        """The part of this data set in one split."""
        return self.where(lambda record: record.split == split)

    def where(self, keep: Callable[[LesionRecord], bool]) -> "LesionDataset":
        """The part whose records satisfy `keep`."""
        return LesionDataset([r for r in self.records if keep(r)], self.source, self.fit, self.rejected)

    def fingerprint(self) -> str:
        """A hash of the records in order: which pictures a model has seen."""
        text = "\n".join(f"{r.image_id},{r.lesion_id},{r.split},{r.diagnosis}" for r in self.records)
        return hashlib.sha256(text.encode()).hexdigest()


def load_ham10000(
    data_dir: Path, archive_px: int = 200, fit: Callable[[Image.Image], FrameTransform] | None = None
) -> LesionDataset:
    """HAM10000 with masks, all splits: archive 200 (whole frames 200x150) or 224 (centre crops, one a lesion).

    Raises DataNotFound when the table or archive is missing. Source: Tschandl 2018, CC BY-NC 4.0.
    """
    table = data_dir / "ham10000.csv"
    if archive_px not in HAM_ARCHIVES:
        raise InvalidRequest(f"There is no HAM10000 archive of {archive_px}. Choose {sorted(HAM_ARCHIVES)}.")
    if not table.is_file():
        raise DataNotFound(f"{table} does not exist. Point --data-dir at the folder with ham10000.csv.")
    source = PictureSource(data_dir / HAM_ARCHIVES[archive_px])
    with table.open(newline="") as handle:
        records = [ham_record(row) for row in csv.DictReader(handle)]
    return LesionDataset([r for r in records if source.has(r.image_path)], source, fit)


def load_folder(
    folder: Path, fit: Callable[[Image.Image], FrameTransform] | None = None
) -> LesionDataset:
    """A user's folder: pictures plus metadata.csv or metadata.jsonl, optional masks.

    Columns: file_name, diagnosis (ours or HAM's dx), and optionally split, lesion_id, age, sex, site, mask_name.
    Broken rows are left out and listed in `rejected`; DataNotFound when nothing usable is left.
    """
    rows = list(table_rows(folder))
    source, kept, rejected, seen = PictureSource(folder), [], [], {}
    for line, row in rows:
        try:
            record = _readable_record(row, source)
            _keep_lesion_in_one_split(record, seen)
            kept.append(record)
        except DermaFluxError as error:
            rejected.append(RejectedRow(line=line, reason=str(error)))
    if not kept:
        why = f" First problem, line {rejected[0].line}: {rejected[0].reason}" if rejected else ""
        raise DataNotFound(f"No usable row in the table of {folder}.{why}")
    return LesionDataset(kept, source, fit, rejected)


def as_uint8(dataset: LesionDataset) -> tuple[np.ndarray, np.ndarray]:
    """All pictures (N, H, W, 3) and masks (N, H, W), uint8 in memory; masks are 0 or 1.

    The data set must have a `fit` to one size and a mask for every picture.
    """
    images, masks = [], []
    for image, mask, record in dataset:
        if mask is None:
            raise DataNotFound(f"{record.image_id} has no mask, but masks were asked for.")
        images.append(np.asarray(image, dtype=np.uint8))
        masks.append((np.asarray(mask.convert("L")) > 127).astype(np.uint8))
    return np.stack(images), np.stack(masks)


def _readable_record(row: dict[str, Any], source: PictureSource) -> LesionRecord:
    record = folder_record(row)
    check_image(source.read(record.image_path), record.image_path)
    if record.mask_path and not source.has(record.mask_path):
        raise DataNotFound(f"The mask {record.mask_path} is not in the folder.")
    return record


def _keep_lesion_in_one_split(record: LesionRecord, seen: dict[str, Split]) -> None:
    first = seen.setdefault(record.lesion_id, record.split)
    if first != record.split:
        raise InvalidRequest(
            f"Lesion {record.lesion_id} is already in split {first}; one lesion must stay in one split."
        )
