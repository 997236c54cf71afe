"""A user's own folder as training material: pictures with a table, captioned by what is measured on them.

The table says diagnosis and patient (`training.dataset.load_folder`); asymmetry, border and colours come from the
embedded measurement, as for HAM10000. It knows no model that is trained.
"""

import logging
from collections.abc import Collection
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from dermaflux.domain.errors import DataNotFound
from dermaflux.domain.lesion import LesionSpec
from dermaflux.domain.records import Measurement, Split
from dermaflux.measurement.measurer import Measurer
from training.dataset import LesionDataset, load_folder
from training.lesion_records import LesionRecord, without_masks
from training.nano_data import CaptionedPictures, balanced
from training.pictures import centre_square

log = logging.getLogger(__name__)


def load_own(
    folder: Path, split: Split, size_px: int, measurer: Measurer, diagnoses: Collection[str] = ()
) -> CaptionedPictures:
    """The pictures of a split that could be measured, as centre squares; `diagnoses` keeps those classes only.

    What was left out is logged with its reason: broken rows of the table, and pictures that refuse measurement.
    Raises DataNotFound when nothing is left.
    """
    dataset = load_folder(folder)
    for row in dataset.rejected:
        log.warning("line %d of the table of %s is left out: %s", row.line, folder, row.reason)
    part = dataset.split(split).where(lambda r: not diagnoses or r.diagnosis in diagnoses)
    images, specs, kept, fit = [], [], [], centre_square(size_px)
    pictures = LesionDataset([without_masks(r) for r in part.records], part.source)
    for image, _, record in tqdm(pictures, desc=f"measuring {split}", mininterval=5):
        found = measurer.measure(image)
        if found.refused:
            log.warning("%s is left out: %s", record.image_id, found.refused)
            continue
        images.append(np.asarray(fit(image).apply(image)).transpose(2, 0, 1))
        specs.append(_spec(record, found))
        kept.append(record)
    if not images:
        raise DataNotFound(
            f"{folder} holds no measurable picture of split {split}. Its table needs a column split with train and val."
        )
    log.info("%d of %d pictures of split %s in %s are used", len(kept), len(pictures), split, folder)
    return CaptionedPictures(
        images=torch.from_numpy(np.stack(images)),
        specs=tuple(specs),
        weights=balanced(specs),
        fingerprint=LesionDataset(kept, part.source).fingerprint()[:16],
    )


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
