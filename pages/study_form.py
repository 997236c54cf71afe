"""The form for a new reader study, and for taking a folder of real pictures in. For curators; no path is ever shown."""

import html
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr

from dermaflux.domain.errors import DermaFluxError, InvalidRequest
from dermaflux.domain.roles import Role
from dermaflux.domain.study import NUM_OF_EACH_RANGE, SHARE_RANGE, SIZE_RANGE_PX, StudyPlan
from dermaflux.services.study_views import StudyRequest
from pages.components.stepwise import stepwise
from pages.components.study_views import list_value
from pages.components.web import plain_html
from pages.page import in_words, visitor_of

if TYPE_CHECKING:
    from dermaflux.services import Services

QUESTIONS = (("Nothing more", "none"), ("Benign or malignant", "side"), ("One of seven diagnoses", "diagnosis"))
PERCENT_RANGE = (round(100 * SHARE_RANGE[0]), round(100 * SHARE_RANGE[1]))
NUMBERS = {
    "num_of_each": "The number of pictures",
    "size_px": "The size",
    "repeats": "The share that is shown again",
    "checks": "The share of checks",
}
FRAMES = (("Square", "square"), ("Disc, corners hidden", "round"))
STUDY_NOTE = "Every reader sees the same pictures, each in an order of their own. Once made, a study never changes."
IMPORT_NOTE = "Names, places and all but the pixels stay behind; the pictures are shown in studies only."
_NO_REAL = "No real pictures are here yet. Take a folder in below."


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyForm:
    """The components of the form, in the order of the handler's values."""

    name: gr.Textbox
    dataset: gr.Dropdown
    real: gr.Dropdown
    split: gr.Textbox
    num_of_each: gr.Number
    question: gr.Dropdown
    frame: gr.Dropdown
    size_px: gr.Number
    time_limit_s: gr.Number
    repeats: gr.Number
    checks: gr.Number
    readers: gr.Textbox
    match: gr.Checkbox

    def components(self) -> list[Any]:
        """What the handler gets."""
        return [getattr(self, field.name) for field in fields(self)]


def study_form() -> StudyForm:
    """Lay out the fields in the current Blocks context. What may be chosen is told to those who may choose, later."""
    with gr.Row():
        name = gr.Textbox(label="Name", placeholder="melanoma realism round 1", max_length=64, elem_id="study-name")
        dataset = gr.Dropdown([], label="Accepted images of", elem_id="study-dataset")
        real = gr.Dropdown([], label="Real pictures", elem_id="study-real")
        split = gr.Textbox("test", label="Their split, if they have any", elem_id="study-split")
    with gr.Row():
        num_of_each = _number(50, "Pictures of each kind", NUM_OF_EACH_RANGE, "study-num")
        question = gr.Dropdown(QUESTIONS, value="none", label="Asked besides", elem_id="study-question")
        time_limit_s = gr.Number(0, label="Seconds shown (0: no limit)", elem_id="study-limit")
        size_px = _number(384, "Size on the screen, px", SIZE_RANGE_PX, "study-size")
    with gr.Row():
        repeats = _number(10, "Shown again, % of the pictures", PERCENT_RANGE, "study-repeats")
        checks = _number(5, "Attention checks, % of the pictures", PERCENT_RANGE, "study-checks")
        frame = gr.Dropdown(FRAMES, value="square", label="Frame", elem_id="study-frame")
        match = gr.Checkbox(True, label="Same diagnoses on both sides", elem_id="study-match")
    readers = gr.Textbox(label="Readers by log-in name, with commas (empty: every reviewer)", elem_id="study-readers")
    return StudyForm(
        name=name, dataset=dataset, real=real, split=split, num_of_each=num_of_each, question=question, frame=frame,
        size_px=size_px, time_limit_s=time_limit_s, repeats=repeats, checks=checks, readers=readers, match=match,
    )  # fmt: skip


class StudyFormActions:
    """The handlers of the form."""

    def __init__(self, services: "Services") -> None:
        self._services = services

    @in_words
    def offers(self, dataset: str | None, real: str | None, request: gr.Request) -> tuple[Any, Any, Any, Any]:
        """Whether the form is shown to this visitor, the datasets and real sets there are now, and a note."""
        visitor = visitor_of(self._services, request).require(Role.VIEWER, "see the studies")
        if not visitor.role.includes(Role.CURATOR):
            return gr.Accordion(visible=False), gr.skip(), gr.skip(), gr.skip()
        datasets, sets = self._services.dataset_names(visitor), list(self._services.real_sets())
        return (
            gr.Accordion(visible=True),
            gr.Dropdown(choices=datasets, value=_kept(dataset, datasets)),
            gr.Dropdown(choices=sets, value=_kept(real, sets)),
            study_line(STUDY_NOTE if sets else _NO_REAL),
        )

    @in_words
    def create(self, request: gr.Request, *values: Any) -> Iterator[tuple[Any, Any]]:
        """How far it is, then the list with the new study in it."""
        visitor = visitor_of(self._services, request).require(Role.CURATOR, "make a reader study")
        asked = _request_of(dict(zip((field.name for field in fields(StudyForm)), values, strict=True)))
        self._services.open_dataset(asked.dataset, visitor)
        yield study_line("Choosing pictures ..."), gr.skip()
        for news in stepwise(lambda on_step: self._services.create_study(visitor, asked, on_step)):
            if isinstance(news, tuple):
                yield study_line(f"Preparing pictures: {news[0]} of {news[1]}"), gr.skip()
        done = f"{asked.name.strip()} is ready. Readers find it in this list."
        yield study_line(done), list_value(self._services.studies(visitor))

    @in_words
    def take_in(self, folder: str, name: str, request: gr.Request) -> Iterator[tuple[Any, Any]]:
        """How far it is, then what was taken in. The folder is on the server, and no answer says where."""
        visitor_of(self._services, request).require(Role.CURATOR, "take real pictures in")
        if not folder.strip():
            raise InvalidRequest("Name the folder or zip of real pictures on the server.")
        yield study_line("Looking into the folder ..."), gr.skip()
        source = Path(folder.strip()).expanduser()
        for news in stepwise(lambda on_step: _taken_in(self._services, source, name, on_step)):
            if isinstance(news, tuple):
                yield study_line(f"Taking pictures in: {news[0]} of {news[1]}"), gr.skip()
            else:
                text = f"{news.num_pictures} pictures are in {name.strip()}, {len(news.refused)} were refused."
                yield study_line(text), gr.Dropdown(choices=list(self._services.real_sets()), value=name.strip())


def _number(value: int, label: str, bounds: tuple[int, int], elem_id: str) -> gr.Number:
    low, high = bounds
    return gr.Number(value, label=label, precision=0, minimum=low, maximum=high, elem_id=elem_id)


def study_line(text: str) -> str:
    """A line of news beside a button."""
    return f'<span class="df-study-line" role="status">{html.escape(text)}</span>'


def note() -> gr.HTML:
    """Where the form's news go."""
    return plain_html(study_line(STUDY_NOTE), elem_id="study-report")


def _taken_in(services: "Services", source: Path, name: str, on_step: Any) -> Any:
    try:
        return services.import_real(source, name, on_step)
    except DermaFluxError as error:
        data_dir = str(services.settings.data_dir)
        raise type(error)(str(error).replace(str(source), "The folder").replace(data_dir, "the data folder")) from None


def _request_of(given: dict[str, Any]) -> StudyRequest:
    """The request of the form's values. Raises InvalidRequest naming the first that does not belong."""
    for name, label in NUMBERS.items():
        if given[name] is None:
            raise InvalidRequest(f"{label} is empty. Give a number.")
    if not given["dataset"]:
        raise InvalidRequest("Choose the dataset whose accepted images are shown.")
    plan = StudyPlan(
        num_of_each=int(given["num_of_each"]),
        question=given["question"],
        frame=given["frame"],
        size_px=int(given["size_px"]),
        time_limit_s=given["time_limit_s"] or None,
        repeat_share=given["repeats"] / 100,
        check_share=given["checks"] / 100,
        match_diagnoses=bool(given["match"]),
        readers=tuple(given["readers"].split(",")),
    )
    return StudyRequest(
        name=given["name"], dataset=given["dataset"], real=given["real"], split=given["split"].strip(), plan=plan
    )


def _kept(current: str | None, choices: list[str]) -> str | None:
    return current if current in choices else next(iter(choices), None)
