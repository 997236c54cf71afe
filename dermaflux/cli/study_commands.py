"""The verbs on reader studies as frozen records, read by tyro. Text beside a field is its help. It does nothing."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, subcommand


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyResults:
    """What a reader study came to. Shows what readers must not know before they have finished."""

    name: Positional[str]
    """The study's name."""
    json: bool = False
    """JSON instead of tables."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyExport:
    """Write the raw answers of a reader study, its key and its results as a zip. It names the readers."""

    name: Positional[str]
    """The study's name."""
    out: Path
    """The zip to write; one that is there is replaced."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyRemove:
    """Remove a reader study with its answers and its copies of pictures. It cannot be undone."""

    name: Positional[str]
    """The study's name."""
    yes: bool = False
    """Do not ask."""


Study = (
    Annotated[StudyResults, subcommand("results")]
    | Annotated[StudyExport, subcommand("export")]
    | Annotated[StudyRemove, subcommand("remove")]
)
