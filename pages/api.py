"""The endpoints for programs, under stable names, over HTTP (`gradio_client`, curl) and MCP alike.

They are typed, and apart from the components, so that a new layout never breaks a script; their docstrings are what
an MCP client reads. Classifying and measuring act on a stored generated image by its id; no endpoint takes a picture.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import gradio as gr

from dermaflux.domain.lesion import Colour, Diagnosis, Sex, Site, SkinTone
from dermaflux.domain.records import DISCLAIMER, SamplingRequest, Verdict
from dermaflux.domain.roles import Role
from dermaflux.services.records import (
    Ended,
    Finished,
    Paused,
    Preview,
    ProbeRequest,
    ProbeStep,
    Skipped,
)
from pages.api_fields import (
    Answer,
    ExportedFile,
    ExportLayout,
    LesionFields,
    StoredVerdict,
    VerdictAnswer,
    file_answer,
    image_answer,
    lesion_of,
)
from pages.components.caption_text import requested_spec
from pages.page import FOLLOW_QUEUE, in_words, visitor_in, visitor_of
from pages.probe_panel import PROBE_QUEUE
from pages.review import may_judge

if TYPE_CHECKING:
    from dermaflux.services import Services


def add_api(services: "Services") -> None:
    """Add the endpoints to the current Blocks; first, so that no listener takes one of the names."""
    endpoints = Endpoints(services)
    for function in (endpoints.compose_caption, endpoints.decide, endpoints.undo):
        gr.api(function, api_name=function.__name__, queue=False)
    gr.api(endpoints.export, api_name="export", concurrency_limit=1)
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
        request: gr.Request,
        asymmetry: float,
        border: float,
        colours: list[Colour] | int,
        diagnosis: Diagnosis,
        age: float | None = None,
        sex: Sex | None = None,
        site: Site | None = None,
        skin_tone: SkinTone | None = None,
        variation: int | None = None,
    ) -> str:
        """Compose the caption of a skin lesion, in the grammar the generator was trained on.

        Parameters:
            asymmetry: axes of asymmetry, 0 to 2
            border: eighths of the contour that are irregular, 0 to 8
            colours: names of colours, or how many (1 to 6)
            diagnosis: one of seven, or plain benign or malignant
            age: years
            sex: female or male
            site: where on the body
            skin_tone: Fitzpatrick type, I to VI
            variation: any number for another wording of the same

        Returns:
            the caption
        """
        visitor_of(self._services, request).require(Role.VIEWER, "compose captions")
        lesion = LesionFields(
            asymmetry=asymmetry, border=border, colours=colours, diagnosis=diagnosis, age=age, sex=sex, site=site,
            skin_tone=skin_tone,
        )  # fmt: skip
        return self._services.compose_caption(lesion_of(lesion), variation)

    @in_words
    def generate(  # noqa: PLR0913 - one parameter a field of SamplingRequest
        self,
        request: gr.Request,
        caption: str = "",
        spec: LesionFields | None = None,
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
        """Sample synthetic dermoscopic images from a caption, from a spec, or from both, and store them.

        Streams {job_id, state, step, num_steps, images, skipped}; the last answer holds every image with what was
        measured on it and what the classifier says, and the numbers, from 0, of images that were skipped on the page.
        Research use only, synthetic images, not a medical device.

        Parameters:
            caption: the description; left empty, it is composed from the spec
            spec: the lesion, with the fields of compose_caption
            num_images: how many
            seed: of the first image; each further one adds 1
            num_steps: sampling steps; left out, as the model states
            guidance_scale: how closely the caption is followed; left out, as the model states
            contrast_scale: how loudly asymmetry, border and diagnosis show; left out, as the model states
            size_px: side in pixels, a multiple of 16; left out, as the model was trained
            model: nano, flux-dev, flux-schnell; left out, as the app was set up
            adapter: a LoRA by name, or several with commas between
            adapter_weight: of all adapters
            candidates: draw so many for each image and keep the one measured closest to the spec

        Returns:
            job, state and images
        """
        visitor = visitor_of(self._services, request).require(Role.REVIEWER, "generate images")
        asked = lesion_of(spec) if spec else None
        text = caption if caption.strip() or asked is None else self._services.compose_caption(asked, None)
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
        yield from self._answers(self._services.submit_generation(visitor.name, sampling).job_id)

    @in_words
    def decide(
        self,
        request: gr.Request,
        image_id: str,
        verdict: Verdict,
        dataset: str,
        expected_version: int | None = None,
        request_id: str | None = None,
    ) -> StoredVerdict:
        """Accept, reject or leave unsure one generated image in a dataset.

        Parameters:
            image_id: of a stored generated image
            verdict: accept, reject or unsure
            dataset: its name; a new one is made by a curator's first verdict
            expected_version: the version the image was seen with (0 is undecided); refused when it is decided since
            request_id: any text of one's own; a request sent again with it is stored once

        Returns:
            the verdict as all reviewers together come to it, and the image's version
        """
        visitor = may_judge(self._services, request, dataset)
        stored = self._services.decide(
            dataset, image_id, visitor.name, verdict, expected_version=expected_version, request_id=request_id
        )
        return StoredVerdict(
            image_id=stored.image_id, verdict=stored.verdict, dataset=dataset, version=stored.version
        )

    @in_words
    def undo(self, request: gr.Request, dataset: str) -> VerdictAnswer:
        """Take back one's own last verdict in a dataset.

        Parameters:
            dataset: its name

        Returns:
            the image with the verdict it has now
        """
        visitor = visitor_in(self._services, request, dataset, Role.REVIEWER, "take back a verdict")
        stored = self._services.undo(dataset, visitor.name)
        return VerdictAnswer(image_id=stored.image_id, verdict=stored.verdict, dataset=dataset)

    @in_words
    def export(
        self, request: gr.Request, dataset: str, layout: ExportLayout = "imagefolder"
    ) -> tuple[ExportedFile, str]:
        """Export the accepted images of a dataset as one zip file, for training splits only.

        Parameters:
            dataset: its name
            layout: imagefolder, parquet, webdataset, dicom or coco

        Returns:
            the zip file, and the statement that goes with it
        """
        visitor_in(self._services, request, dataset, Role.CURATOR, "export a dataset")
        return file_answer(self._services.export_zip(dataset, layout)), DISCLAIMER

    @in_words
    def classify_sample(self, request: gr.Request, image_id: str) -> Answer:
        """Classify a stored generated image: calibrated P(malignant) and diagnoses. Research only; not a diagnosis.

        Parameters:
            image_id: of a stored generated image; pictures cannot be sent

        Returns:
            malignant, diagnosis, statement; refused says why there is no answer
        """
        visitor_of(self._services, request).require(Role.VIEWER, "classify an image")
        return self._services.assess(image_id).prediction.to_dict() | {"statement": DISCLAIMER}

    @in_words
    def measure_sample(self, request: gr.Request, image_id: str) -> Answer:
        """Measure asymmetry (0 to 2), border (0 to 8) and colours on a stored generated image.

        Parameters:
            image_id: of a stored generated image; pictures cannot be sent

        Returns:
            asymmetry, border, colours and the raw measures; refused says why there is no answer
        """
        visitor_of(self._services, request).require(Role.VIEWER, "measure an image")
        return self._services.assess(image_id).measurement.to_dict() | {"statement": DISCLAIMER}

    @in_words
    def probe(
        self,
        request: gr.Request,
        dataset: str,
        real: str | None = None,
        num_real: int | None = None,
        seed: int = 0,
    ) -> Iterator[Answer]:
        """Do the accepted images of a dataset help a classifier? Trains a quick head with and without them.

        Streams {state, doing, done, total}; the last answer is the report, with state done.

        Parameters:
            dataset: its name
            real: a set of real pictures by its name here; left out, the first
            num_real: learn from so many real pictures
            seed: of the draws

        Returns:
            the report
        """
        visitor_in(self._services, request, dataset, Role.CURATOR, "train a head on a dataset")
        asked = ProbeRequest(dataset=dataset, real=self._services.real_set(real), num_real=num_real, seed=seed)
        for event in self._services.probe(asked):
            if isinstance(event, ProbeStep):
                yield {"state": "running", "doing": event.doing, "done": event.done, "total": event.total}
            else:
                yield {"state": "done", **event.to_dict(), "statement": DISCLAIMER}

    def _answers(self, job_id: str) -> Iterator[Answer]:
        answer: Answer = {"job_id": job_id, "state": "queued", "images": [], "skipped": [], "statement": DISCLAIMER}
        for event in self._services.follow(job_id):
            match event:
                case Preview():
                    answer |= {"state": "running", "step": event.step, "num_steps": event.num_steps}
                case Paused():
                    answer |= {"state": "paused"}
                case Finished():
                    answer |= {"images": [*answer["images"], image_answer(event)]}
                case Skipped():
                    answer |= {"skipped": [*answer["skipped"], event.image_index]}
                case Ended():
                    answer |= {"state": event.state, "error": event.error}
            yield dict(answer)
