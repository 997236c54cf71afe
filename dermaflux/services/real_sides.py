"""A set of real pictures as two sides that share no lesion: one to learn from, one to judge on.

The split of the set's table is respected. Where the table gives none, a third of the lesions judges. It knows files
and tables, no model.
"""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from dermaflux.domain.errors import DataNotFound
from dermaflux.services.real_pictures import RealPicture, RealPictures, read_real

_HELD_OUT_OF = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class RealSides:
    """The opened set; `training` and `held_out` are pictures of it with a diagnosis, no lesion on both sides."""

    pictures: RealPictures
    training: Sequence[RealPicture]
    held_out: Sequence[RealPicture]


@contextmanager
def open_sides(root: Path, training: str, held_out: str) -> Iterator[RealSides]:
    """The two sides of a folder or zip by the names of their splits; it is closed at the end of `with`.

    Raises DataNotFound when a side is empty, or no picture has a diagnosis.
    """
    with read_real(root, training, None, 0) as learned, read_real(root, held_out, None, 0) as judged:
        anywhere = {p.name for p in learned.pictures} & {p.name for p in judged.pictures}  # the table gives no split
        judging = [p for p in judged.pictures if p.diagnosis and (p.name not in anywhere or _is_held_out(p))]
        lesions = {p.lesion_id for p in judging}
        learning = [p for p in learned.pictures if p.diagnosis and p.lesion_id not in lesions]
        if not judging or not learning:
            raise DataNotFound(
                f"{root} has {len(learning)} pictures with a diagnosis to learn from ({training}) and {len(judging)} "
                f"to judge on ({held_out}). Give it a metadata.csv with file_name, diagnosis, split and lesion_id."
            )
        yield RealSides(pictures=learned, training=learning, held_out=judging)


def _is_held_out(picture: RealPicture) -> bool:
    """The same answer for a lesion on every machine."""
    return int(hashlib.sha256(picture.lesion_id.encode()).hexdigest(), 16) % _HELD_OUT_OF == 0
