"""The flags of the verbs on sets of pictures as frozen records, read by tyro. Text beside a field is its help."""

from dataclasses import dataclass
from pathlib import Path

from tyro.conf import Positional

from dermaflux.domain.errors import InvalidRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class Duplicates:
    """Find duplicates within pictures, or their leaks into others: same pixels, almost the same, the same lesion."""

    paths: Positional[tuple[Path, ...]] = ()
    """Pictures or folders of them."""
    dataset: str | None = None
    """The accepted images of this dataset instead."""
    against: Path | None = None
    """Look for these in a folder or .zip of other pictures instead, such as those of training or of an evaluation."""
    split: str = "train"
    """The split of the other pictures' metadata that counts; pictures without one all count."""
    distance: float | None = None
    """Descriptors nearer than this show one lesion (1 - cosine, 0 to 2). Left out: as calibrated."""
    phash_bits: int | None = None
    """Pictures whose perceptual hashes differ in no more bits are almost the same. Left out: 2 of 64."""
    flag: bool = False
    """With --dataset and --against: note in the store which images are copies, so that exports leave them behind."""
    json: bool = False
    """JSON instead of a table."""

    def __post_init__(self) -> None:
        """Raise InvalidRequest unless exactly one source of pictures is named, and --flag has what it needs."""
        if bool(self.paths) == (self.dataset is not None):
            raise InvalidRequest("Name pictures or folders, or a --dataset: one of the two.")
        if self.flag and (self.dataset is None or self.against is None):
            raise InvalidRequest("--flag notes copies of the stored images: give --dataset and --against with it.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """Do the accepted images of a dataset help? Trains a quick head on real pictures with and without them."""

    dataset: str
    """The dataset's name."""
    real: Path
    """A folder of real pictures with metadata.csv (diagnosis, split, lesion_id), or a .zip of them."""
    split: str = "train"
    """The split that is learned from."""
    held_out: str = "val"
    """The split that judges. Where the table gives no split, a third of the lesions judges."""
    num_real: int | None = None
    """Learn from so many real pictures at a time, such as 250 or 500. Left out: all, by far the slowest at first."""
    num_draws: int = 5
    """How many times real training pictures are drawn."""
    seed: int = 0
    """Of the draws and of the intervals."""
    features: Path | None = None
    """Compare by this vision model (a transformers folder, an Inception v3 file), not the embedded classifier."""
    json: bool = False
    """JSON instead of a table."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportReal:
    """Take your own real pictures in, for comparison only: stripped of names, places and all but their pixels."""

    source: Positional[Path]
    """A folder or .zip of pictures, with metadata.csv (file_name, diagnosis, split, lesion_id, ...) if there is one."""
    name: str
    """What the set is to be called; it is written to real/NAME in the data folder."""
    json: bool = False
    """JSON instead of lines."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Purge:
    """Remove images that were rejected long ago, with their files. Their decisions stay in the chain."""

    rejected_after_days: int | None = None
    """Rejected everywhere, and not judged again for so many days. Left out: as DERMAFLUX_PURGE_REJECTED_AFTER_DAYS."""
    yes: bool = False
    """Do not ask."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Forget:
    """Remove a user's jobs, images and name. What others judged stays; the user's decisions become anonymous."""

    user: Positional[str]
    """The user's name, as reviewers are shown."""
    yes: bool = False
    """Do not ask."""
