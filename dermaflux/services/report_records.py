"""What services say of evaluations and their reports. Frozen records of plain values."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Report = Mapping[str, Any]
COVERAGE, MEMORISATION = "coverage", "memorisation"
KINDS: Mapping[str, str] = {
    "classifier": "Classifier on real pictures",
    "adherence": "Adherence of the generator",
    "quality": "Quality of a dataset",
    MEMORISATION: "Memorisation and leaks in a dataset",
    "diversity": "Diversity of a dataset",
    "artefacts": "Artefacts in a dataset",
    COVERAGE: "Coverage of a dataset",
}
"""The evaluations of `python -m dermaflux evaluate`, in words."""
OF_DATASET = ("quality", "memorisation", "diversity", "artefacts", "coverage")
OF_REAL = ("classifier", "quality", "memorisation", "diversity", "artefacts")


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationRequest:
    """One evaluation. dataset: its accepted images; real: a set of real pictures (optional for coverage).

    num_images: a request of the sweep (adherence); max_images: at most so many pictures of each set, None: as the
    command's own default. split: of the real pictures that copies are looked for among (memorisation); with_sheet: also
    keep its closest pairs as a picture in the data folder.
    """

    kind: str
    dataset: str | None = None
    real: str | None = None
    num_images: int = 2
    max_images: int | None = None
    split: str = "train"
    with_sheet: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationRun:
    """An evaluation that was started here: how it stands, how far it says it is, and the report it made.

    share: how much of what it is doing now is done, 0..1, None while it does not say.
    """

    run_id: str
    kind: str
    title: str
    owner: str
    state: str
    since: str
    progress: str
    why: str
    report_id: str | None
    share: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportChoice:
    """A report that can be looked at."""

    report_id: str
    kind: str
    title: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyChoice:
    """An augmentation study that can be looked at: how many trainings it has finished.

    differences: each arm's paired differences to its baseline, as training.study_report wrote them; empty before.
    """

    name: str
    num_cells: int
    lines: Sequence[Mapping[str, Any]]
    differences: Sequence[Mapping[str, Any]] = ()
