"""The endpoints for programs, under stable names.

/compose_caption, /generate, /decide, /undo, /classify_sample, /measure_sample and /probe are here; /export
belongs to the Dataset tab, since it answers with a file. They are typed, and apart from the components, so
that a new layout never breaks a script. Classifying and measuring act on a stored generated image by
its id; no endpoint takes a picture.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import gradio as gr

from dermaflux.domain.lesion import Diagnosis, LesionSpec, choice, typical_colours
from dermaflux.domain.records import DISCLAIMER, SamplingRequest
from dermaflux.domain.roles import Role
from dermaflux.services.records import Ended, Finished, Preview, ProbeRequest, ProbeStep
from pages.components.caption_text import requested_spec
from pages.page import FOLLOW_QUEUE, in_words, user_of, visitor_of
from pages.probe_panel import PROBE_QUEUE

if TYPE_CHECKING:
    from dermaflux.services import Services

Answer = dict[str, Any]


def add_api(services: "Services") -> None:
    """Add the endpoints to the current Blocks; first, so that no listener takes one of the names."""
    endpoints = Endpoints(services)
    for function in (endpoints.compose_caption, endpoints.decide, endpoints.undo):
        gr.api(function, api_name=function.__name__, queue=False)
    for function in (endpoints.classify_sample, endpoints.measure_sample):
        gr.api(function, api_name=function.__name__, concurrency_limit=None)
    gr.api(endpoints.probe, api_name="probe", concurrency_id=PROBE_QUEUE, concurrency_limit=1)
    gr.api(
        endpoints.generate, api_name="generate", concurrency_id=FOLLOW_QUEUE, concurrency_limit=None
    )


class Endpoints:
    """The endpoints over the services. Their parameters are a contract with programs, so there may be many."""

    def __init__(self, services: "Services") -> None:
        self._services = services

    @in_words
    def compose_caption(  # noqa: PLR0913 - one parameter a field of LesionSpec
        self,
        asymmetry: float,
        border: float,
        colours: list[str] | int,
        diagnosis: str,
        age: float | None = None,
        sex: str | None = None,
        site: str | None = None,
        skin_tone: str | None = None,
        variation: int | None = None,
    ) -> str:
        """Compose the caption of a lesion. colours: names, or how many; variation: another wording."""
        spec = _spec(asymmetry=asymmetry, border=border, colours=colours, diagnosis=diagnosis, age=age, sex=sex,
                     site=site, skin_tone=skin_tone)  # fmt: skip
        return self._services.compose_caption(spec, variation)

    @in_words
    def generate(  # noqa: PLR0913 - one parameter a field of SamplingRequest
        self,
        request: gr.Request,
        caption: str = "",
        spec: Answer | None = None,
        num_images: int = 1,
        seed: int = 0,
        num_steps: int | None = None,
        guidance_scale: float | None = None,
        contrast_scale: float | None = None,
        size_px: int | None = None,
        model: str | None = None,
        adapter: str | None = None,
        adapter_weight: float = 1.0,
        candidates: int = 1,
    ) -> Iterator[Answer]:
        """Sample images from a caption, from a spec (fields as in /compose_caption), or from both.

        candidates: draw so many for each image and keep the one measured closest to the spec.
        Streams {job_id, state, step, num_steps, images}; the last answer holds every image with its assessment.
        """
        asked = _spec(**spec) if spec else None
        text = (
            caption
            if caption.strip() or asked is None
            else self._services.compose_caption(asked, None)
        )
        sampling = SamplingRequest(
            caption=text,
            spec=requested_spec(text, asked) if asked else None,
            num_images=num_images,
            seed=seed,
            num_steps=num_steps,
            guidance_scale=guidance_scale,
            contrast_scale=contrast_scale,
            size_px=size_px,
            model=model or self._services.settings.model,
            adapter=adapter,
            adapter_weight=adapter_weight,
            candidates=candidates,
        )
        job = self._services.submit_generation(user_of(request), sampling)
        yield from self._answers(job.job_id)

    @in_words
    def decide(
        self,
        request: gr.Request,
        image_id: str,
        verdict: str,
        dataset: str,
        expected_version: int | None = None,
        request_id: str | None = None,
    ) -> Answer:
        """Accept, reject or unsure: a verdict on one generated image in a dataset.

        expected_version: the version the image was seen with (0: undecided); refused when it is decided since.
        request_id: any text of one's own; a request sent again with it is stored once.
        """
        visitor = visitor_of(self._services, request).require(Role.REVIEWER, "give verdicts")
        self._services.open_for_verdicts(dataset, visitor)
        stored = self._services.decide(
            dataset, image_id, visitor.name, verdict, expected_version=expected_version, request_id=request_id
        )
        return {
            "image_id": stored.image_id,
            "verdict": stored.verdict,
            "dataset": dataset,
            "version": stored.version,
        }

    @in_words
    def undo(self, request: gr.Request, dataset: str) -> Answer:
        """Take back one's own last verdict in a dataset."""
        visitor = visitor_of(self._services, request).require(Role.REVIEWER, "take verdicts back")
        self._services.open_dataset(dataset, visitor)
        stored = self._services.undo(dataset, visitor.name)
        return {"image_id": stored.image_id, "verdict": stored.verdict, "dataset": dataset}

    @in_words
    def classify_sample(self, image_id: str) -> Answer:
        """The classifier's view of a stored generated image. Research only, of a synthetic image."""
        return self._services.assess(image_id).prediction.to_dict() | {"statement": DISCLAIMER}

    @in_words
    def measure_sample(self, image_id: str) -> Answer:
        """Asymmetry, border and colours measured on a stored generated image."""
        return self._services.assess(image_id).measurement.to_dict()

    @in_words
    def probe(
        self,
        visit: gr.Request,
        dataset: str,
        real: str | None = None,
        num_real: int | None = None,
        seed: int = 0,
    ) -> Iterator[Answer]:
        """Do the accepted images help? real: a set of real pictures by its name here; num_real: learn from so many.

        Streams {state, doing, done, total}; the last answer is the report, with state done.
        """
        visitor = visitor_of(self._services, visit).require(Role.CURATOR, "probe a dataset")
        self._services.open_dataset(dataset, visitor)
        request = ProbeRequest(dataset=dataset, real=self._services.real_set(real), num_real=num_real, seed=seed)
        for event in self._services.probe(request):
            if isinstance(event, ProbeStep):
                yield {"state": "running", "doing": event.doing, "done": event.done, "total": event.total}
            else:
                yield {"state": "done", **event.to_dict(), "statement": DISCLAIMER}

    def _answers(self, job_id: str) -> Iterator[Answer]:
        answer: Answer = {
            "job_id": job_id,
            "state": "queued",
            "images": [],
            "statement": DISCLAIMER,
        }
        for event in self._services.follow(job_id):
            match event:
                case Preview():
                    answer |= {"state": "running", "step": event.step, "num_steps": event.num_steps}
                case Finished():
                    answer |= {"images": [*answer["images"], _image(event)]}
                case Ended():
                    answer |= {"state": event.state, "error": event.error}
            yield dict(answer)


def _image(event: Finished) -> Answer:
    stored = event.stored
    made = {
        name: stored.generated.get(name)
        for name in ("caption", "spec", "seed", "model", "model_sha256")
    }
    return {
        "image_id": stored.image_id,
        "sha256": stored.sha256,
        **made,
        **event.assessment.to_dict(),
    }


def _spec(*, colours: list[str] | int, diagnosis: str, **fields: Any) -> LesionSpec:
    if isinstance(colours, int):
        colours = [
            str(colour)
            for colour in typical_colours(colours, choice("diagnosis", diagnosis, Diagnosis))
        ]
    return LesionSpec.from_dict({"colours": colours, "diagnosis": diagnosis, **fields})
