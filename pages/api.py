"""The endpoints for programs, under stable names, over HTTP (`gradio_client`, curl) and MCP alike.

They are typed, and apart from the components, so that a new layout never breaks a script; their docstrings and the
types of their answers (`pages.api_answers`) are what a program reads of them. Classifying, measuring and explaining act
on a stored generated image by its id; no endpoint takes a picture.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import gradio as gr

from dermaflux.domain.lesion import Colour, Diagnosis, ExplainedSide, Sex, Site, SkinTone
from dermaflux.domain.records import DISCLAIMER, SamplingRequest, Verdict
from dermaflux.domain.roles import Role
from dermaflux.services.records import ProbeRequest, ProbeStep
from pages.api_answers import (
    Archive,
    Caption,
    ClassifyAnswer,
    ExplainAnswer,
    GenerateAnswer,
    MeasureAnswer,
    ProbeAnswer,
    ProbeReportAnswer,
    ProbeRunning,
    Statement,
    StoredVerdict,
    VerdictAnswer,
)
from pages.api_fields import ExportLayout, LesionFields, file_answer, generation_answers, lesion_of
from pages.components.caption_text import requested_spec
from pages.components.pictures import overlay_uri
from pages.endpoint import add_endpoint, endpoint
from pages.page import FOLLOW_QUEUE, visitor_of
from pages.probe_panel import PROBE_QUEUE
from pages.review import may_judge

if TYPE_CHECKING:
    from dermaflux.services import Services


def add_api(services: "Services") -> None:
    """Add the endpoints to the current Blocks; first, so that no listener takes one of the names."""
    endpoints = Endpoints(services)
    for function in (endpoints.compose_caption, endpoints.decide, endpoints.undo):
        add_endpoint(function, queue=False)
    add_endpoint(endpoints.export, concurrency_limit=1)
    for function in (endpoints.classify_sample, endpoints.measure_sample, endpoints.explain_sample):
        add_endpoint(function, concurrency_limit=None)
    add_endpoint(endpoints.probe, concurrency_id=PROBE_QUEUE, concurrency_limit=1)
    add_endpoint(endpoints.generate, concurrency_id=FOLLOW_QUEUE, concurrency_limit=None)


class Endpoints:
    """The endpoints over the services. Their parameters are a contract with programs, so there may be many."""

    def __init__(self, services: "Services") -> None:
        self.services = services

    @endpoint(Role.VIEWER, "compose captions")
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
    ) -> Caption:
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
        lesion = LesionFields(
            asymmetry=asymmetry, border=border, colours=colours, diagnosis=diagnosis, age=age, sex=sex, site=site,
            skin_tone=skin_tone,
        )  # fmt: skip
        return self.services.compose_caption(lesion_of(lesion), variation)

    @endpoint(Role.REVIEWER, "generate images")
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
    ) -> Iterator[GenerateAnswer]:
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
        visitor = visitor_of(self.services, request)
        asked = lesion_of(spec) if spec else None
        text = caption if caption.strip() or asked is None else self.services.compose_caption(asked, None)
        sampling = SamplingRequest(
            caption=text,
            spec=requested_spec(text, asked) if asked else None,
            num_images=num_images,
            seed=seed,
            num_steps=num_steps,
            guidance_scale=guidance_scale,
            contrast_scale=contrast_scale,
            size_px=size_px,
            model=model or self.services.settings.model,
            adapter=adapter,
            adapter_weight=adapter_weight,
            candidates=candidates,
        )
        job_id = self.services.submit_generation(visitor.name, sampling).job_id
        yield from generation_answers(job_id, self.services.follow(job_id))

    @endpoint(Role.REVIEWER, "judge images")
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
        visitor = may_judge(self.services, request, dataset)
        stored = self.services.decide(
            dataset, image_id, visitor.name, verdict, expected_version=expected_version, request_id=request_id
        )
        return StoredVerdict(
            image_id=stored.image_id, verdict=stored.verdict, dataset=dataset, version=stored.version
        )

    @endpoint(Role.REVIEWER, "take back a verdict")
    def undo(self, request: gr.Request, dataset: str) -> VerdictAnswer:
        """Take back one's own last verdict in a dataset.

        Parameters:
            dataset: its name

        Returns:
            the image with the verdict it has now
        """
        visitor = visitor_of(self.services, request)
        self.services.open_dataset(dataset, visitor)
        stored = self.services.undo(dataset, visitor.name)
        return VerdictAnswer(image_id=stored.image_id, verdict=stored.verdict, dataset=dataset)

    @endpoint(Role.CURATOR, "export a dataset")
    def export(
        self, request: gr.Request, dataset: str, layout: ExportLayout = "imagefolder"
    ) -> tuple[Archive, Statement]:
        """Export the accepted images of a dataset as one zip file, for training splits only.

        Parameters:
            dataset: its name
            layout: imagefolder, parquet, webdataset, dicom or coco

        Returns:
            the zip file, and the statement that goes with it
        """
        self.services.open_dataset(dataset, visitor_of(self.services, request))
        return file_answer(self.services.export_zip(dataset, layout)), DISCLAIMER

    @endpoint(Role.VIEWER, "classify an image")
    def classify_sample(self, request: gr.Request, image_id: str) -> ClassifyAnswer:
        """Classify a stored generated image: calibrated P(malignant) and diagnoses. Research only; not a diagnosis.

        Parameters:
            image_id: of a stored generated image; pictures cannot be sent

        Returns:
            malignant, diagnosis, statement; refused says why there is no answer
        """
        return ClassifyAnswer(**self.services.assess(image_id).prediction.to_dict(), statement=DISCLAIMER)

    @endpoint(Role.VIEWER, "measure an image")
    def measure_sample(self, request: gr.Request, image_id: str) -> MeasureAnswer:
        """Measure asymmetry (0 to 2), border (0 to 8) and colours on a stored generated image.

        Parameters:
            image_id: of a stored generated image; pictures cannot be sent

        Returns:
            asymmetry, border, colours and the raw measures; refused says why there is no answer
        """
        return MeasureAnswer(**self.services.assess(image_id).measurement.to_dict(), statement=DISCLAIMER)

    @endpoint(Role.VIEWER, "see a saliency map")
    def explain_sample(
        self, request: gr.Request, image_id: str, side: ExplainedSide = "predicted", overlay: bool = False
    ) -> ExplainAnswer:
        """What on a stored generated image speaks, to the classifier, for a side: benign or malignant. Research only.

        Parameters:
            image_id: of a stored generated image; pictures cannot be sent
            side: benign or malignant by name, as the classifier predicts, or as it was requested (not of free text)
            overlay: whether to send the image under its saliency map, too

        Returns:
            how far the map can be believed (deletion, insertion) and how much of it is on the lesion
        """
        found = self.services.explain_stored(image_id, side)
        shown = overlay_uri(found.overlay) if overlay and found.overlay else None
        return ExplainAnswer(**found.to_dict(), overlay=shown, statement=DISCLAIMER)

    @endpoint(Role.CURATOR, "train a head on a dataset")
    def probe(
        self,
        request: gr.Request,
        dataset: str,
        real: str | None = None,
        num_real: int | None = None,
        seed: int = 0,
    ) -> Iterator[ProbeAnswer]:
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
        self.services.open_dataset(dataset, visitor_of(self.services, request))
        asked = ProbeRequest(dataset=dataset, real=self.services.real_set(real), num_real=num_real, seed=seed)
        for event in self.services.probe(asked):
            if isinstance(event, ProbeStep):
                yield ProbeRunning(state="running", doing=event.doing, done=event.done, total=event.total)
            else:
                yield ProbeReportAnswer(state="done", **event.to_dict(), statement=DISCLAIMER)
