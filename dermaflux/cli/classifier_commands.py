"""The flags of the verbs that look into the classifier as frozen records, read by tyro. It does nothing."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Positional, arg

from dermaflux.cli.flags import DrawingFlags, SpecFlags, check_choice
from dermaflux.domain.errors import InvalidRequest
from dermaflux.domain.lesion import ExplainedSide


@dataclass(frozen=True, slots=True, kw_only=True)
class Classifier:
    """How good is the classifier in use on real pictures of known diagnosis, and for whom? Research only."""

    path: Positional[Path | None] = None
    """A folder of pictures with metadata.csv (diagnosis, split, lesion_id, age, sex, site), or a .zip of them."""
    real: Path | None = None
    """The same, named as the other evaluations name it."""
    split: str = "test"
    """The split of the metadata that counts; pictures without one all count."""
    max_images: int | None = None
    """At most this many pictures, chosen by seed."""
    seed: int = 0
    """Of the choice, and of the intervals."""
    json: bool = False
    """JSON instead of tables."""

    def __post_init__(self) -> None:
        """Raise InvalidRequest unless exactly one place is named, and for a number that cannot be."""
        if (self.path is None) == (self.real is None):
            raise InvalidRequest("Name the real pictures once: as PATH or by --real.")
        check_choice(self.max_images, self.seed)

    @property
    def source(self) -> Path:
        """Where the pictures are."""
        found = self.path or self.real
        assert found is not None
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Explain:
    """Show what on generated pictures speaks for a side, and how far that map can be believed. Research only."""

    paths: Positional[tuple[Path, ...]]
    """Pictures or folders of them."""
    out: Path
    """The folder for the overlays; made when it is missing."""
    side: ExplainedSide = "predicted"
    """What the map speaks for: benign or malignant, as the classifier predicts, or as the picture was requested."""
    json: bool = False
    """One JSON object a line instead of a table."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Strip:
    """Move one attribute of a lesion at one seed, and see how P(malignant) follows. Research only."""

    along: Literal["asymmetry", "border", "colours"]
    """What moves: asymmetry, border or colours. Its own flag may be left out."""
    lesion: Annotated[SpecFlags, arg(name="")]
    drawing: Annotated[DrawingFlags, arg(name="")]
    out: Path
    """The folder for the images and the strip; made when it is missing."""
    steps: int = 5
    """How many values, 2 to as many as captions tell apart (5; 6 for colours), evenly over the range."""
    json: bool = False
    """One JSON object a line instead of a table."""
