"""What the Train tab does: each handler asks who is there, reads the controls, asks the services, answers with values.

No layout here, and no error handling beyond `in_words`.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import gradio as gr

from dermaflux.domain.errors import DataNotFound, DermaFluxError
from dermaflux.domain.roles import Role, Visitor
from dermaflux.services.training_records import CLASSIFIER, KINDS, LORA, RunReport, TrainingRun
from pages.components.figure_view import shown
from pages.components.run_view import (
    compare_html,
    cost_html,
    head_html,
    list_value,
    log_html,
    probes_html,
    wrong_html,
)
from pages.page import in_words, visitor_of
from pages.train_form import NO_DATASET, TrainForm, preset_choices, preset_text

if TYPE_CHECKING:
    from dermaflux.figures import Drawing
    from dermaflux.services import Services

Values = Mapping[Any, Any]
MAX_COMPARED = 5
_NUM_VIEWED = 14  # what `_view` fills
_NO_CURVE = "Curves appear with the first steps."


class TrainActions:
    """The handlers of one tab over its form."""

    def __init__(self, services: "Services", form: TrainForm) -> None:
        self._services, self._form = services, form

    @in_words
    def choose_kind(self, kind: str, request: gr.Request) -> list[Any]:
        """Presets, data and fields of the other trainer."""
        self._look(request)
        data = self._services.training_data(kind)
        presets = gr.Dropdown(preset_choices(self._services, kind), value=self._services.proposed_preset(kind))
        groups = [gr.Column(visible=part == kind) for part in KINDS]
        real = gr.Dropdown(choices=list(data), value=next(iter(data), None))
        return [presets, real, f"my-{kind}", gr.Column(visible=kind == CLASSIFIER), *groups]

    @in_words
    def choose_preset(self, kind: str, preset: str, request: gr.Request) -> list[Any]:
        """The text of a preset and the values of all fields of its trainer; the other trainer's stay."""
        self._look(request)
        found = self._services.training_programs()[kind].presets.get(preset)
        if found is None:  # the presets of the other trainer are on their way
            return [gr.skip()] * (1 + sum(len(part) for part in self._form.fields.values()))
        values = [
            found.values[name] if part == kind else gr.skip()
            for part in KINDS
            for name in self._form.fields[part]
        ]
        return [preset_text(found), *values]

    @in_words
    def choices(self, kind: str, current: str, request: gr.Request) -> tuple[Any, Any]:
        """The real pictures and datasets there are now."""
        visitor = self._look(request)
        data = self._services.training_data(kind)
        names = [NO_DATASET, *self._services.dataset_names(visitor)]
        value = current if current in names else NO_DATASET
        return gr.Dropdown(choices=list(data)), gr.Dropdown(choices=names, value=value)

    def cost(self, values: Values, request: gr.Request) -> str:
        """Predicted memory and time, or why there are none: a notice for each key press would be noise."""
        try:
            self._look(request)
            return cost_html(self._services.training_cost(self._form.request(values)))
        except DermaFluxError as error:
            return wrong_html(str(error))

    @in_words
    def start(self, values: Values, request: gr.Request) -> str:
        """Begin the run; its id."""
        visitor = visitor_of(self._services, request).require(Role.CURATOR, "train a model")
        asked = self._form.request(values)
        self._services.open_dataset(asked.synthetic or "", visitor)
        run = self._services.start_training(visitor.name, asked)
        gr.Info(f"The run {run.name} has begun. It goes on when this page is closed.", duration=5)
        return run.run_id

    @in_words
    def recipe(self, values: Values, request: gr.Request) -> str:
        """The run as a script and its settings, for another machine."""
        visitor_of(self._services, request).require(Role.CURATOR, "write a run recipe")
        return str(self._services.training_recipe(self._form.request(values)))

    @in_words
    def choose(self, evt: gr.EventData, request: gr.Request) -> str:
        """The run that was clicked."""
        return self._services.training_run(self._look(request), evt.id).run_id

    @in_words
    def resume(self, run_id: str | None, request: gr.Request) -> None:
        """Go on with a run."""
        visitor = visitor_of(self._services, request).require(Role.CURATOR, "resume a training run")
        self._services.resume_training(visitor, _chosen(run_id))

    @in_words
    def stop(self, run_id: str | None, request: gr.Request) -> None:
        """Ask a run to end after its step."""
        visitor = visitor_of(self._services, request).require(Role.CURATOR, "stop a training run")
        self._services.stop_training(visitor, _chosen(run_id))
        gr.Info("It ends after the step it is at and keeps a checkpoint.", duration=4)

    @in_words
    def delete(self, run_id: str | None, request: gr.Request) -> None:
        """Remove a run with all it made."""
        visitor = visitor_of(self._services, request).require(Role.CURATOR, "delete a training run")
        self._services.delete_training(visitor, _chosen(run_id))

    @in_words
    def judge(self, run_id: str | None, request: gr.Request) -> None:
        """Let a run's classifier judge from now on, or the embedded one again if it does already."""
        visitor = visitor_of(self._services, request).require(Role.ADMIN, "choose the classifier that judges")
        run_id = _chosen(run_id)
        back = self._services.judging_run() == run_id
        self._services.use_classifier(visitor, None if back else run_id)
        gr.Info(f"New images are judged by {'the embedded classifier' if back else run_id} from now on.", duration=5)

    @in_words
    def refresh(self, run_id: str | None, seen: Any, request: gr.Request) -> list[Any]:
        """Everything at the right as it stands; nothing is sent while nothing has changed."""
        visitor = self._look(request)
        runs = self._services.training_runs(visitor)
        chosen = run_id if run_id in {run.run_id for run in runs} else next((run.run_id for run in runs), None)
        judging = self._services.judging_run()
        facts = [(run.run_id, run.state, run.step) for run in runs]
        now = repr((facts, chosen, judging, self._services.training_changed(chosen) if chosen else None))
        if now == seen:
            return [gr.skip()] * (4 + _NUM_VIEWED)
        names = [(f"{run.name} ({run.kind})", run.run_id) for run in runs]
        # A run that was clicked meanwhile must not be taken back.
        head = [now, gr.skip() if chosen == run_id else chosen, list_value(runs, chosen), gr.Dropdown(choices=names)]
        return [*head, *self._view(visitor, chosen, judging)]

    @in_words
    def compare(self, run_ids: Sequence[str], request: gr.Request) -> tuple[Any, ...]:
        """The curves and settings of several runs."""
        visitor = self._look(request)
        if not run_ids:
            return (*shown(None, "Choose two runs or more."), "")
        reports = [self._services.training_report(visitor, run_id) for run_id in run_ids[:MAX_COMPARED]]
        return (*shown(_losses(reports)), compare_html(reports))

    def drawn(self, visitor: Visitor, run_id: str | None) -> "Drawing":
        """The curves of one run, for a download."""
        return _losses([self._services.training_report(visitor, _chosen(run_id))])

    def drawn_distances(self, visitor: Visitor, run_id: str | None) -> "Drawing":
        """How near the probe samples of a run come to its training pictures, for a download. Raises DataNotFound."""
        drawing = _distances(self._services.training_report(visitor, _chosen(run_id)))
        if drawing is None:
            raise DataNotFound("No probe sample of this run was held against its training pictures yet.")
        return drawing

    def drawn_together(self, visitor: Visitor, run_ids: Sequence[str]) -> "Drawing":
        """The curves of several runs, for a download. Raises DataNotFound when none is chosen."""
        if not run_ids:
            raise DataNotFound("No runs are chosen, so there is no figure.")
        return _losses([self._services.training_report(visitor, run_id) for run_id in run_ids[:MAX_COMPARED]])

    def _view(self, visitor: Visitor, chosen: str | None, judging: str | None) -> list[Any]:
        """Head, curves, distances, probes, log and the buttons of the chosen run."""
        if chosen is None:
            none = [*shown(None, _NO_CURVE), *shown(None)]
            return ["", *none, "", log_html(""), *[gr.Button(interactive=False)] * 4, gr.skip()]
        report = self._services.training_report(visitor, chosen)
        drawing = _losses([report]) if report.history else None
        return [
            head_html(report, judging),
            *shown(drawing, _NO_CURVE),
            *shown(_distances(report)),
            probes_html(report),
            log_html(report.log),
            *_buttons(report.run, judging),
            gr.Tab(visible=report.run.kind == LORA),
        ]

    def _look(self, request: gr.Request) -> Visitor:
        return visitor_of(self._services, request).require(Role.VIEWER, "look at training runs")


def _losses(reports: Sequence[RunReport]) -> "Drawing":
    from dermaflux.figures.curves import draw_losses

    return draw_losses({report.run.name: report.history for report in reports})


def _distances(report: RunReport) -> "Drawing | None":
    from dermaflux.figures.curves import draw_distances

    return draw_distances(report.history)


def _buttons(run: TrainingRun, judging: str | None) -> list[Any]:
    """Stop, resume, delete and judge, as far as they make sense for the run."""
    runs = run.state == "running"
    judges = judging == run.run_id
    return [
        gr.Button(interactive=runs),
        gr.Button(interactive=not runs and run.state != "done"),
        gr.Button(interactive=not runs),
        gr.Button(
            "Judge with the embedded one again" if judges else "Judge with it",
            visible=run.kind == CLASSIFIER, interactive=run.product is not None,
        ),
    ]  # fmt: skip


def _chosen(run_id: str | None) -> str:
    if not run_id:
        raise DataNotFound("No run is chosen. Choose one in the list.")
    return run_id
