"""The controls of one axis of a sweep: what moves, and where it stops. They know no request and no job."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from dermaflux.domain.records import SamplingRequest
from dermaflux.domain.sweep import Axis, AxisValues, default_values, listed, parse_values


@dataclass(frozen=True, slots=True, kw_only=True)
class AxisControls:
    """A choice of axis and its values as a list with commas."""

    axis: gr.Dropdown
    values: gr.Textbox

    @property
    def inputs(self) -> list[Any]:
        """Both components."""
        return [self.axis, self.values]

    def read(self, values: Mapping[Any, Any]) -> AxisValues:
        """What they state. Raises InvalidRequest."""
        return parse_values(Axis(values[self.axis]), values[self.values])


def axis_controls(name: str, axes: Sequence[Axis], first: Axis, base: SamplingRequest) -> AxisControls:
    """Build them in the current Blocks context, at the default values of the first axis. name: such as Rows."""
    key = name.lower().replace(" ", "-")
    choices = [(axis.label.capitalize(), str(axis)) for axis in axes]
    return AxisControls(
        axis=gr.Dropdown(choices, value=str(first), label=name, min_width=120, scale=2, elem_id=f"{key}-axis"),
        values=gr.Textbox(
            listed(default_values(first, base)),
            label="Values",
            placeholder="with commas between",
            min_width=120,
            max_lines=1,
            scale=3,
            elem_id=f"{key}-values",
        ),
    )
