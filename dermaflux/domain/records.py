"""The records that cross layers: requests, images, measurements, predictions, decisions.

Frozen data with checks, no behaviour beyond them and no framework; PIL is used as a type only.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from dermaflux.domain.blend import WEIGHT_RANGE, AdapterUse, parse_blend
from dermaflux.domain.contrast import CONTRAST_RANGE
from dermaflux.domain.errors import InvalidRequest
from dermaflux.domain.lesion import Colour, LesionSpec

if TYPE_CHECKING:
    from PIL import Image

DISCLAIMER = (
    "Research use only. Synthetic images. Not a medical device; not for diagnosis, treatment, or "
    "clinical decisions; predictions are of generated images."
)

MAX_IMAGES_PER_REQUEST = 64
MAX_CANDIDATES = 16
MAX_STEPS = 100
MAX_GUIDANCE_SCALE = 20.0
SIZE_RANGE_PX = (64, 1024)
SIZE_MULTIPLE_PX = 16
MAX_SEED = 2**31 - 1
MAX_CAPTION_CHARS = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplingRequest:
    """What to sample. The same request gives the same pixels on the same machine.

    `spec` is what the caption was composed from, None when the caption was written by hand.
    None for steps, guidance, contrast or size means the model's own default. `adapter` is a blend (`domain.blend`).
    Image i uses seed + i. With several candidates an image, the one measured closest to `spec` is kept, and image i
    draws from seed + i * candidates on. contrast_scale pushes away from the opposite of `spec` (`domain.contrast`);
    without a spec there is no opposite, and it does nothing.
    """

    caption: str
    spec: LesionSpec | None = None
    num_images: int = 1
    seed: int = 0
    num_steps: int | None = None
    guidance_scale: float | None = None
    contrast_scale: float | None = None
    size_px: int | None = None
    model: str = "nano"
    adapter: str | None = None
    adapter_weight: float = 1.0
    candidates: int = 1

    def __post_init__(self) -> None:
        """Raise InvalidRequest naming the first field outside its range."""
        if not self.caption.strip():
            raise InvalidRequest("The caption is empty. Describe the lesion, or move a slider.")
        if len(self.caption) > MAX_CAPTION_CHARS:
            raise InvalidRequest(f"The caption is longer than {MAX_CAPTION_CHARS} characters. Shorten it.")
        _within("num_images", self.num_images, (1, MAX_IMAGES_PER_REQUEST))
        _within("seed", self.seed, (0, MAX_SEED))
        _within("num_steps", self.num_steps, (1, MAX_STEPS))
        _within("guidance_scale", self.guidance_scale, (0.0, MAX_GUIDANCE_SCALE))
        _within("contrast_scale", self.contrast_scale, CONTRAST_RANGE)
        _within("size_px", self.size_px, SIZE_RANGE_PX)
        _within("adapter_weight", self.adapter_weight, WEIGHT_RANGE)
        parse_blend(self.adapter, self.adapter_weight)
        _within("candidates", self.candidates, (1, MAX_CANDIDATES))
        if self.size_px is not None and self.size_px % SIZE_MULTIPLE_PX:
            raise InvalidRequest(f"size_px is {self.size_px}; it must be a multiple of {SIZE_MULTIPLE_PX}.")

    @property
    def adapters(self) -> tuple[AdapterUse, ...]:
        """The adapters that `adapter` names, each with its weight times `adapter_weight`."""
        return parse_blend(self.adapter, self.adapter_weight)

    @property
    def last_seed(self) -> int:
        """The seed of the last image, or of its last candidate."""
        return self.seed + self.num_images * self.candidates - 1

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready dict that `from_dict` reads back to an equal request."""
        return asdict(replace(self, spec=None)) | {"spec": self.spec.to_dict() if self.spec else None}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "SamplingRequest":
        """The request of a dict. Raises InvalidRequest for unknown or bad fields."""
        if unknown := sorted(set(values) - set(cls.__dataclass_fields__)):
            raise InvalidRequest(f"Unknown field {unknown[0]!r} of a sampling request. Remove it.")
        spec = values.get("spec")
        known: dict[str, Any] = dict(values)
        known["spec"] = LesionSpec.from_dict(spec) if spec else None
        return cls(**known)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelIdentity:
    """Which weights made an image: names and content hashes, so that the image can be traced.

    precision: empty for the usual arithmetic, else the format of weights in few bits ("int8", "fp8, T5 nf4").
    speed: the options of `domain.speed` that may change a pixel; empty for none.
    """

    model: str
    model_sha256: str
    adapter: str | None = None
    adapter_sha256: str | None = None
    licence: str = ""
    precision: str = ""
    speed: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepPreview:
    """The clean image as estimated after a step (not the noisy latent). step counts from 1."""

    image_index: int
    step: int
    num_steps: int
    image: "Image.Image"


@dataclass(frozen=True, slots=True, kw_only=True)
class GeneratedImage:
    """One finished sample with all that is needed to make it again.

    `request` holds resolved values (no None for steps, guidance, contrast, size); `seed` is this image's own;
    `batch` counts the images drawn together, which changes how numbers are rounded.
    """

    image: "Image.Image"
    image_index: int
    seed: int
    request: SamplingRequest
    identity: ModelIdentity
    seconds: float
    batch: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """What was measured on an image, in the units of `LesionSpec`, or why it was refused.

    When `refused` is set every number is None: an honest refusal, never a made-up figure.
    colour_score is the continuous variegation behind num_colours, calibrated to 1..6;
    mask_area is the lesion's share of the frame, 0..1; `raw` holds the measures behind the units.
    """

    asymmetry: float | None = None
    border: float | None = None
    colours: tuple[Colour, ...] = ()
    num_colours: int | None = None
    colour_score: float | None = None
    mask_area: float | None = None
    raw: Mapping[str, float] = field(default_factory=dict)
    refused: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready dict; colours as plain strings, null for what was refused."""
        colours = None if self.refused else [str(colour) for colour in self.colours]
        return asdict(self) | {"colours": colours, "raw": dict(self.raw)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """A classifier's calibrated view of one generated image, or why it was refused.

    malignant is a probability in 0..1, `diagnosis` the probability of each class, `threshold` the
    operating point chosen on the validation split, `model_sha256` the checkpoint's hash.
    """

    malignant: float | None = None
    diagnosis: Mapping[str, float] = field(default_factory=dict)
    threshold: float | None = None
    model_sha256: str = ""
    refused: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready dict; null for what was refused."""
        return asdict(self) | {"diagnosis": None if self.refused else dict(self.diagnosis)}


@dataclass(frozen=True, slots=True, kw_only=True)
class NearestTraining:
    """The training picture that comes nearest to an image: distance 0 = the same, 2 = opposite.

    Nearer than `threshold` it counts as a copy; image_id is the picture's public id in its data set.
    """

    distance: float
    threshold: float
    image_id: str

    @property
    def is_copy(self) -> bool:
        """Whether the image counts as memorised."""
        return self.distance <= self.threshold


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessment:
    """What the measurement and the classifier say of one image; `nearest` is None where nothing was compared."""

    measurement: Measurement
    prediction: Prediction
    nearest: NearestTraining | None = None

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready dict."""
        found = {"measurement": self.measurement.to_dict(), "prediction": self.prediction.to_dict()}
        return found | ({"nearest_training": asdict(self.nearest)} if self.nearest else {})

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Assessment":
        """The assessment that `to_dict` wrote. Raises KeyError, TypeError or ValueError for anything else."""
        measured, predicted = dict(values["measurement"]), dict(values["prediction"])
        measured["colours"] = tuple(Colour(name) for name in measured["colours"] or ())
        predicted["diagnosis"] = predicted["diagnosis"] or {}
        nearest = values.get("nearest_training")
        return cls(
            measurement=Measurement(**measured),
            prediction=Prediction(**predicted),
            nearest=NearestTraining(**nearest) if nearest else None,
        )


class Verdict(StrEnum):
    """A reviewer's judgement of one image."""

    ACCEPT = "accept"
    REJECT = "reject"
    UNSURE = "unsure"


class Split(StrEnum):
    """The part of a study an image belongs to. Synthetic images are only ever in train."""

    TRAIN = "train"
    VAL = "val"
    TEST = "test"


SPLITS: Mapping[str, str] = {Split.TRAIN: "training", Split.VAL: "validation", Split.TEST: "test"}
"""What is said of pictures of a split."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredImage:
    """One image in the store: its content hash, where its file is, how it was made, what was found.

    Read in a dataset it has a verdict, and `version`: the sequence of the newest decision on it there that the
    reader may see, 0 when there is none. Sent back with a decision, it keeps the reader from overruling unseen ones.
    `memorised`: whether it copies a training picture, None while nobody has looked.
    """

    image_id: str
    sha256: str
    path: str
    job_id: str | None
    created_at: str
    generated: Mapping[str, Any]
    assessment: Mapping[str, Any]
    verdict: Verdict | None = None
    version: int = 0
    memorised: bool | None = None

    @property
    def requested(self) -> LesionSpec | None:
        """The lesion that was asked for, None when the caption was free text."""
        spec = self.generated.get("spec")
        return LesionSpec.from_dict(spec) if spec else None


def _within(name: str, value: float | None, limits: tuple[float, float]) -> None:
    if value is None:
        return
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not math.isfinite(value):
        raise InvalidRequest(f"{name} is {value!r}, not a number.")
    low, high = limits
    if not low <= value <= high:
        raise InvalidRequest(f"{name} is {value:g}, outside {low:g} to {high:g}. Give a value within.")
