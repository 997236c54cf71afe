"""What nano learns from: training pictures in memory, each with the lesion it shows, and captions drawn from it.

A picture's asymmetry, border and colours are the measured ones, so that a caption says what is to be
seen. Pictures that cannot be measured are left out. It knows no model; captions are made by `domain.caption`.
"""

import random
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from dermaflux.domain.caption import asymmetry_level, border_level, compose
from dermaflux.domain.errors import DataNotFound
from dermaflux.domain.lesion import LesionSpec
from dermaflux.domain.records import Split
from training.dark_corners import without_dark_corners
from training.dataset import LesionDataset, load_ham10000
from training.lesion_records import without_masks
from training.measured_table import is_usable, measured_rows, spec_of
from training.pictures import centre_square

_RARE_SHAPE = 50
NO_CAPTIONS: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptionStyle:
    """How often a training caption says less than is known, so that short captions work too (shares 0..1)."""

    plain_class: float = 0.15
    hide_patient: float = 0.5
    hide_site: float = 0.5
    hide_tone: float = 0.7


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptionedPictures:
    """Pictures (N, 3, H, W) uint8 with the lesion each one shows and its weight in sampling (N,).

    `written`: a caption from elsewhere (`training.captioning`) for each picture, None where there is none; or empty.
    """

    images: Tensor
    specs: tuple[LesionSpec, ...]
    weights: Tensor
    fingerprint: str
    written: tuple[str | None, ...] = ()

    def __len__(self) -> int:
        """How many pictures there are."""
        return len(self.specs)


def load_captioned(
    data_dir: Path,
    measured: Path,
    split: Split,
    size_px: int,
    diagnoses: Collection[str] = (),
    captions: Mapping[str, str] = NO_CAPTIONS,
) -> CaptionedPictures:
    """The pictures of a split that could be measured: the sharp 224 px crop where there is one.

    `diagnoses` keeps those classes only; all when empty. `captions` are written ones by image id.

    Raises DataNotFound when nothing is left, or when the table of measurements is missing
    (`training.measure_training_set` makes it).
    """
    rows = measured_rows(measured)
    images, specs, used, parts, names = [], [], set(), [], []
    for archive_px in (224, 200):
        dataset = load_ham10000(data_dir, archive_px, centre_square(size_px)).split(split)
        if diagnoses:
            dataset = dataset.where(lambda record: record.diagnosis in diagnoses)
        part = dataset.where(lambda r, a=archive_px: r.image_id not in used and is_usable(rows.get((r.image_id, a))))
        kept = []
        for image, mask, record in tqdm(_with_masks(part), desc=f"reading {split} {archive_px}", mininterval=5):
            lesion = np.zeros((size_px, size_px), bool) if mask is None else np.asarray(mask) > 127
            pixels = without_dark_corners(np.asarray(image), lesion)
            if pixels is None:
                continue
            images.append(pixels.transpose(2, 0, 1))
            specs.append(spec_of(record, rows[record.image_id, archive_px]))
            kept.append(record)
        used.update(record.image_id for record in kept)
        names += [record.image_id for record in kept]
        parts.append(LesionDataset(kept, part.source).fingerprint())
    if not images:
        wanted = f" of {', '.join(diagnoses)}" if diagnoses else ""
        raise DataNotFound(f"No measured picture{wanted} of split {split} in {measured}. Make the table anew.")
    return CaptionedPictures(
        images=torch.from_numpy(np.stack(images)),
        specs=tuple(specs),
        weights=balanced(specs),
        fingerprint="-".join(part[:16] for part in parts),
        written=written_for(names, captions),
    )


def written_for(image_ids: Sequence[str], captions: Mapping[str, str]) -> tuple[str | None, ...]:
    """The written caption of each picture, None where it has none; empty when there are no captions at all."""
    return tuple(captions.get(image_id) for image_id in image_ids) if captions else ()


def load_specs(data_dir: Path, measured: Path, split: Split) -> list[LesionSpec]:
    """What each lesion of a split shows, one picture a lesion, in the order of the table; no pixels are read.

    Raises DataNotFound as `load_captioned` does.
    """
    rows = measured_rows(measured)
    specs = []
    for record in load_ham10000(data_dir, 224).split(split).records:
        found = (rows.get((record.image_id, archive_px)) for archive_px in (224, 200))
        if row := next((row for row in found if is_usable(row)), None):
            specs.append(spec_of(record, row))
    if not specs:
        raise DataNotFound(f"No measured picture of split {split} in {measured}. Make the table anew.")
    return specs


def draw_batch(
    pictures: CaptionedPictures, size: int, generator: torch.Generator, style: CaptionStyle
) -> tuple[Tensor, list[str]]:
    """A class-balanced batch: images (B, 3, S, S) in -1..1, each flipped and turned at random, and captions.

    Flips and quarter turns change none of A, B, C, so the captions stay true.
    """
    index = torch.multinomial(pictures.weights, size, replacement=True, generator=generator)
    images = to_unit_range(pictures.images[index])
    kinds = torch.randint(8, (size,), generator=generator).tolist()
    images = torch.stack([turned(image, kind) for image, kind in zip(images, kinds, strict=True)])
    rng = random.Random(int(torch.randint(2**31, (1,), generator=generator)))
    return images, [caption_of(pictures.specs[i], style, rng) for i in index.tolist()]


def caption_of(spec: LesionSpec, style: CaptionStyle, rng: random.Random) -> str:
    """One of the captions of a lesion: wording and what is left out are drawn."""
    return compose(_said(spec, style, rng), rng)


def fixed_captions(pictures: CaptionedPictures) -> list[str]:
    """The canonical caption of every picture, for validation."""
    return [compose(spec) for spec in pictures.specs]


def to_unit_range(images: Tensor) -> Tensor:
    """uint8 0..255 to float32 -1..1."""
    return images.float() / 127.5 - 1


def _with_masks(part: LesionDataset) -> LesionDataset:
    """The same data set, the masks that its archive lacks forgotten."""
    records = [r if r.mask_path and part.source.has(r.mask_path) else without_masks(r) for r in part.records]
    return LesionDataset(records, part.source, part.fit)


def balanced(specs: Sequence[LesionSpec]) -> Tensor:
    """Weights 1/sqrt(class count) / sqrt(shape count): what is rare is seen more, yet not worn out.

    A shape is an asymmetry and a border as captions say them. The two go together (Spearman .8), and where the even
    lesions with a ragged border are seldom seen the words for the two mean one thing; fewer than 50 count as 50.
    """
    classes = Counter(spec.diagnosis for spec in specs)
    shapes = Counter(_shape(spec) for spec in specs)
    return torch.tensor([
        (classes[spec.diagnosis] * max(shapes[_shape(spec)], _RARE_SHAPE)) ** -0.5 for spec in specs
    ])


def _shape(spec: LesionSpec) -> tuple[float, float]:
    return asymmetry_level(spec.asymmetry), border_level(spec.border)


def _said(spec: LesionSpec, style: CaptionStyle, rng: random.Random) -> LesionSpec:
    quiet_patient = rng.random() < style.hide_patient
    return replace(
        spec,
        diagnosis=spec.diagnosis.side if rng.random() < style.plain_class else spec.diagnosis,
        age=None if quiet_patient else spec.age,
        sex=None if quiet_patient else spec.sex,
        site=None if rng.random() < style.hide_site else spec.site,
        skin_tone=None if rng.random() < style.hide_tone else spec.skin_tone,
    )


def turned(image: Tensor, kind: int) -> Tensor:
    """An image (3, H, W) in one of its eight positions: `kind` 0..7, quarter turns and a flip; 0 is as it was."""
    image = torch.rot90(image, kind % 4, dims=(1, 2))
    return image.flip(2) if kind >= 4 else image
