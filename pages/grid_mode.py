"""Grid mode of the Generate tab: any two fields of the request against each other, a cell an image."""

from typing import TYPE_CHECKING

import gradio as gr

from dermaflux.domain.records import SamplingRequest
from dermaflux.domain.sweep import MAX_CELLS, Axis
from pages.components.axis_controls import axis_controls
from pages.components.board import sample_board
from pages.components.web import plain_html
from pages.generate_controls import GenerateControls
from pages.sweep_actions import SweepActions
from pages.sweep_mode import export_controls, wire_sweep, words_below

if TYPE_CHECKING:
    from dermaflux.services import Services

_EMPTY = (
    f"Choose what moves along rows and columns, then press Draw grid. Up to {MAX_CELLS} images, all else and the seed "
    "as in the panel. Cells that were drawn before are found again."
)


def build(
    services: "Services", controls: GenerateControls, base: SamplingRequest, around: tuple[gr.Blocks, gr.Dropdown]
) -> gr.HTML:
    """Lay it out in the current Blocks context and wire it; the board."""
    with gr.Row(elem_classes="df-axes"):
        rows = axis_controls("Rows", list(Axis), Axis.ASYMMETRY, base)
        columns = axis_controls("Columns", list(Axis), Axis.SEED, base)
        export = export_controls("grid")
    board = sample_board(elem_id="grid-board", empty=_EMPTY, reusable=True, calibration=services.calibration_note())
    said = words_below("grid")
    axes = (columns, rows)
    actions = SweepActions(services, controls, axes)
    wire_sweep(actions, axes, controls.grid, (board, said), export, around)
    plain_html(
        '<p class="df-hint">A, B, C: asymmetry, border and number of colours as measured, in bold what moves. '
        "P: P(malignant), filled where it is at or over the operating point. Click a cell for all of it; arrows move, "
        "A, R, U judge, S shows saliency.</p>"
    )
    return board
