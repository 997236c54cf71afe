"""What the grid of curation shows beside images: own verdicts, outcomes, choices, saved filters, counts of cells.

Frozen data; no table and no session is known here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dermaflux.curation.records import Decision, VerdictCounts
from dermaflux.domain.errors import DermaFluxError
from dermaflux.domain.records import Verdict

MAX_FILTER_NAME_CHARS = 64
MAX_SAVED_FILTERS = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnVerdict:
    """What one reviewer's standing decision says of an image."""

    verdict: Verdict
    realism: int | None
    tags: tuple[str, ...]
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcomes:
    """What became of decisions sent together: those stored, and by image id why others were not."""

    stored: tuple[Decision, ...]
    refused: Mapping[str, DermaFluxError]


@dataclass(frozen=True, slots=True, kw_only=True)
class GridChoices:
    """What there is to filter by: models, reviewers whose verdicts may be seen, and tags, the commonest first."""

    models: tuple[str, ...]
    reviewers: tuple[str, ...]
    tags: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedFilter:
    """A user's own filter under a name."""

    name: str
    words: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class CellCount:
    """How many images of a set share these facts (levels as measured, skin tone as requested), by standing.

    verdict None: nobody has judged them.
    """

    diagnosis: str | None
    level: float | None
    skin_tone: str | None
    verdict: Verdict | None
    number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BoardCounts:
    """How many images stand on each virtual board of a dataset. `diagnoses`: by the one requested, those that occur.

    reviewers_disagree None: that was not asked for.
    """

    verdicts: VerdictCounts
    diagnoses: Mapping[str, int]
    classifier_disagrees: int
    reviewers_disagree: int | None
