"""What the Generate tab does: each handler reads the controls, asks the services, and answers with values.

No layout here, and no error handling beyond `in_words`.
"""

import random
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import gradio as gr

from dermaflux.domain.caption import parse
from dermaflux.domain.errors import InvalidRequest
from dermaflux.domain.lesion import LesionSpec
from dermaflux.domain.records import MAX_SEED, SamplingRequest
from dermaflux.domain.roles import Role
from pages.components.caption_text import FOLLOWS, CaptionNote, is_edited, note_on
from pages.components.followers import Followers
from pages.components.job_view import JobView
from pages.components.lesion_controls import readout_values, values_of
from pages.components.sampling_controls import sampling_values, whole
from pages.followed_jobs import job_of, paced, stop_job, with_verdict
from pages.generate_controls import GenerateControls, Values
from pages.page import in_words, visitor_of
from pages.review import ReviewActions

if TYPE_CHECKING:
    from dermaflux.services import Services

Shown = tuple[Any, Any]


class GenerateActions:
    """The handlers of one tab over its controls."""

    def __init__(self, services: "Services", controls: GenerateControls) -> None:
        self._services = services
        self._controls = controls
        self._followers = Followers()

    def follow_controls(self, values: Values) -> list[Any]:
        """The caption, what was composed, and the readouts after a control moved."""
        c = self._controls
        try:
            spec = c.lesion.spec(values)
        except InvalidRequest:  # the note says it: a toast for each tick would be noise
            return [gr.skip()] * 5
        said = text = values[c.caption]
        if not is_edited(said, values[c.composed]):
            text = self._services.compose_caption(spec, values[c.variation])
        # A text that stays is not sent back: the user may have begun to edit it since.
        spoken = [gr.skip(), gr.skip()] if text == said else [text, text]
        return [*spoken, *readout_values(spec)]

    def note_caption(self, values: Values) -> str:
        """The note after the caption or a control changed."""
        c = self._controls
        text, composed = values[c.caption], values[c.composed]
        try:
            spec = c.lesion.spec(values)
        except InvalidRequest as error:
            return CaptionNote(state="empty", text=str(error)).html
        # A caption that follows the controls is about to be composed anew from them.
        return FOLLOWS.html if text.strip() and not is_edited(text, composed) else note_on(text, spec).html

    @in_words
    def compose_anew(self, values: Values) -> list[Any]:
        """The caption of the controls, in place of whatever was there."""
        return self._composed(self._controls.lesion.spec(values), values[self._controls.variation])

    @in_words
    def reword(self, values: Values) -> list[Any]:
        """The same lesion in other words, and which variation that is."""
        variation = random.randrange(MAX_SEED)
        return [*self._composed(self._controls.lesion.spec(values), variation), variation]

    @in_words
    def set_controls(self, caption: str) -> list[Any]:
        """The control values a caption states; from then on it counts as composed from them."""
        return [*values_of(parse(caption)), caption]

    @in_words
    def use_defaults(self, name: str, adapters: list[str] | None) -> list[Any]:
        """Steps, guidance, contrast and size as the adapters state them, else the model's own."""
        model = next(model for model in self._services.models() if model.name == name)
        asked = SamplingRequest(caption="its defaults", model=name, adapter=",".join(adapters or ()) or None)
        return sampling_values(self._services.resolve(asked), model)

    @in_words
    def adapters_on_offer(self, request: gr.Request) -> Any:
        """The adapters there are now; what is chosen stays."""
        visitor_of(self._services, request).require(Role.VIEWER, "look at the adapters")
        return gr.Dropdown(choices=[adapter.name for adapter in self._services.adapters()])

    @in_words
    def submit(self, values: Values, request: gr.Request) -> tuple[str, int]:
        """Queue what the controls ask for: the job's id, and the seed that is used."""
        visitor = visitor_of(self._services, request).require(Role.REVIEWER, "generate images")
        sampling = self._controls.read(values, may_draw_seed=True)
        return self._services.submit_generation(visitor.name, sampling).job_id, sampling.seed

    @in_words
    def follow(self, job_id: str | None, dataset: str, request: gr.Request) -> Iterator[Shown]:
        """The board and the stop button as the browser's last job goes on; nothing when it has none (any more).

        A visitor has one board: the follower of an earlier job leaves as soon as a later one has come.
        """
        visitor = visitor_of(self._services, request).require(Role.VIEWER, "see samples")
        job = job_of(self._services, job_id, visitor)
        if job is None or job.sweep is not None:
            yield gr.skip(), gr.skip()
            return
        with self._followers.only_one(request.session_hash) as is_latest:
            may_skip = visitor.role.includes(Role.REVIEWER)
            view = JobView(SamplingRequest.from_dict(job.request), job.job_id if may_skip else None)
            yield view.packed(), gr.Button(interactive=True)
            for event in paced(self._services.follow(job.job_id)):
                if not is_latest():
                    return
                view.apply(with_verdict(self._services, event, dataset, visitor))
                yield view.packed(), gr.Button(interactive=False) if view.ended else gr.skip()

    @in_words
    def stop(self, job_id: str | None, request: gr.Request) -> None:
        """Stop one's own job within a step; what is finished stays."""
        stop_job(self._services, job_id, request)

    @in_words
    def skip(self, evt: gr.EventData, request: gr.Request) -> None:
        """Leave out the image of a card of one's own job at its next step; the job goes on with the next one."""
        visitor = visitor_of(self._services, request).require(Role.REVIEWER, "skip an image")
        self._services.skip_image(visitor, evt.job_id, whole("The image's number", evt.image_index))

    @in_words
    def undo(self, dataset: str, request: gr.Request) -> list[Any]:
        """Take back the visitor's last verdict, on whichever of the three boards it is shown, and the counts."""
        shown, counts = ReviewActions(self._services).undo(dataset, request)
        return [shown, shown, shown, counts]

    def _composed(self, spec: LesionSpec, variation: int | None) -> list[Any]:
        text = self._services.compose_caption(spec, variation)
        return [text, text]
