"""The Evaluate tab: make reports, and look at them as figures; studies. Layout and wiring only."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import gradio as gr

from dermaflux.services.report_records import KINDS
from pages.components.figure_view import figure_view, wire_downloads
from pages.components.web import plain_html
from pages.evaluate_actions import COMPARED, NO_STUDY, NONE, EvaluateActions, no_report
from pages.evaluate_tabs import PARTS, Part
from pages.page import IN_WORDS, LATEST

if TYPE_CHECKING:
    from dermaflux.services import Services

_EVERY_SECONDS = 3
_MAX_COMPARED = 6
_NOTE = (
    '<p class="df-says">Real pictures are only compared with and never shown here. Take a set in with '
    "<code>python -m dermaflux import-real</code>, or put a folder or zip into <code>real</code> of the data folder. "
    "What was computed is of research use only, whatever it says.</p>"
)


def build(services: "Services", app: gr.Blocks, tab: gr.Tab) -> gr.Timer:
    """Lay out the tab in the current Blocks context and wire it; the timer that keeps it fresh."""
    actions = EvaluateActions(services)
    seen, pickers = gr.State(None), []
    with gr.Column(elem_classes="df-evaluate"):
        status, stop = _maker(services, actions, tab)
        with gr.Tabs(elem_id="evaluate-tabs"):
            _study(services, actions, tab)
            for part in PARTS:
                with gr.Tab(part.title, id=f"evaluate-{part.part_id}-tab"):
                    pickers.append(_part(services, actions, part))
    update: list[Any] = [actions.refresh, [seen, *pickers], [seen, status, stop, *pickers]]
    timer = gr.Timer(_EVERY_SECONDS, active=False)  # until the tab is in front
    timer.tick(*update, trigger_mode="once", **IN_WORDS)
    for trigger in (app.load, tab.select):
        trigger(*update, **IN_WORDS)
    return timer


def _maker(services: "Services", actions: EvaluateActions, tab: gr.Tab) -> tuple[gr.HTML, gr.Button]:
    """What to evaluate, and how the evaluations stand."""
    with gr.Accordion("Make a report", open=False, elem_id="evaluate-maker"):
        form = _form(services)
        plain_html(_NOTE)
        start = gr.Button("Start", variant="primary", elem_id="evaluate-start", min_width=110, scale=0)
    with gr.Row(elem_classes="df-training-row"):
        status = plain_html("", elem_id="evaluate-status")
        stop = gr.Button("Stop", elem_id="evaluate-stop", min_width=80, scale=0, elem_classes="df-minor", visible=False)
    started = start.click(actions.start, form.inputs, None, **IN_WORDS)
    form.kind.change(actions.fit, form.kind, form.fitted, **LATEST)
    tab.select(actions.choices, [form.dataset, form.real], [form.dataset, form.real], **IN_WORDS)
    stopped = stop.click(actions.stop, None, None, **IN_WORDS)
    for event in (started, stopped):
        event.then(actions.standing, None, [status, stop], **IN_WORDS)
    return status, stop


@dataclass(frozen=True, slots=True, kw_only=True)
class _Form:
    """What an evaluation is asked by."""

    kind: gr.Dropdown
    dataset: gr.Dropdown
    real: gr.Dropdown
    split: gr.Dropdown
    most: gr.Number
    num: gr.Number
    sheet: gr.Checkbox

    @property
    def inputs(self) -> list[Any]:
        """In the order `EvaluateActions.start` takes them."""
        return [self.kind, *self.fitted]

    @property
    def fitted(self) -> list[Any]:
        """In the order `EvaluateActions.fit` shows or hides them."""
        return [self.dataset, self.real, self.split, self.most, self.num, self.sheet]


def _form(services: "Services") -> _Form:
    kinds = [(label, kind) for kind, label in KINDS.items()]
    with gr.Row(elem_classes="df-picks"):
        kind = gr.Dropdown(kinds, value=kinds[0][1], label="Evaluation", elem_id="evaluate-kind", min_width=200)
        dataset = gr.Dropdown([NONE, *services.shared_datasets()], value=NONE, label="Accepted images of",
                              elem_id="evaluate-dataset", min_width=160, visible=False)  # fmt: skip
        real = gr.Dropdown([NONE, *services.real_sets()], value=NONE, label="Real pictures",
                           elem_id="evaluate-real", min_width=160)  # fmt: skip
        split = gr.Dropdown(COMPARED, value=COMPARED[0][1], label="Copies are looked for among",
                            elem_id="evaluate-split", min_width=160, visible=False)  # fmt: skip
        most = gr.Number(0, label="At most so many pictures (0: all)", precision=0, minimum=0,
                         elem_id="evaluate-most", min_width=140)  # fmt: skip
        num = gr.Number(2, label="Images a request", precision=0, minimum=1, maximum=16,
                        elem_id="evaluate-num", min_width=140, visible=False)  # fmt: skip
        sheet = gr.Checkbox(label="Keep the closest pairs as a picture (it shows patients)", elem_id="evaluate-sheet",
                            min_width=160, visible=False)  # fmt: skip
    return _Form(kind=kind, dataset=dataset, real=real, split=split, most=most, num=num, sheet=sheet)


def _part(services: "Services", actions: EvaluateActions, part: Part) -> gr.Dropdown:
    """The picker, the options and the figures of one part."""
    with gr.Row(elem_classes="df-picks"):
        many: dict[str, Any] = {"multiselect": True, "max_choices": _MAX_COMPARED, "value": []} if part.many else {}
        label = "Reports" if part.many else "Report"
        picker = gr.Dropdown([], label=label, elem_id=f"evaluate-{part.part_id}-report", min_width=240, **many)
        options = [
            gr.Dropdown(list(o.choices), value=o.choices[0][1], label=o.label, min_width=140,
                        elem_id=f"evaluate-{part.part_id}-option-{i}")
            for i, o in enumerate(part.options)
        ]  # fmt: skip
    views = [figure_view(panel.elem_id, panel.alt, no_report(part)) for panel in part.panels]
    inputs = [picker, *options]
    outputs = [component for view in views for component in view.outputs]
    gr.on([component.change for component in inputs], actions.shower(part), inputs, outputs, **LATEST)
    for view, panel in zip(views, part.panels, strict=True):
        wire_downloads(services, view, actions.drawer(part, panel), inputs)
    return picker


def _study(services: "Services", actions: EvaluateActions, tab: gr.Tab) -> None:
    with gr.Tab("Augmentation study", id="evaluate-study-tab"):
        with gr.Row(elem_classes="df-picks"):
            study = gr.Dropdown([], label="Study", elem_id="evaluate-study-name", min_width=320)
        view = figure_view("evaluate-study", "AUC and balanced accuracy by share of synthetic pictures", NO_STUDY)
    tab.select(actions.studies, study, study, **IN_WORDS)
    study.change(actions.study, study, view.outputs, **IN_WORDS)
    wire_downloads(services, view, actions.drawn_study, [study])
