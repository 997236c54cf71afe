"""How grid and strip are laid out and wired alike: axes and export above, the table of cells, what is said below."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import gradio as gr

from pages.components.axis_controls import AxisControls
from pages.components.web import plain_html
from pages.generate_controls import RunButtons
from pages.page import FOLLOW_QUEUE, IN_WORDS
from pages.settling import follow_choice, when_settled
from pages.sweep_actions import SweepActions

_STREAM: dict[str, Any] = {**IN_WORDS, "trigger_mode": "multiple", "concurrency_id": FOLLOW_QUEUE}


def export_controls(mode: str) -> tuple[gr.Button, gr.File]:
    """The button, and the files it makes; these are hidden while there are none."""
    button = gr.Button("Export sheet and table", elem_classes="df-minor", min_width=150, scale=0,
                       elem_id=f"{mode}-export")  # fmt: skip
    files = gr.File(None, label="Sheet (PNG) and table (CSV)", file_count="multiple", interactive=False,
                    elem_classes="df-made", elem_id=f"{mode}-files", height=96)  # fmt: skip
    return button, files


def words_below(mode: str) -> gr.HTML:
    """Where what was found is said."""
    return plain_html("", elem_id=f"{mode}-said")


def wire_sweep(
    actions: SweepActions,
    axes: Sequence[AxisControls],
    buttons: RunButtons,
    shown: tuple[gr.HTML, gr.HTML],
    export: tuple[gr.Button, gr.File],
    around: tuple[gr.Blocks, gr.Dropdown],
) -> None:
    """Connect a mode. shown: its board and the words below; around: the app and the picker of the dataset."""
    app, dataset = around
    following = {"inputs": [buttons.last_job, dataset], "outputs": [*shown, buttons.stop], **_STREAM}
    submitted = when_settled(buttons.start).then(actions.submit, actions.inputs, buttons.last_job, **IN_WORDS)
    submitted.success(actions.follow, **following)
    app.load(actions.follow, **following)
    dataset.change(actions.follow, **following)  # other verdicts on the same images
    buttons.stop.click(actions.stop, buttons.last_job, None, **IN_WORDS)
    for place, axis in enumerate(axes):
        offer = partial(actions.offer_values, place=place)
        # select: input also comes when the field is only passed by keyboard
        follow_choice([axis.axis.select], offer, inputs=actions.inputs, outputs=axis.values, **IN_WORDS)
    button, files = export
    button.click(actions.export, buttons.last_job, files, **IN_WORDS)
