"""What services say of training runs, and what they are asked. Frozen records of plain values; they do nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

LORA, CLASSIFIER = "lora", "classifier"
KINDS = (LORA, CLASSIFIER)
HAM10000 = "HAM10000"
Line = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingPreset:
    """A preset of a trainer: its name, what it costs in words, and every value by its dotted name.

    gpu_gb: the GPU it is made for; None where it is made for none.
    """

    name: str
    text: str
    values: Mapping[str, Any]
    gpu_gb: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingProgram:
    """A trainer: the module that runs it, its presets, and what each field means, by its dotted name."""

    kind: str
    module: str
    presets: Mapping[str, TrainingPreset]
    helps: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingRequest:
    """One run as it is asked for.

    real: HAM10000 or the name of a set of real pictures. synthetic: a dataset whose accepted images join them
    (classifiers only), `ratio` of them for each real picture, all when None. force: start although it does not fit.
    """

    kind: str
    preset: str
    name: str
    fields: Mapping[str, Any] = field(default_factory=dict)
    real: str = HAM10000
    synthetic: str | None = None
    ratio: float | None = None
    force: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingCost:
    """What a run will take. Memory in GB by part, and what the machine has of that kind (0: no such device).

    place: memory or GPU memory; of a run on a GPU host_gb is what it takes of the machine's memory beside it, at most.
    seconds: None while nothing like it was run here; basis: where the time comes from.
    """

    place: str
    parts: Mapping[str, float]
    have_gb: float
    seconds: float | None
    basis: str
    host_gb: float = 0.0
    host_have_gb: float = 0.0

    @property
    def need_gb(self) -> float:
        """All parts together."""
        return sum(self.parts.values())

    @property
    def fits(self) -> bool:
        """Whether the machine has as much."""
        return self.need_gb <= self.have_gb and self.host_gb <= self.host_have_gb


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingRun:
    """One run: `run_id` is KIND/NAME. `step` of `num_steps` (None: not known); product: what it finished, if it did.

    note: what the run itself says a person should know (its samples may be copies), else empty.

    product: the name of the adapter in Generate, or the folder name of the classifier. owner is empty for a run that
    was started on the command line.
    """

    run_id: str
    kind: str
    name: str
    owner: str
    state: str
    since: str
    seconds: float | None
    why: str
    note: str
    step: int
    num_steps: int | None
    product: str | None
    settings: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunReport:
    """All there is to see of a run: its history, the newest probes, and the end of its log."""

    run: TrainingRun
    history: Sequence[Line]
    probes: Sequence[Line]
    probes_step: int | None
    log: str
