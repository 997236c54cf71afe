"""What services hand to pages and the CLI: the events of a job and the choices on offer.

Frozen records only. They carry domain records and plain values, so a front end needs no capability.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dermaflux.domain.lesion import Side
from dermaflux.domain.records import (
    Assessment,
    GeneratedImage,
    Measurement,
    Prediction,
    StoredImage,
)

if TYPE_CHECKING:
    from PIL import Image

OnStep = Callable[[int, int], None]
"""Progress of long work: called with (done, total) after every step; total 0 while it is not known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerationJob:
    """A generation request in the queue. state: waiting, running, paused, done, failed, cancelled or interrupted.

    `request` is the SamplingRequest as a dict, every default filled in, of a sweep the one that is moved; `sweep` is
    the Sweep as a dict where several requests make up the job. `image_ids` are the images stored so far, `done` counts
    those that were skipped too.
    """

    job_id: str
    user: str
    state: str
    request: Mapping[str, Any]
    done: int
    total: int
    error: str | None = None
    image_ids: tuple[str, ...] = ()
    sweep: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """The job has not begun; `ahead` others come first (0 = next)."""

    job_id: str
    ahead: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Paused:
    """The job rests with `done` of `total` images finished, until its owner lets it go on."""

    job_id: str
    done: int
    total: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Loading:
    """The model is not in memory yet: what is being done, and how many parts are done of how many (0: not counted)."""

    job_id: str
    doing: str
    done: int
    total: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """The clean image as estimated after a step of one image. Never stored."""

    job_id: str
    image_index: int
    step: int
    num_steps: int
    image: "Image.Image"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """One image is done, judged and stored."""

    job_id: str
    image_index: int
    stored: StoredImage
    assessment: Assessment


@dataclass(frozen=True, slots=True, kw_only=True)
class Skipped:
    """One image was left out as its owner wished; the job goes on with the next."""

    job_id: str
    image_index: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How many of the job's images are done or skipped."""

    job_id: str
    done: int
    total: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """The job is over: state is done, cancelled, failed or interrupted; error in words when failed."""

    job_id: str
    state: str
    error: str | None = None


JobEvent = Waiting | Paused | Loading | Preview | Finished | Skipped | Progress | Ended


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeRequest:
    """Whether the accepted images of a dataset help beside real pictures: a folder or zip, and its two splits.

    features: a vision model instead of the embedded classifier. num_real, num_draws and seed as in ProbeOptions.
    """

    dataset: str
    real: Path
    split: str = "train"
    held_out: str = "val"
    features: Path | None = None
    num_real: int | None = None
    num_draws: int = 5
    seed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeStep:
    """How far a probe is: what it does, and how much of that is done."""

    doing: str
    done: int
    total: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelChoice:
    """A base model on offer and its own defaults. available is False while its weights are elsewhere."""

    name: str
    size_px: int
    num_steps: int
    guidance_scale: float
    contrast_scale: float
    licence: str
    available: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class AdapterChoice:
    """A LoRA on offer."""

    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """What on one picture speaks for a side, and how far that can be believed; or why nothing does.

    side: what the map speaks for; predicted: the side at the operating point; requested: the side that was asked for,
    None where that is not known. overlay: the picture under its saliency map. deletion (low is good) and insertion
    (high is good) of the probability of `side` are 0..1; inside_lesion_share: the share of the map inside the lesion's
    mask, which covers lesion_area of the frame; both are None where no lesion is found or no segmenter is installed. A
    low share says that it looked at something else.
    """

    side: Side | None = None
    predicted: Side | None = None
    requested: Side | None = None
    malignant: float | None = None
    deletion: float | None = None
    insertion: float | None = None
    inside_lesion_share: float | None = None
    lesion_area: float | None = None
    overlay: "Image.Image | None" = None
    refused: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready dict, without the overlay; null for what was refused."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__ if name != "overlay"}


@dataclass(frozen=True, slots=True, kw_only=True)
class StripStep:
    """One value of the attribute that moves: the lesion asked for, its image, and what was found on it.

    `measured` is the same attribute as measured on the image, None where it was refused.
    """

    attribute: str
    value: float
    generated: GeneratedImage
    assessment: Assessment

    @property
    def picture(self) -> "Image.Image":
        """Its pixels."""
        return self.generated.image

    @property
    def heading(self) -> str:
        """What moved, and how far."""
        return f"{self.attribute.removeprefix('num_')} {self.value:g}"

    @property
    def malignant(self) -> float | None:
        """P(malignant), None where it was refused."""
        return self.assessment.prediction.malignant

    @property
    def threshold(self) -> float | None:
        """The classifier's operating point, None where it was refused."""
        return self.assessment.prediction.threshold

    @property
    def measured(self) -> float | None:
        """The attribute as measured on the image, None where it was refused."""
        return getattr(self.assessment.measurement, self.attribute)

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready dict, without the pixels."""
        request, found = self.generated.request, self.assessment
        return {
            "attribute": self.attribute,
            "value": self.value,
            "spec": request.spec.to_dict() if request.spec else None,
            "caption": request.caption,
            "seed": self.generated.seed,
            "malignant": self.malignant,
            "measured": self.measured,
            "refused": found.prediction.refused or found.measurement.refused,
        }


def assessment_of(stored: StoredImage) -> Assessment:
    """The assessment that was stored with an image; refusals where none was."""
    if not stored.assessment:
        why = "This image was stored without an assessment."
        return Assessment(measurement=Measurement(refused=why), prediction=Prediction(refused=why))
    return Assessment.from_dict(stored.assessment)
