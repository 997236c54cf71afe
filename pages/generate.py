"""The Generate tab: controls at the left, the board of samples at the right. Layout and wiring only."""

from typing import TYPE_CHECKING, Any

import gradio as gr

from pages.components.board import LEGEND, sample_board
from pages.components.caption_text import note_on
from pages.components.dataset_picker import counts_html, dataset_picker
from pages.components.lesion_controls import FIRST_SPEC, lesion_controls
from pages.components.sampling_controls import sampling_controls
from pages.components.web import plain_html
from pages.generate_actions import GenerateActions, GenerateControls
from pages.page import FOLLOW_QUEUE, IN_WORDS, QUICK
from pages.review import ReviewActions, wire_review

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


def build(services: "Services", app: gr.Blocks, tab: gr.Tab) -> None:
    """Lay out the tab in the current Blocks context and wire it."""
    with gr.Row(elem_classes="df-layout"):
        with gr.Column(elem_classes="df-panel"):
            controls = _panel(services)
        with gr.Column(elem_classes="df-main", min_width=320):
            with gr.Row(elem_classes="df-bar"):
                dataset = dataset_picker(services.datasets(), elem_id="generate-dataset")
                counts = plain_html(counts_html(None), elem_id="generate-counts")
                undo = gr.Button(
                    "Undo last verdict",
                    elem_classes="df-minor",
                    elem_id="undo",
                    min_width=140,
                    scale=0,
                )
            plain_html(LEGEND)
            board = sample_board(elem_id="board", empty=_EMPTY)
    actions = GenerateActions(services, controls)
    _wire_caption(actions, controls)
    for trigger in (app.load, tab.select):  # an adapter may have been trained meanwhile
        trigger(actions.adapters_on_offer, None, controls.sampling.adapter, **IN_WORDS)
    _wire_generation(actions, controls, app, board, dataset)
    wire_review(
        ReviewActions(services), board=board, dataset=dataset, counts=counts, undo=undo, app=app
    )


def _panel(services: "Services") -> GenerateControls:
    models = services.models()
    first = next((model for model in models if model.name == services.settings.model), models[0])
    caption = services.compose_caption(FIRST_SPEC)
    with gr.Column(elem_classes="df-scroll"):
        lesion = lesion_controls()
        with gr.Column(elem_classes="df-group"):
            text = gr.Textbox(caption, label="Caption", lines=4, max_lines=8, elem_id="caption",
                              info="Composed from the controls; edit it freely")  # fmt: skip
            note = plain_html(note_on(caption, FIRST_SPEC).html, elem_id="caption-note")
            with gr.Row():
                compose = gr.Button(
                    "Compose anew", elem_classes="df-minor", min_width=100, elem_id="compose"
                )
                reword = gr.Button(
                    "Reword", elem_classes="df-minor", min_width=70, elem_id="reword"
                )
                to_sliders = gr.Button(
                    "Set sliders from text",
                    elem_classes="df-minor",
                    min_width=140,
                    elem_id="to-sliders",
                )
        sampling = sampling_controls(
            models, [adapter.name for adapter in services.adapters()], first=first
        )
    with gr.Row(elem_classes="df-actions"):
        generate = gr.Button(
            "Generate", variant="primary", scale=2, min_width=120, elem_id="generate"
        )
        stop = gr.Button("Stop", interactive=False, scale=1, min_width=80, elem_id="stop")
    return GenerateControls(
        lesion=lesion,
        sampling=sampling,
        caption=text,
        note=note,
        composed=gr.State(caption),
        variation=gr.State(None),
        compose=compose,
        reword=reword,
        to_sliders=to_sliders,
        generate=generate,
        stop=stop,
        last_job=gr.BrowserState(None, storage_key=_STORAGE_KEY, secret=_STORAGE_SECRET),
    )


def _wire_caption(actions: GenerateActions, controls: GenerateControls) -> None:
    lesion, sampling = controls.lesion, controls.sampling
    spoken = [controls.caption, controls.composed]
    state = {*lesion.inputs, controls.caption, controls.composed, controls.variation}
    moved = [component.change for component in lesion.inputs]
    gr.on(
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
    controls.compose.click(actions.compose_anew, state, spoken, **IN_WORDS)
    controls.reword.click(actions.reword, state, [*spoken, controls.variation], **IN_WORDS)
    controls.to_sliders.click(
        actions.set_controls, controls.caption, [*lesion.inputs, controls.composed], **IN_WORDS
    )
    chosen = [sampling.model, sampling.adapter]
    gr.on([c.change for c in chosen], actions.use_defaults, chosen, sampling.of_model, **IN_WORDS)


def _wire_generation(
    actions: GenerateActions,
    controls: GenerateControls,
    app: gr.Blocks,
    board: gr.HTML,
    dataset: gr.Dropdown,
) -> None:
    following = {
        "inputs": [controls.last_job, dataset],
        "outputs": [board, controls.stop],
        **_STREAM,
    }
    submitted = controls.generate.click(
        actions.submit,
        {*controls.request_inputs},
        [controls.last_job, controls.sampling.seed],
        **IN_WORDS,
    )
    submitted.success(actions.follow, **following)
    app.load(actions.follow, **following)
    dataset.change(actions.follow, **following)  # other verdicts on the same images
    controls.stop.click(actions.stop, controls.last_job, None, **IN_WORDS)
