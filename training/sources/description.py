"""How a set of pictures is described, so that one reader can read them all. Records only; it reads nothing.

A template is a path below the set's root with names of columns in braces: `train/{image_name}.jpg`. A picture inside
an archive is written `archive.zip!member`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from dermaflux.domain.lesion import Diagnosis
from dermaflux.domain.records import Split


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """One table of a set and what only its place says. Of `paths` the first that exists is read.

    `pictures` lists the pictures of a row, each by alternative templates. `joined` names further tables and the column
    they share with this one. `row_splits` names tables with a column `indexes`: the rows (from 0) of a split. Lines
    that do not begin with `line_prefix` are no rows. A set needs one of its tables at least.
    """

    paths: tuple[str, ...]
    pictures: tuple[tuple[str, ...], ...]
    joined: Mapping[str, str] = field(default_factory=dict)
    row_splits: Mapping[str, Split] = field(default_factory=dict)
    split: Split | None = None
    delimiter: str = ","
    line_prefix: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassFolder:
    """A folder of pictures that share a diagnosis, and the split it stands for where the publisher names one."""

    path: str
    diagnosis: Diagnosis
    split: Split | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """Which columns say what; of several the first that holds something. Empty: the set does not say it.

    Without `image_id` a picture is named by its file.
    """

    image_id: tuple[str, ...] = ()
    patient_id: tuple[str, ...] = ()
    lesion_id: tuple[str, ...] = ()
    age: tuple[str, ...] = ()
    sex: tuple[str, ...] = ()
    site: tuple[str, ...] = ()
    skin_tone: tuple[str, ...] = ()
    split: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Labels:
    """How the diagnosis is read: the columns in order, the first with a word (lower case) that is known.

    A word of `left_out` ends the search: the row stays behind for that reason. Of one-hot columns the word is the name
    of the column that holds 1.
    """

    columns: tuple[str, ...] = ()
    words: Mapping[str, Diagnosis] = field(default_factory=dict)
    left_out: Mapping[str, str] = field(default_factory=dict)
    one_hot: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One set: its terms, and either tables or class folders.

    `namespace` is shared by sets whose ids mean the same picture, lesion or patient (the ISIC archive); `id_suffix` is
    an ending of picture ids that says nothing of which picture it is. `evidence` says what is taken from the
    publisher's documentation and what is uncertain.
    """

    name: str
    title: str
    licence: str
    citation: str
    reference: str
    evidence: str
    tables: tuple[Table, ...] = ()
    folders: tuple[ClassFolder, ...] = ()
    columns: Columns = Columns()
    labels: Labels = Labels()
    namespace: str = ""
    id_suffix: str = ""

    @property
    def id_scope(self) -> str:
        """Within what its ids are unique."""
        return self.namespace or self.name
