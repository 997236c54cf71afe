"""What an evaluation compares: synthetic pictures of a folder or a dataset, real ones of a split, and their features.

It gathers and describes; it compares nothing.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from PIL import Image

from dermaflux.cli.flags import RealFlags, SyntheticFlags
from dermaflux.cli.output import ProgressBar
from dermaflux.domain.errors import DataNotFound
from dermaflux.domain.lesion import LesionSpec
from dermaflux.evaluation.memorisation import MIN_REAL, RealFeatures
from dermaflux.services import Services
from dermaflux.services.real_pictures import RealPicture, RealPictures, read_real

Embed = Callable[[list[Image.Image]], np.ndarray]
SYNTHETIC, REAL, UNSEEN = "Synthetic images", "Real pictures", "Real pictures nothing was trained on"
_BATCH = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class SyntheticPictures:
    """Pictures by row: their names, and how each is decoded and what it was asked to show."""

    names: Sequence[str]
    load: Callable[[int], Image.Image]
    asked: Callable[[int], LesionSpec]

    def __len__(self) -> int:
        """How many."""
        return len(self.names)


def synthetic_pictures(
    services: Services, source: SyntheticFlags, flags: RealFlags, *, with_copies: bool = False
) -> SyntheticPictures:
    """At most flags.max_images pictures, chosen by seed; of a dataset, copies of training pictures only if asked for.

    Raises DataNotFound or InvalidRequest when there is none.
    """
    if source.dataset is None:
        paths = _chosen(services.find_pictures(source.images), flags)
        return SyntheticPictures(
            names=[str(path) for path in paths],
            load=lambda row: services.open_picture(paths[row]),
            asked=lambda row: services.asked_of_file(paths[row]),
        )
    images = _chosen(services.accepted_images(source.dataset, with_copies=with_copies), flags)
    return SyntheticPictures(
        names=[image.image_id for image in images],
        load=lambda row: services.stored_picture(images[row].image_id),
        asked=lambda row: services.asked_of_stored(images[row]),
    )


def real_pictures(flags: RealFlags) -> RealPictures:
    """The real pictures that count. Raises DataNotFound."""
    return read_real(flags.real, flags.split, flags.max_images, flags.seed)


def unseen_features(
    embed: Embed, flags: RealFlags, split: str, compared: Sequence[RealPicture]
) -> RealFeatures | None:
    """Features of another split's pictures whose lesions are not compared with; None when there are too few."""
    known = {picture.lesion_id for picture in compared}
    try:
        others = real_pictures(replace(flags, split=split, max_images=None))
    except DataNotFound:
        return None
    with others:
        others.pictures = [picture for picture in others.pictures if picture.lesion_id not in known]
        return real_features(embed, others, UNSEEN) if len(others.pictures) >= MIN_REAL else None


def real_features(embed: Embed, reference: RealPictures, what: str) -> RealFeatures:
    """Features of all pictures of a set, and which lesion each shows."""
    pictures = reference.pictures
    rows = features(embed, len(pictures), lambda row: reference.load(pictures[row]), what)
    return RealFeatures(features=rows, lesion_ids=[picture.lesion_id for picture in pictures])


def features(embed: Embed, count: int, load: Callable[[int], Image.Image], what: str) -> np.ndarray:
    """(N, D) features of pictures 0..N-1, read and embedded a batch at a time so that any number fits."""
    rows = []
    with ProgressBar(what) as on_step:
        for start in range(0, count, _BATCH):
            end = min(start + _BATCH, count)
            rows.append(embed([load(row) for row in range(start, end)]))
            on_step(end, count)
    return np.concatenate(rows)


def _chosen(found: Sequence[Any], flags: RealFlags) -> list[Any]:
    order = np.random.default_rng(flags.seed).permutation(len(found))[: flags.max_images]
    return [found[index] for index in sorted(order)]
