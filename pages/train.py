"""The Train tab: the wizard at the left, the runs at the right. Layout and wiring only."""

from typing import TYPE_CHECKING, Any

import gradio as gr

from dermaflux.services.training_records import KINDS
from pages.components.figure_view import FigureView, figure_view, wire_downloads
from pages.components.web import plain_html, read_web
from pages.page import IN_WORDS, QUICK
from pages.train_actions import MAX_COMPARED, TrainActions
from pages.train_form import TrainForm, train_form

if TYPE_CHECKING:
    from dermaflux.services import Services

_EVERY_SECONDS = 3
_ON_ZERO_GPU = (
    '<p class="df-preset-text">This Space lends its GPU for seconds only, so nothing can be trained here. The '
    "recipe is the same run as a script, for a machine of your own.</p>"
)


def build(services: "Services", app: gr.Blocks, tab: gr.Tab) -> gr.Timer:
    """Lay out the tab in the current Blocks context and wire it; the timer that keeps it fresh."""
    chosen, seen = gr.State(None), gr.State(None)
    with gr.Row(elem_classes="df-layout"):
        with gr.Column(elem_classes="df-panel"):
            cost = plain_html("", elem_id="train-cost", render=False)
            with gr.Column(elem_classes="df-scroll"):
                form = train_form(services, cost)
                recipe_file = gr.File(label="Run recipe", interactive=False, elem_id="train-recipe")
            cost.render()  # beside Start, so that it is seen whatever was scrolled to
            with gr.Row(elem_classes="df-actions"):
                may = services.may_train
                start = gr.Button("Start", variant="primary", visible=may, min_width=110, elem_id="train-start")
                recipe = gr.Button("Write run recipe", variant="secondary" if may else "primary", min_width=120,
                                   elem_id="train-write-recipe")  # fmt: skip
            if not may:
                plain_html(_ON_ZERO_GPU)
        with gr.Column(elem_classes="df-main", min_width=320):
            runs = gr.HTML(
                value={"runs": [], "chosen": None, "empty": ""}, html_template=read_web("runs.html"),
                js_on_load=read_web("runs.js"), apply_default_css=False, elem_id="train-runs",
            )  # fmt: skip
            view = _run_view()
    actions = TrainActions(services, form)
    _wire_form(actions, form, tab)
    update = [actions.refresh, [chosen, seen], [seen, chosen, runs, view["compared"], *view["outputs"]]]
    quiet: dict[str, Any] = {**IN_WORDS, "trigger_mode": "once"}
    timer = gr.Timer(_EVERY_SECONDS, active=False)  # until the tab is in front
    timer.tick(*update, **quiet)
    for trigger in (app.load, tab.select, chosen.change):
        trigger(*update, **IN_WORDS)
    start.click(actions.start, form.inputs, chosen, **IN_WORDS)
    recipe.click(actions.recipe, form.inputs, recipe_file, **IN_WORDS)
    runs.chosen(actions.choose, None, chosen, **IN_WORDS)
    for name in ("stop", "resume", "delete", "judge"):
        view[name].click(getattr(actions, name), chosen, None, **IN_WORDS).then(*update, **IN_WORDS)
    together: FigureView = view["together"]
    view["compared"].change(actions.compare, view["compared"], [*together.outputs, view["table"]], **IN_WORDS)
    wire_downloads(services, view["curves"], actions.drawn, [chosen])
    wire_downloads(services, view["distances"], actions.drawn_distances, [chosen])
    wire_downloads(services, together, actions.drawn_together, [view["compared"]])
    return timer


def _run_view() -> dict[str, Any]:
    """The components of the chosen run and of the comparison; `outputs` in the order `refresh` fills them."""
    with gr.Row(elem_classes="df-training-row"):
        head = plain_html("", elem_id="train-head")
        small: dict[str, Any] = {"elem_classes": "df-minor", "scale": 0, "min_width": 80, "interactive": False}
        stop = gr.Button("Stop", elem_id="train-stop", **small)
        resume = gr.Button("Resume", elem_id="train-resume", **small)
        delete = gr.Button("Delete", elem_id="train-delete", **small)
        judge = gr.Button("Judge with it", elem_id="train-judge", visible=False, **small)
    with gr.Tabs(elem_id="train-tabs"):
        with gr.Tab("Curves", id="curves"):
            curves = figure_view("train-curves", "Loss and validation figures by step")
            distances = figure_view("train-distances", "Distance of probe samples to training pictures, by step")
        with gr.Tab("Probe samples", id="probes") as probes_tab:
            probes = plain_html("", elem_id="train-probes")
        with gr.Tab("Log", id="log"):
            log = plain_html("", elem_id="train-log", autoscroll=True)
        with gr.Tab("Compare", id="compare"):
            compared = gr.Dropdown([], value=[], multiselect=True, max_choices=MAX_COMPARED, elem_id="train-compared",
                                   label=f"Runs, two to {MAX_COMPARED}")  # fmt: skip
            together = figure_view("train-together", "Loss and validation figures of several runs by step")
            table = plain_html("", elem_id="train-table")
    return {
        "outputs": [head, *curves.outputs, *distances.outputs, probes, log, stop, resume, delete, judge, probes_tab],
        "curves": curves, "distances": distances, "together": together, "compared": compared, "table": table,
        "stop": stop, "resume": resume, "delete": delete, "judge": judge,
    }  # fmt: skip


def _wire_form(actions: TrainActions, form: TrainForm, tab: gr.Tab) -> None:
    groups = [form.groups[kind] for kind in KINDS]
    kind_outputs = [form.preset, form.real, form.name, form.classifier_data, *groups]
    fields = [component for kind in KINDS for component in form.fields[kind].values()]
    of_preset: list[Any] = [actions.choose_preset, [form.kind, form.preset], [form.text, *fields]]
    switched = form.kind.change(actions.choose_kind, form.kind, kind_outputs, **IN_WORDS)
    switched.then(*of_preset, **IN_WORDS)  # both trainers have a preset smoke: its name then does not change
    form.preset.change(*of_preset, **IN_WORDS)
    tab.select(actions.choices, [form.kind, form.synthetic], [form.real, form.synthetic], **IN_WORDS)
    changes = [component.change for component in form.inputs]
    gr.on([tab.select, *changes], actions.cost, form.inputs, form.cost, trigger_mode="always_last", **QUICK)
