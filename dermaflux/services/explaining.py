"""Looking into the classifier: how good it is on real pictures, and how it follows one slider at one seed.

Real pictures are judged for these figures alone and never kept. It wires `evaluation` to the judges and the generator.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from dermaflux.domain.caption import compose
from dermaflux.domain.errors import InvalidRequest
from dermaflux.domain.lesion import Diagnosis
from dermaflux.domain.records import GeneratedImage, SamplingRequest
from dermaflux.domain.sweep import LEVELS, moved_spec
from dermaflux.services.making import Making
from dermaflux.services.records import OnStep, StripStep

if TYPE_CHECKING:
    from PIL import Image

    from dermaflux.evaluation.classifier_report import ClassifierReport, JudgedPicture

_BATCH = 32
SKIN_TONE = "skin tone"


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledPicture:
    """What is known of a real picture: diagnosis, lesion, and its group by attribute, None where it is not known."""

    diagnosis: Diagnosis
    lesion_id: str
    groups: Mapping[str, str | None] = field(default_factory=dict)


class Explaining(Making):
    """Reports on the classifier, and strips of images along one attribute."""

    def evaluate_classifier(
        self,
        pictures: Sequence[LabelledPicture],
        load: Callable[[int], "Image.Image"],
        *,
        seed: int = 0,
        on_step: OnStep | None = None,
    ) -> "ClassifierReport":
        """Every figure of the classifier in use on labelled real pictures, loaded one by one by their place.

        Skin tone, as estimated on the picture, is one more attribute of the subgroups. Raises InvalidRequest when
        not both benign and malignant pictures are there, and what `load` raises.
        """
        from dermaflux.evaluation.classifier_metrics import Bootstrap
        from dermaflux.evaluation.classifier_report import classifier_report

        judged: list[JudgedPicture] = []
        for start in range(0, len(pictures), _BATCH):
            part = pictures[start : start + _BATCH]
            judged += self._judged(part, [load(start + place) for place in range(len(part))])
            if on_step:
                on_step(len(judged), len(pictures))
        return classifier_report(judged, Bootstrap(seed=seed))

    def strip_values(self, attribute: str, num_steps: int) -> tuple[float, ...]:
        """So many values of an attribute, evenly over its range, no two of which a caption would call the same.

        attribute: asymmetry, border or num_colours. Raises InvalidRequest for another one, or another number of steps.
        """
        if attribute not in LEVELS:
            raise InvalidRequest(f"attribute {attribute!r} cannot be moved. Choose one of: {', '.join(LEVELS)}.")
        levels = LEVELS[attribute]
        if not 2 <= num_steps <= len(levels):
            raise InvalidRequest(
                f"The number of steps is {num_steps}, but captions tell {len(levels)} values of {attribute} apart. "
                f"Give 2 to {len(levels)}."
            )
        places = [round(step * (len(levels) - 1) / (num_steps - 1)) for step in range(num_steps)]
        return tuple(levels[place] for place in places)

    def probability_along(
        self, request: SamplingRequest, attribute: str, values: Sequence[float]
    ) -> Iterator[StripStep]:
        """One image for each value of one attribute, all else and the seed held, with what the judges find on it.

        attribute: asymmetry, border or num_colours. Raises InvalidRequest at the first step unless the request has a
        spec and asks for one image and one candidate; also as `resolve` does. Closing the iterator stops the work.
        """
        if request.spec is None or request.num_images != 1 or request.candidates != 1:
            raise InvalidRequest("A strip needs a described lesion, one image and one candidate. Leave others out.")
        request = self.resolve(request)
        assert request.spec is not None
        for value in values:
            spec = moved_spec(request.spec, attribute, value)
            asked = replace(request, spec=spec, caption=compose(spec))
            for event in self.generate(asked):
                if isinstance(event, GeneratedImage):
                    found = self.assess(event.image)
                    yield StripStep(attribute=attribute, value=float(value), generated=event, assessment=found)

    def _judged(
        self, pictures: Sequence[LabelledPicture], images: Sequence["Image.Image"]
    ) -> list["JudgedPicture"]:
        from dermaflux.evaluation.classifier_report import JudgedPicture

        return [
            JudgedPicture(
                diagnosis=str(picture.diagnosis),
                positive=picture.diagnosis.is_malignant,
                lesion_id=picture.lesion_id,
                prediction=prediction,
                groups={**picture.groups, SKIN_TONE: self.skin_tone(image)},
            )
            for picture, image, prediction in zip(pictures, images, self._classifier().predict(images), strict=True)
        ]
