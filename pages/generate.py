"""The Generate tab: controls at the left; samples, a grid or a strip at the right. Layout and wiring only."""

from typing import TYPE_CHECKING, Any

import gradio as gr

from dermaflux.domain.records import SamplingRequest
from dermaflux.services.records import ModelChoice
from pages import grid_mode, strip_mode
from pages.components.board import LEGEND, sample_board
from pages.components.caption_text import note_on
from pages.components.dataset_picker import counts_html, dataset_picker, wire_picker
from pages.components.lesion_controls import FIRST_SPEC, lesion_controls
from pages.components.record_drop import record_drop
from pages.components.sampling_controls import sampling_controls
from pages.components.web import plain_html
from pages.generate_actions import GenerateActions
from pages.generate_controls import GenerateControls, RunButtons
from pages.page import FOLLOW_QUEUE, IN_WORDS, LATEST, QUICK
from pages.queue_panel import queue_panel
from pages.reuse import ReuseActions, wire_reuse
from pages.review import ReviewActions, wire_review
from pages.settling import follow_choice, when_settled

if TYPE_CHECKING:
    from dermaflux.services import Services

# What is kept in the browser is the id of the visitor's last job, itself unguessable: fixed keys, so that it
# outlives a restart of the app.
_STORAGE_KEY = "dermaflux-last-job"
_STORAGE_SECRET = "dermaflux-browser-state-1"  # hides nothing that grants anything
_EMPTY = (
    "Set the lesion at the left and press Generate. Samples appear here while they form, "
    "then with what was measured."
)
_STREAM: dict[str, Any] = {
    **IN_WORDS,
    "trigger_mode": "multiple",  # a second job may begin while the first is followed
    "concurrency_id": FOLLOW_QUEUE,
}
_MODES = (("Samples", "samples"), ("Grid", "grid"), ("Strip", "strip"))
# The style sheet shows the one part whose mode the layout names; nothing has to be asked of the server.
_SHOW_MODE = "(mode) => { document.querySelector('#generate-layout').dataset.mode = mode; }"


def build(services: "Services", app: gr.Blocks, tab: gr.Tab) -> tuple[ReuseActions, gr.Timer]:
    """Lay out the tab in the current Blocks context and wire it.

    Returns what fills its panel from another tab's board, and the timer of its queue panel.
    """
    with gr.Row(elem_classes="df-layout", elem_id="generate-layout"):
        with gr.Column(elem_classes="df-panel"):
            controls, first = _panel(services)
        with gr.Column(elem_classes="df-main", min_width=320):
            dataset, counts, undo = _bar(services)
            in_queue, timer = queue_panel(services, app, controls.samples.last_job)
            around = (app, dataset)
            base = SamplingRequest(
                caption=services.compose_caption(FIRST_SPEC), spec=FIRST_SPEC, num_steps=first.num_steps,
                guidance_scale=first.guidance_scale,
            )  # fmt: skip
            with gr.Column(elem_classes="df-mode df-mode-samples"):
                board = sample_board(
                    elem_id="board", empty=_EMPTY, reusable=True, calibration=services.calibration_note()
                )
            with gr.Column(elem_classes="df-mode df-mode-grid"):
                grid = grid_mode.build(services, controls, base, around)
            with gr.Column(elem_classes="df-mode df-mode-strip"):
                strip = strip_mode.build(services, controls, base, around)
    actions = GenerateActions(services, controls)
    _wire_caption(actions, controls)
    for trigger in (app.load, tab.select):  # an adapter may have been trained meanwhile
        trigger(actions.adapters_on_offer, None, controls.sampling.adapter, **IN_WORDS)
    _wire_generation(actions, controls, app, board, dataset, in_queue)
    review = ReviewActions(services)
    for shown in (board, grid, strip):
        wire_review(review, board=shown, dataset=dataset, counts=counts)
    undo.click(actions.undo, dataset, [board, grid, strip, counts], **IN_WORDS)
    wire_picker(services, dataset, app)
    gr.on([app.load, dataset.change], review.counts, dataset, counts, **LATEST)
    reuse = ReuseActions(services, controls)
    for shown in (board, grid, strip):
        wire_reuse(reuse, shown)
    controls.dropped.record_read(reuse.from_record, None, reuse.outputs, **IN_WORDS)
    return reuse, timer


def _bar(services: "Services") -> tuple[gr.Dropdown, gr.HTML, gr.Button]:
    """The mode, the dataset that verdicts go to, its counts and undo, and what the signs on the cards mean."""
    with gr.Row(elem_classes="df-bar df-bar-modes"):
        mode = gr.Radio(_MODES, value="samples", label="Show", elem_classes="df-segments df-filter", elem_id="mode",
                        min_width=220)  # fmt: skip
        dataset = dataset_picker(services.shared_datasets(), elem_id="generate-dataset")
        counts = plain_html(counts_html(None), elem_id="generate-counts")
        undo = gr.Button(
            "Undo last verdict", elem_classes="df-minor", elem_id="undo", min_width=120, scale=0
        )
    plain_html(LEGEND, elem_id="legend")
    mode.change(None, mode, None, js=_SHOW_MODE)
    return dataset, counts, undo


def _panel(services: "Services") -> tuple[GenerateControls, ModelChoice]:
    models = services.models()
    first = next((model for model in models if model.name == services.settings.model), models[0])
    caption = services.compose_caption(FIRST_SPEC)
    with gr.Column(elem_classes="df-scroll"):
        lesion = lesion_controls()
        with gr.Column(elem_classes="df-group"):
            text = gr.Textbox(caption, label="Caption", lines=4, max_lines=8, elem_id="caption",
                              info="Composed from the controls; edit it freely")  # fmt: skip
            note = plain_html(note_on(caption, FIRST_SPEC).html, elem_id="caption-note")
            compose, reword, to_sliders = _caption_buttons()
        adapters = [adapter.name for adapter in services.adapters()]
        sampling = sampling_controls(models, adapters, first=first)
        dropped = record_drop(elem_id="record-drop")
    with gr.Row(elem_classes="df-actions"):
        samples = _run_buttons("samples", ("Generate", "generate"), ("Stop", "stop"))
        grid = _run_buttons("grid", ("Draw grid", "draw-grid"), ("Stop", "stop-grid"))
        strip = _run_buttons("strip", ("Draw strip", "draw-strip"), ("Stop", "stop-strip"))
    controls = GenerateControls(
        lesion=lesion,
        sampling=sampling,
        caption=text,
        note=note,
        composed=gr.State(caption),
        variation=gr.State(None),
        compose=compose,
        reword=reword,
        to_sliders=to_sliders,
        dropped=dropped,
        samples=samples,
        grid=grid,
        strip=strip,
    )
    return controls, first


def _caption_buttons() -> list[gr.Button]:
    named = (("Compose anew", "compose", 100), ("Reword", "reword", 70), ("Set sliders from text", "to-sliders", 140))
    with gr.Row():
        return [gr.Button(text, elem_classes="df-minor", min_width=width, elem_id=id_) for text, id_, width in named]


def _run_buttons(mode: str, start: tuple[str, str], stop: tuple[str, str]) -> RunButtons:
    """A pair of buttons, each as (text, id), and the remembered job of a mode."""
    shown_in = f"df-run df-run-{mode}"
    key = _STORAGE_KEY if mode == "samples" else f"{_STORAGE_KEY}-{mode}"
    return RunButtons(
        start=gr.Button(start[0], variant="primary", scale=2, min_width=120, elem_id=start[1], elem_classes=shown_in),
        stop=gr.Button(stop[0], interactive=False, scale=1, min_width=80, elem_id=stop[1], elem_classes=shown_in),
        last_job=gr.BrowserState(None, storage_key=key, secret=_STORAGE_SECRET),
    )


def _wire_caption(actions: GenerateActions, controls: GenerateControls) -> None:
    lesion, sampling = controls.lesion, controls.sampling
    spoken = [controls.caption, controls.composed]
    state = {*lesion.inputs, controls.caption, controls.composed, controls.variation}
    moved = [component.change for component in lesion.inputs]
    follow_choice(
        moved,
        actions.follow_controls,
        inputs=state,
        outputs=[*spoken, *lesion.readouts],
        trigger_mode="always_last",
        **QUICK,
    )
    # The note has this one writer, and what happened last writes last. Caption: change, since input misses a paste.
    gr.on(
        [controls.caption.change, *moved],
        actions.note_caption,
        inputs=state,
        outputs=controls.note,
        trigger_mode="always_last",
        **QUICK,
    )
    for button, handler, inputs, outputs in (
        (controls.compose, actions.compose_anew, state, spoken),
        (controls.reword, actions.reword, state, [*spoken, controls.variation]),
        (controls.to_sliders, actions.set_controls, controls.caption, [*lesion.inputs, controls.composed]),
    ):
        follow_choice([button.click], handler, inputs=inputs, outputs=outputs, **IN_WORDS)
    # Input, not change: settings that are loaded from an image bring their own steps and guidance along.
    chosen = [sampling.model, sampling.adapter]
    follow_choice([c.input for c in chosen], actions.use_defaults, inputs=chosen, outputs=sampling.of_model, **LATEST)


def _wire_generation(
    actions: GenerateActions,
    controls: GenerateControls,
    app: gr.Blocks,
    board: gr.HTML,
    dataset: gr.Dropdown,
    in_queue: Any,
) -> None:
    run = controls.samples
    following = {"inputs": [run.last_job, dataset], "outputs": [board, run.stop], **_STREAM}
    submitted = when_settled(run.start).then(
        actions.submit,
        {*controls.request_inputs},
        [run.last_job, controls.sampling.seed],
        **IN_WORDS,
    )
    submitted.success(actions.follow, **following)
    in_queue.success(actions.follow, **following)  # a job chosen in the queue
    app.load(actions.follow, **following)
    dataset.change(actions.follow, **following)  # other verdicts on the same images
    run.stop.click(actions.stop, run.last_job, None, **IN_WORDS)
    board.skipped(actions.skip, None, None, **IN_WORDS, trigger_mode="multiple")
