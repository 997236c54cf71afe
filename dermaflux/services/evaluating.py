"""Judging sets and models: wires the pure figures of `evaluation` to the generator, the judges and the store."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from dermaflux.domain.caption import compose
from dermaflux.domain.errors import InvalidRequest
from dermaflux.domain.lesion import Diagnosis, LesionSpec
from dermaflux.domain.records import GeneratedImage, Measurement, SamplingRequest, StoredImage
from dermaflux.provenance import read_provenance
from dermaflux.services.making import Making
from dermaflux.services.records import OnStep, assessment_of

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image

    from dermaflux.evaluation.adherence import AdherenceReport
    from dermaflux.evaluation.artefact_audit import ArtefactAudit, MarkedPictures
    from dermaflux.evaluation.coverage import CoverageReport, LesionFacts
    from dermaflux.evaluation.diversity import DiversityReport
    from dermaflux.evaluation.memorisation import MemorisationReport, RealFeatures
    from dermaflux.evaluation.quality import QualityReport
    from dermaflux.measurement.artefacts import Artefacts

    Marked = tuple[str, Artefacts]  # a diagnosis and what was found on its picture

_SWEPT_FROM = (Diagnosis.NV, Diagnosis.MEL)


class Evaluating(Making):
    """The six evaluations. Pictures and features are gathered by the caller, who knows where they are."""

    def evaluate_adherence(
        self, request: SamplingRequest, on_step: OnStep | None = None
    ) -> "AdherenceReport":
        """Sweep every slider from the middle of a nevus and of a melanoma; the request's caption and spec are set here.

        Each of the 39 requests of the sweep makes request.num_images images with the same seeds. Raises as `resolve`.
        """
        from dermaflux.evaluation import adherence

        points = adherence.sweep_points(
            [adherence.middle_spec(diagnosis) for diagnosis in _SWEPT_FROM]
        )
        request, samples = self.resolve(replace(request, spec=points[0].spec)), []
        for sample in adherence.run_sweep(points, self._images_of(request), self.assess):
            samples.append(sample)
            if on_step:
                on_step(len(samples), len(points) * request.num_images)
        return adherence.adherence_report(samples)

    def evaluate_quality(
        self, real: "np.ndarray", synthetic: "np.ndarray", seed: int = 0
    ) -> "QualityReport":
        """Compare features (N, D) of synthetic images with real ones, beside the real-to-real floor."""
        import numpy as np

        from dermaflux.evaluation import quality

        # Features come with length 1; at mean square 1 an entry, KID's kernel (x.y / D + 1)^3 sees the cosine.
        scale = np.sqrt(real.shape[1])
        return quality.quality_report(real * scale, synthetic * scale, np.random.default_rng(seed))

    def evaluate_memorisation(
        self, synthetic: "np.ndarray", training: "RealFeatures", unseen: "RealFeatures | None" = None
    ) -> "MemorisationReport":
        """Look for synthetic images (M, D) that copy a training one, by a threshold calibrated on real ones.

        On the unseen ones when there are some: real pictures that nothing was trained on.
        """
        from dermaflux.evaluation import memorisation

        calibration = (
            memorisation.calibrate(training.features, training.lesion_ids)
            if unseen is None
            else memorisation.calibrate_on_unseen(training.features, unseen)
        )
        return memorisation.memorisation_report(synthetic, training.features, calibration)

    def evaluate_diversity(
        self, synthetic: "np.ndarray", asked: Sequence[LesionSpec], real: "np.ndarray", diagnoses: Sequence[str]
    ) -> "DiversityReport":
        """Compare the spread of features (M, D) within each request with that within its real class (N, D)."""
        from dermaflux.evaluation import diversity

        return diversity.diversity_report(
            diversity.Labelled(
                features=synthetic,
                diagnoses=[str(spec.diagnosis) for spec in asked],
                groups=[str(spec.to_dict()) for spec in asked],
            ),
            diversity.Labelled(features=real, diagnoses=diagnoses),
        )

    def evaluate_artefacts(
        self, synthetic: Sequence["Marked"], real: Sequence["Marked"], seed: int = 0
    ) -> "ArtefactAudit":
        """Compare how often two sets show vignette, hair, ink and ruler, by diagnosis."""
        from dermaflux.evaluation.artefact_audit import audit
        from dermaflux.measurement.artefacts import THRESHOLDS

        marks = tuple(THRESHOLDS)
        return audit(_table_of(real, marks), _table_of(synthetic, marks), marks, seed)

    def marks_of(self, diagnosis: Diagnosis, image: "Image.Image") -> "Marked":
        """What the artefact audit counts of one picture."""
        from dermaflux.measurement.artefacts import find_artefacts

        return str(diagnosis), find_artefacts(image, self._measurer().segment(image))

    def asked_of_file(self, path: Path) -> LesionSpec:
        """The lesion that a picture made here was asked to show.

        Raises DataNotFound or ImageNotReadable as `read_provenance` does, InvalidRequest for free text.
        """
        spec = read_provenance(path).spec
        if spec is None:
            raise InvalidRequest(f"{path.name} was made from free text, so nothing says what it should show.")
        return spec

    def accepted_images(self, dataset: str, *, with_copies: bool = False) -> tuple[StoredImage, ...]:
        """The accepted images of a dataset by content hash; known copies of training pictures only if asked for.

        Exports and the probe leave those behind too. Raises DataNotFound (no such dataset), InvalidRequest (none left).
        """
        found = tuple(i for i in self._store().accepted(dataset) if with_copies or not i.memorised)
        if not found:
            raise InvalidRequest(
                f"No image of {dataset!r} is accepted yet, or all are copies of training pictures. Accept some first."
            )
        return found

    def asked_of_stored(self, image: StoredImage) -> LesionSpec:
        """The lesion that a stored image was asked to show. Raises InvalidRequest for free text."""
        if (spec := image.requested) is None:
            raise InvalidRequest(f"{image.image_id} was made from free text, so nothing says what it should show.")
        return spec

    def evaluate_coverage(
        self, dataset: str, real: Sequence["LesionFacts"] = ()
    ) -> "CoverageReport":
        """Count the accepted images of a dataset by diagnosis and measured level, beside real ones."""
        from dermaflux.evaluation.coverage import coverage_report

        accepted = [
            self.lesion_facts(Diagnosis(spec["diagnosis"]), assessment_of(stored).measurement)
            for stored in self._store().accepted(dataset)
            if (spec := stored.generated.get("spec"))  # free text asks for no diagnosis to count it under
        ]
        return coverage_report(accepted, real)

    def lesion_facts(self, diagnosis: Diagnosis, measurement: Measurement) -> "LesionFacts":
        """What coverage counts of one picture."""
        from dermaflux.evaluation.coverage import LesionFacts

        return LesionFacts(
            diagnosis=diagnosis,
            asymmetry=measurement.asymmetry,
            border=measurement.border,
            num_colours=measurement.num_colours,
        )

    def _images_of(
        self, request: SamplingRequest
    ) -> Callable[[LesionSpec], Sequence["Image.Image"]]:
        def images(spec: LesionSpec) -> list["Image.Image"]:
            asked = replace(request, caption=compose(spec), spec=spec)
            return [
                event.image for event in self.generate(asked) if isinstance(event, GeneratedImage)
            ]

        return images


def _table_of(marked: Sequence["Marked"], marks: Sequence[str]) -> "MarkedPictures":
    import numpy as np

    from dermaflux.evaluation.artefact_audit import MarkedPictures

    shape = (len(marked), len(marks))
    return MarkedPictures(
        scores=np.array([[getattr(found, mark) for mark in marks] for _, found in marked]).reshape(shape),
        present=np.array([[found.present()[mark] for mark in marks] for _, found in marked], dtype=bool).reshape(shape),
        diagnoses=[diagnosis for diagnosis, _ in marked],
    )
