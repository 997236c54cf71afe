"""What goes into and comes out of the store of reader studies. Frozen data; no table and no session is known here."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from dermaflux.domain.study import Source, StudyAnswer, StudyPlan


class ItemKind(StrEnum):
    """What is shown: a real picture, a synthetic one, one of these again, or a card that tells what to answer."""

    REAL = "real"
    SYNTHETIC = "synthetic"
    REPEAT = "repeat"
    CHECK = "check"


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyItem:
    """One thing that is shown, with its key; readers never see more of it than the picture.

    `origin` is the image id or the name in the real set, `origin_sha256` the hash of that file,
    `sha256` that of the bytes shown. `wanted`: what a check asks for, as (source, confidence).
    """

    item_id: str
    kind: ItemKind
    sha256: str
    origin: str = ""
    origin_sha256: str = ""
    diagnosis: str | None = None
    repeats: str | None = None
    wanted: tuple[Source, int] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """A study as it was made; `sources` names the dataset and the real pictures. Only its owner sees the seed."""

    study_id: str
    name: str
    owner: str
    seed: int
    plan: StudyPlan
    sources: dict[str, Any]
    created_at: str
    closed_at: str | None = None

    @property
    def is_open(self) -> bool:
        """Whether answers are still taken."""
        return self.closed_at is None


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyReader:
    """How far somebody is; `unblinded_at` is set when they looked at the results without having read to the end."""

    reader: str
    joined_at: str
    num_answered: int
    num_shown: int
    finished_at: str | None
    unblinded_at: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """Where a reader is: `position` answers are in, of `total`; the items now and next, None past the end."""

    study: Study
    position: int
    total: int
    current: StudyItem | None
    following: StudyItem | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StudiedAnswer:
    """A stored answer and whose it is; server_ms counts from the answer before."""

    reader: str
    item_id: str
    answer: StudyAnswer
    server_ms: int
    answered_at: str
