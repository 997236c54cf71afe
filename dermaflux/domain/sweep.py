"""One request drawn again with one or two of its fields moved: a grid has two axes, a strip one. All else is held.

It says which requests a sweep consists of; it knows no sampler, no store and no wording beyond the plain caption.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from dermaflux.domain.caption import ASYMMETRY_WORDS, BORDER_WORDS, compose
from dermaflux.domain.errors import InvalidRequest
from dermaflux.domain.lesion import (
    DIAGNOSIS_NAMES,
    HAM_DIAGNOSES,
    Colour,
    Diagnosis,
    LesionSpec,
    choice,
    typical_colours,
)
from dermaflux.domain.records import MAX_GUIDANCE_SCALE, MAX_SEED, MAX_STEPS, SamplingRequest

MAX_CELLS = 64
LEVELS: Mapping[str, tuple[float, ...]] = MappingProxyType({
    "asymmetry": tuple(ASYMMETRY_WORDS),
    "border": tuple(BORDER_WORDS),
    "num_colours": tuple(range(1, len(Colour) + 1)),
})  # fmt: skip
_DEFAULT_SEEDS = 4


class Axis(StrEnum):
    """The field of a request that moves along an axis."""

    ASYMMETRY = "asymmetry"
    BORDER = "border"
    NUM_COLOURS = "num_colours"
    DIAGNOSIS = "diagnosis"
    SEED = "seed"
    ADAPTER_WEIGHT = "adapter_weight"
    NUM_STEPS = "num_steps"
    GUIDANCE_SCALE = "guidance_scale"

    @property
    def is_of_lesion(self) -> bool:
        """Whether it changes the lesion that is asked for, and so the caption."""
        return self in (*ATTRIBUTE_AXES, Axis.DIAGNOSIS)

    @property
    def label(self) -> str:
        """The name a person reads."""
        return _LABELS[self]


ATTRIBUTE_AXES = (Axis.ASYMMETRY, Axis.BORDER, Axis.NUM_COLOURS)
_LABELS = {axis: axis.replace("_", " ") for axis in Axis} | {
    Axis.NUM_COLOURS: "number of colours",
    Axis.NUM_STEPS: "steps",
    Axis.GUIDANCE_SCALE: "guidance",
}
_WHOLE = (Axis.NUM_COLOURS, Axis.SEED, Axis.NUM_STEPS)
Value = float | int | Diagnosis


@dataclass(frozen=True, slots=True, kw_only=True)
class AxisValues:
    """One axis and where it stops, in order. Raises InvalidRequest for none, a repeated one, or one of another kind."""

    axis: Axis
    values: tuple[Value, ...]

    def __post_init__(self) -> None:
        """Coerce JSON values to the axis' kind and check them."""
        axis = choice("axis", self.axis, Axis)
        values = tuple(_value(axis, value) for value in self.values)
        if not values:
            raise InvalidRequest(f"The axis {axis.label} has no values. Give at least one.")
        if repeated := [value for place, value in enumerate(values) if value in values[:place]]:
            raise InvalidRequest(f"The axis {axis.label} names {repeated[0]} twice. Give each value once.")
        object.__setattr__(self, "axis", axis)
        object.__setattr__(self, "values", values)

    def heading(self, place: int) -> str:
        """What stands over the cells of one value."""
        value = self.values[place]
        return value.label if isinstance(value, Diagnosis) else f"{value:g}" if value < 1e5 else str(value)

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready dict."""
        return {"axis": str(self.axis), "values": [str(v) if isinstance(v, Diagnosis) else v for v in self.values]}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "AxisValues":
        """The axis that `to_dict` wrote."""
        return cls(axis=values["axis"], values=tuple(values["values"]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweep:
    """A base request moved along `columns`, and in a grid along `rows` too.

    Raises InvalidRequest when both are the same, there are more than MAX_CELLS cells, a lesion's axis has no lesion to
    move (free text), an adapter's weight no adapter, or a cell is no valid request. Each cell is one image, first draw.
    """

    base: SamplingRequest
    columns: AxisValues
    rows: AxisValues | None = None

    def __post_init__(self) -> None:
        """Check the axes against each other and the base, then every cell."""
        if self.rows and self.rows.axis is self.columns.axis:
            raise InvalidRequest(f"Both axes are {self.columns.axis.label}. Choose two different ones.")
        if self.num_cells > MAX_CELLS:
            raise InvalidRequest(f"That makes {self.num_cells} images; {MAX_CELLS} at most. Leave values out.")
        for axis in self.axes:
            if axis.is_of_lesion and self.base.spec is None:
                raise InvalidRequest(f"Free text has no {axis.label} to move. Compose the caption from the sliders.")
            if axis is Axis.ADAPTER_WEIGHT and not self.base.adapter:
                raise InvalidRequest("No adapter is chosen, so there is no weight to move. Choose one.")
        self.cells()

    @property
    def axes(self) -> tuple[Axis, ...]:
        """What moves: the rows' axis first."""
        return (self.rows.axis, self.columns.axis) if self.rows else (self.columns.axis,)

    @property
    def num_cells(self) -> int:
        """How many images it asks for."""
        return len(self.columns.values) * (len(self.rows.values) if self.rows else 1)

    def cells(self) -> tuple[SamplingRequest, ...]:
        """One request a cell, row by row."""
        base = replace(self.base, num_images=1, candidates=1)
        rows: tuple[Value | None, ...] = self.rows.values if self.rows else (None,)
        return tuple(self._cell(base, row, column) for row in rows for column in self.columns.values)

    def title(self, place: int) -> str:
        """A cell in words, by its place in `cells`: "border 2 · asymmetry 1.5"."""
        row, column = divmod(place, len(self.columns.values))
        axes = [(self.rows, row)] if self.rows else []
        return " · ".join(f"{a.axis.label} {a.heading(at)}" for a, at in [*axes, (self.columns, column)])

    def _cell(self, base: SamplingRequest, row: Value | None, column: Value) -> SamplingRequest:
        moves: dict[Axis, Value] = {self.columns.axis: column}
        if self.rows and row is not None:
            moves[self.rows.axis] = row
        # The diagnosis first: which colours are typical depends on it.
        for axis in sorted(moves, key=lambda axis: axis is not Axis.DIAGNOSIS):
            base = _moved(base, axis, moves[axis])
        return base

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready dict that `from_dict` reads back to an equal sweep."""
        rows = self.rows.to_dict() if self.rows else None
        return {"base": self.base.to_dict(), "columns": self.columns.to_dict(), "rows": rows}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Sweep":
        """The sweep that `to_dict` wrote."""
        return cls(
            base=SamplingRequest.from_dict(values["base"]),
            columns=AxisValues.from_dict(values["columns"]),
            rows=AxisValues.from_dict(values["rows"]) if values["rows"] else None,
        )


def moved_spec(base: LesionSpec, attribute: str, level: float) -> LesionSpec:
    """The spec with asymmetry, border or num_colours at another level, the rest held. Raises as LesionSpec does."""
    if attribute == Axis.NUM_COLOURS:
        return replace(base, colours=typical_colours(int(level), base.diagnosis))
    return replace(base, **{attribute: level})


def parse_values(axis: Axis, text: str) -> AxisValues:
    """The values of an axis as a person lists them, with commas between. Raises InvalidRequest."""
    parts = [part.strip() for part in text.replace(";", ",").split(",")]
    return AxisValues(axis=axis, values=tuple(part for part in parts if part))  # type: ignore[arg-type] - coerced there


def listed(values: AxisValues) -> str:
    """The values as a person lists them; `parse_values` reads it back."""
    return ", ".join(str(v) if isinstance(v, Diagnosis) else f"{v:.10g}" for v in values.values)


def default_values(axis: Axis, base: SamplingRequest) -> AxisValues:
    """Where an axis stops when nobody says so: all levels of a slider, all diagnoses, else values around the base's."""
    return AxisValues(axis=axis, values=_DEFAULTS[axis](base))


def _seeds_from(base: SamplingRequest) -> tuple[Value, ...]:
    first = min(base.seed, MAX_SEED - _DEFAULT_SEEDS + 1)
    return tuple(range(first, first + _DEFAULT_SEEDS))


def _steps_around(base: SamplingRequest) -> tuple[Value, ...]:
    steps = base.num_steps or 20
    return tuple(sorted({max(1, steps // 4), max(1, steps // 2), steps, min(MAX_STEPS, steps * 2)}))


def _guidance_around(base: SamplingRequest) -> tuple[Value, ...]:
    scale = base.guidance_scale or 1.0
    return tuple(sorted({1.0, scale, round(min(MAX_GUIDANCE_SCALE, scale + 1), 2), round(min(20.0, scale * 2), 2)}))


def _constant(*values: Value) -> Callable[[SamplingRequest], tuple[Value, ...]]:
    return lambda _: values


_DEFAULTS: Mapping[Axis, Callable[[SamplingRequest], tuple[Value, ...]]] = {
    **{axis: _constant(*LEVELS[axis]) for axis in ATTRIBUTE_AXES},
    Axis.DIAGNOSIS: _constant(*HAM_DIAGNOSES),
    Axis.SEED: _seeds_from,
    Axis.ADAPTER_WEIGHT: _constant(0.0, 0.5, 1.0, 1.5),
    Axis.NUM_STEPS: _steps_around,
    Axis.GUIDANCE_SCALE: _guidance_around,
}


def _moved(request: SamplingRequest, axis: Axis, value: Value) -> SamplingRequest:
    if not axis.is_of_lesion:
        return replace(request, **{str(axis): value})
    assert request.spec is not None, "a sweep checks that there is a lesion to move"
    if isinstance(value, Diagnosis):
        spec = replace(request.spec, diagnosis=value)
    else:
        spec = moved_spec(request.spec, axis, value)
    return replace(request, spec=spec, caption=compose(spec))


def _value(axis: Axis, value: object) -> Value:
    if axis is Axis.DIAGNOSIS:
        return _diagnosis(str(value).strip().lower())
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        raise InvalidRequest(f"{value!r} on the axis {axis.label} is no number. List numbers with commas.") from None
    if axis not in _WHOLE:
        return number
    if not number.is_integer():
        raise InvalidRequest(f"{value!r} on the axis {axis.label} is no whole number. Give whole numbers.")
    return int(number)


def _diagnosis(word: str) -> Diagnosis:
    by_label = {label: diagnosis for diagnosis, label in DIAGNOSIS_NAMES.items()}
    return by_label.get(word) or choice("diagnosis", word, Diagnosis)
