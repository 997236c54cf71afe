"""A user's own folder as training material: pictures with a table, captioned by what is measured on them.

The table says diagnosis and patient (`training.dataset.load_folder`); asymmetry, border and colours come from the
embedded measurement, as for HAM10000. It knows no model that is trained.
"""

import logging
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from dermaflux.domain.errors import DataNotFound
from dermaflux.domain.lesion import LesionSpec
from dermaflux.domain.records import Measurement, Split
from dermaflux.measurement.measurer import Measurer
from training.aspect_buckets import nearest_shape
from training.dataset import LesionDataset, load_folder
from training.lesion_records import LesionRecord, without_masks
from training.nano_data import NO_CAPTIONS, CaptionedPictures, balanced, written_for
from training.pictures import centre_crop

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Own:
    """One picture, cut to its shape, and what it shows."""

    shape: tuple[int, int]
    pixels: np.ndarray
    spec: LesionSpec
    record: LesionRecord


def load_own(
    folder: Path,
    split: Split,
    shapes: Sequence[tuple[int, int]],
    measurer: Measurer,
    diagnoses: Collection[str] = (),
    captions: Mapping[str, str] = NO_CAPTIONS,
) -> tuple[CaptionedPictures, ...]:
    """The pictures of a split that could be measured, cut to the nearest of `shapes` (width, height in pixels).

    One set a shape that occurs; their weights balance the classes of all. `diagnoses` keeps those classes only;
    `captions` are written ones by image id. What was left out is logged with its reason: broken rows of the table, and
    pictures that refuse measurement. Raises DataNotFound when nothing is left.
    """
    dataset = load_folder(folder)
    for row in dataset.rejected:
        log.warning("line %d of the table of %s is left out: %s", row.line, folder, row.reason)
    part = dataset.split(split).where(lambda r: not diagnoses or r.diagnosis in diagnoses)
    pictures = LesionDataset([without_masks(r) for r in part.records], part.source)
    found = list(_measured(pictures, shapes, measurer, split))
    if not found:
        raise DataNotFound(
            f"{folder} holds no measurable picture of split {split}. Its table needs a column split with train and val."
        )
    log.info("%d of %d pictures of split %s in %s are used", len(found), len(pictures), split, folder)
    weights = balanced([own.spec for own in found])
    by_shape = {shape: [i for i, own in enumerate(found) if own.shape == shape] for shape in shapes}
    return tuple(
        CaptionedPictures(
            images=torch.from_numpy(np.stack([found[i].pixels for i in chosen])),
            specs=tuple(found[i].spec for i in chosen),
            weights=weights[chosen],
            fingerprint=LesionDataset([found[i].record for i in chosen], part.source).fingerprint()[:16],
            written=written_for([found[i].record.image_id for i in chosen], captions),
        )
        for chosen in by_shape.values()
        if chosen
    )


def _measured(
    pictures: LesionDataset, shapes: Sequence[tuple[int, int]], measurer: Measurer, split: Split
) -> Iterator[_Own]:
    for image, _, record in tqdm(pictures, desc=f"measuring {split}", mininterval=5):
        found = measurer.measure(image)
        if found.refused:
            log.warning("%s is left out: %s", record.image_id, found.refused)
            continue
        shape = nearest_shape(shapes, *image.size)
        pixels = np.asarray(centre_crop(*shape)(image).apply(image)).transpose(2, 0, 1)
        yield _Own(shape=shape, pixels=pixels, spec=_spec(record, found), record=record)


def _spec(record: LesionRecord, found: Measurement) -> LesionSpec:
    assert found.asymmetry is not None and found.border is not None  # not refused
    return LesionSpec(
        asymmetry=found.asymmetry,
        border=found.border,
        colours=found.colours,
        diagnosis=record.diagnosis,
        age=record.age,
        sex=record.sex,
        site=record.site,
    )
