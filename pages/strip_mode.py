"""Strip mode of the Generate tab: one slider moved over its range at one seed, and what that does to the figures."""

from typing import TYPE_CHECKING

import gradio as gr

from dermaflux.domain.lesion import ASYMMETRY_RANGE, BORDER_RANGE, Colour
from dermaflux.domain.records import SamplingRequest
from dermaflux.domain.sweep import ATTRIBUTE_AXES, Axis
from dermaflux.services.records import assessment_of
from pages.components.axis_controls import axis_controls
from pages.components.board import sample_board
from pages.components.strip_curve import Curve, strip_curves
from pages.components.sweep_view import SweepView
from pages.generate_controls import GenerateControls
from pages.sweep_actions import SweepActions
from pages.sweep_mode import export_controls, wire_sweep, words_below

if TYPE_CHECKING:
    from dermaflux.services import Services

_EMPTY = (
    "Choose a slider, then press Draw strip: one lesion with that slider moved, all else and the seed held, and under "
    "it how P(malignant) and the measured attribute follow."
)
_HIGHEST = {Axis.ASYMMETRY: ASYMMETRY_RANGE[1], Axis.BORDER: BORDER_RANGE[1], Axis.NUM_COLOURS: float(len(Colour))}


class StripActions(SweepActions):
    """A sweep along one slider, with its curves."""

    def said(self, view: SweepView) -> str:
        """P(malignant) and the measured attribute along the strip, as curves and in words; nothing before an image."""
        if not view.found:
            return ""
        columns = view.sweep.columns
        asked = [float(value) for value in columns.values if isinstance(value, (int, float))]
        found = [assessment_of(view.found[i]) if i in view.found else None for i in range(len(asked))]
        malignant = [f.prediction.malignant if f else None for f in found]
        measured = [getattr(f.measurement, columns.axis) if f else None for f in found]
        limit = next((f.prediction.threshold for f in found if f and f.prediction.threshold is not None), None)
        probability = Curve(
            name="P(malignant)", found=malignant, highest=1.0, limit=limit,
            rho=self._services.monotonicity(asked, malignant),
        )  # fmt: skip
        attribute = Curve(
            name=f"Measured {columns.axis.label}", found=measured, highest=_HIGHEST[columns.axis], asked=asked,
            rho=self._services.monotonicity(asked, measured),
        )  # fmt: skip
        headings = [columns.heading(place) for place in range(len(asked))]
        return strip_curves(columns.axis.label, headings, probability, attribute)


def build(
    services: "Services", controls: GenerateControls, base: SamplingRequest, around: tuple[gr.Blocks, gr.Dropdown]
) -> gr.HTML:
    """Lay it out in the current Blocks context and wire it; the board."""
    with gr.Row(elem_classes="df-axes"):
        moved = axis_controls("Move", ATTRIBUTE_AXES, Axis.ASYMMETRY, base)
        export = export_controls("strip")
    board = sample_board(elem_id="strip-board", empty=_EMPTY, reusable=True, calibration=services.calibration_note())
    said = words_below("strip")
    actions = StripActions(services, controls, [moved])
    wire_sweep(actions, [moved], controls.strip, (board, said), export, around)
    return board
