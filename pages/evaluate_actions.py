"""What the Evaluate tab does: each handler asks who is there, asks the services, and answers with figures and texts.

No layout here, and no error handling beyond `in_words`.
"""

import html
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import gradio as gr

from dermaflux.domain.errors import DataNotFound
from dermaflux.domain.roles import Role, Visitor
from dermaflux.services.report_records import (
    COVERAGE,
    KINDS,
    MEMORISATION,
    OF_DATASET,
    OF_REAL,
    EvaluationRequest,
    EvaluationRun,
)
from pages.components.figure_view import shown
from pages.evaluate_tabs import PARTS, Panel, Part
from pages.page import in_words, visitor_of

if TYPE_CHECKING:
    from dermaflux.figures import Drawing
    from dermaflux.services import Services

NONE = "none"
COMPARED = (
    ("training pictures", "train"),
    ("validation pictures (leaks)", "val"),
    ("test pictures (leaks)", "test"),
)
_WITH_REAL = (*OF_REAL, COVERAGE)
_SHOWN_RUNS = 4


class EvaluateActions:
    """The handlers of one tab."""

    def __init__(self, services: "Services") -> None:
        self._services = services

    @in_words
    def start(self, request: gr.Request, *asked: Any) -> None:
        """Begin an evaluation. asked: kind, dataset, real pictures, their split, most pictures, images, sheet."""
        visitor = visitor_of(self._services, request).require(Role.CURATOR, "start an evaluation")
        kind, dataset, real, split, most, num_images, with_sheet = asked
        wanted = EvaluationRequest(
            kind=kind,
            dataset=None if dataset == NONE or kind not in OF_DATASET else dataset,
            real=None if real == NONE or kind not in _WITH_REAL else real,
            num_images=int(num_images or 1),
            max_images=int(most) if most else None,
            split=split,
            with_sheet=bool(with_sheet),
        )
        self._services.open_dataset(wanted.dataset or "", visitor)
        self._services.start_evaluation(visitor.name, wanted)
        gr.Info("The evaluation has begun. It goes on when this page is closed.", duration=4)

    @in_words
    def fit(self, kind: str, request: gr.Request) -> list[Any]:
        """Only the fields that the chosen evaluation asks for."""
        self._look(request)
        is_memorisation = kind == MEMORISATION
        asks = (kind in OF_DATASET, kind in _WITH_REAL, is_memorisation, kind in _WITH_REAL, kind == "adherence",
                is_memorisation)  # fmt: skip
        makers = (gr.Dropdown, gr.Dropdown, gr.Dropdown, gr.Number, gr.Number, gr.Checkbox)
        return [make(visible=shown) for make, shown in zip(makers, asks, strict=True)]

    @in_words
    def stop(self, request: gr.Request) -> None:
        """Stop the evaluation that is under way."""
        visitor = visitor_of(self._services, request).require(Role.CURATOR, "stop an evaluation")
        running = [run for run in self._services.evaluations(visitor) if run.state == "running"]
        if not running:
            raise DataNotFound("No evaluation of yours is under way.")
        self._services.stop_evaluation(visitor, running[0].run_id)

    @in_words
    def choices(self, dataset: str, real: str, request: gr.Request) -> tuple[Any, Any]:
        """The datasets and sets of real pictures there are now."""
        visitor = self._look(request)
        return _choose([NONE, *self._services.dataset_names(visitor)], dataset), _choose(
            [NONE, *self._services.real_sets()], real
        )

    @in_words
    def refresh(self, request: gr.Request, seen: Any, *current: Any) -> list[Any]:
        """How the evaluations stand, and the reports in every picker; nothing is sent while nothing has changed."""
        visitor = self._look(request)
        runs = self._services.evaluations(visitor)[:_SHOWN_RUNS]
        choices = {kind: [] for kind in KINDS}
        for found in self._services.reports(visitor, *KINDS):
            choices[found.kind].append(found)
        now = repr((runs, choices))
        if now == seen:
            return [gr.skip()] * (3 + len(PARTS))
        pickers = [
            _picker([(c.title, c.report_id) for c in choices[part.kind]], value, part)
            for part, value in zip(PARTS, current, strict=True)
        ]
        return [now, *_standing(runs), *pickers]

    @in_words
    def standing(self, request: gr.Request) -> tuple[str, Any]:
        """How the evaluations stand at this moment, and whether one can be stopped."""
        return _standing(self._services.evaluations(self._look(request))[:_SHOWN_RUNS])

    def drawer(self, part: Part, panel: Panel) -> Callable[..., "Drawing"]:
        """How a panel is drawn for a visitor from what is picked. Raises DataNotFound."""

        def draw(visitor: Visitor, picked: Any, *options: Any) -> "Drawing":
            ids = picked if isinstance(picked, list) else [picked] if picked else []
            if not ids:
                raise DataNotFound("No report is chosen, so there is no figure.")
            titles = {choice.report_id: choice.title for choice in self._services.reports(visitor, part.kind)}
            reports = {titles.get(name) or str(name): self._services.report(visitor, name) for name in ids}
            return panel.draw(reports, options)

        return draw

    def shower(self, part: Part) -> Callable[..., tuple[Any, ...]]:
        """The handler that fills all figures of a part."""

        @in_words
        def show(request: gr.Request, picked: Any, *options: Any) -> tuple[Any, ...]:
            visitor = self._look(request)
            if not picked:
                return tuple(value for _ in part.panels for value in shown(None, no_report(part)))
            drawings = [self.drawer(part, panel)(visitor, picked, *options) for panel in part.panels]
            return tuple(value for drawing in drawings for value in shown(drawing))

        return show

    @in_words
    def study(self, name: str | None, request: gr.Request) -> tuple[str, Any, str]:
        """The panels and the table of a study."""
        visitor = self._look(request)
        return shown(self.drawn_study(visitor, name), with_numbers=True) if name else shown(None, NO_STUDY)

    @in_words
    def studies(self, current: str | None, request: gr.Request) -> Any:
        """The studies there are now."""
        self._look(request)
        found = self._services.augmentation_studies()
        return _choose([(f"{study.name} ({study.num_cells} trainings)", study.name) for study in found], current)

    def drawn_study(self, visitor: Visitor, name: str | None) -> "Drawing":
        """A study's panels. Raises DataNotFound."""
        from dermaflux.figures.study import draw_study

        found = next((study for study in self._services.augmentation_studies() if study.name == name), None)
        if found is None:
            raise DataNotFound("There is no such study. It may have been removed.")
        return draw_study([dict(line) for line in found.lines], found.differences)

    def _look(self, request: gr.Request) -> Visitor:
        return visitor_of(self._services, request).require(Role.VIEWER, "look at evaluations")


NO_STUDY = (
    "No study yet. Run python -m training.augmentation_study, then put its folder with results.jsonl into the studies "
    "folder of the data directory."
)


def no_report(part: Part) -> str:
    """What stands in place of a figure while there is no report of its kind."""
    return (
        f"No report yet ({KINDS[part.kind].lower()}). Make one above, or put what python -m dermaflux evaluate "
        f"{part.kind} ... --json printed into the reports folder of the data directory."
    )


def _standing(runs: Sequence[EvaluationRun]) -> tuple[str, Any]:
    lines = "".join(f"<li>{_run_html(run)}</li>" for run in runs)
    told = f'<ul class="df-evaluations" role="status">{lines}</ul>' if lines else ""
    return told, gr.Button(visible=any(run.state == "running" for run in runs))


def _run_html(run: EvaluationRun) -> str:
    state = f'<span class="df-training-state" data-state="{run.state}">{run.state}</span>'
    said = html.escape(run.progress or run.why or ("getting ready" if run.state == "running" else ""))
    name = html.escape(KINDS[run.kind])
    bar = "" if run.share is None else f'<progress value="{run.share:.3f}" max="1" aria-label="{name}"></progress>'
    about = f"<b>{name}</b>, {html.escape(run.title)}:"
    return f'<span class="df-evaluation"><span>{about} {state}</span>{bar}<span>{said}</span></span>'


def _picker(choices: Sequence[tuple[str, str]], current: Any, part: Part) -> Any:
    known = [report_id for _, report_id in choices]
    if part.many:
        kept = [name for name in current or [] if name in known] or known[:1]
        return gr.Dropdown(choices=list(choices), value=kept)
    return gr.Dropdown(choices=list(choices), value=current if current in known else next(iter(known), None))


def _choose(choices: Sequence[Any], current: Any) -> Any:
    values = [choice[1] if isinstance(choice, tuple) else choice for choice in choices]
    return gr.Dropdown(choices=list(choices), value=current if current in values else next(iter(values), None))
