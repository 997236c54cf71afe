"""The flags that several verbs share, as frozen records read by tyro. Text beside a field is its help."""

from dataclasses import dataclass
from pathlib import Path

from tyro.conf import Positional

from dermaflux.domain.errors import InvalidRequest
from dermaflux.domain.lesion import Colour, Diagnosis, LesionSpec, choice, typical_colours

_REQUIRED = ("asymmetry", "border", "colours", "diagnosis")


@dataclass(frozen=True, slots=True, kw_only=True)
class SpecFlags:
    """The lesion that is asked for."""

    asymmetry: float | None = None
    """Axes of asymmetry, 0 to 2."""
    border: float | None = None
    """Irregular or abrupt eighths of the outline, 0 to 8."""
    colours: str | None = None
    """How many, 1 to 6 (the usual ones are taken), or their names: 'light brown,dark brown'."""
    diagnosis: str | None = None
    """nv, bkl, df, vasc, mel, bcc, akiec, benign or malignant."""
    age: float | None = None
    """Years."""
    sex: str | None = None
    """female or male."""
    site: str | None = None
    """Where on the body, as back or 'lower extremity'."""
    skin_tone: str | None = None
    """Fitzpatrick type, I to VI."""

    @property
    def is_empty(self) -> bool:
        """Whether no flag of the lesion was given."""
        return self == SpecFlags()

    def spec(self) -> LesionSpec:
        """The lesion. Raises InvalidRequest naming what is missing or does not belong."""
        if missing := [name for name in _REQUIRED if getattr(self, name) is None]:
            flags = " and ".join(f"--{name}" for name in missing)
            raise InvalidRequest(
                f"The lesion is not fully described: {flags} missing. Add what is missing."
            )
        assert self.asymmetry is not None and self.border is not None
        diagnosis = choice("diagnosis", self.diagnosis, Diagnosis)
        return LesionSpec(
            asymmetry=self.asymmetry,
            border=self.border,
            colours=_colours(str(self.colours), diagnosis),
            diagnosis=diagnosis,
            age=self.age,
            sex=self.sex,  # type: ignore[arg-type] - LesionSpec turns text into the vocabulary
            site=self.site and self.site.replace("_", " ").replace("-", " "),  # type: ignore[arg-type]
            skin_tone=self.skin_tone,  # type: ignore[arg-type]
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawingFlags:
    """What to sample with, and how it acts. What is left out is the model's own default."""

    seed: int = 0
    """Image i uses seed + i; the same flags and seed give the same pixels."""
    model: str | None = None
    """nano, flux-dev, flux-schnell or a folder with a FluxPipeline."""
    adapter: str | None = None
    """LoRAs, NAME or NAME:WEIGHT with commas between: a known name, a .safetensors file or a hub repository."""
    adapter_weight: float = 1.0
    """How strongly all of them act."""
    guidance: float | None = None
    """Guidance scale."""
    contrast: float | None = None
    """How strongly to push away from the opposite lesion, so that asymmetry, border and diagnosis show: 0 to 10."""
    size: int | None = None
    """Pixels a side, a multiple of 16."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplingFlags(DrawingFlags):
    """The same, and how much work to do."""

    steps: int | None = None
    """Sampling steps."""
    candidates: int = 1
    """Draw so many for each image and keep the one measured and classified closest to the request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RealFlags:
    """The real pictures to compare with."""

    real: Path
    """A folder of pictures (with metadata.csv for lesion ids, diagnosis, split) or a .zip of them."""
    split: str = "train"
    """The split of the metadata that counts; pictures without one all count."""
    max_images: int | None = None
    """At most this many pictures of each set, chosen by seed. Left out: 1000 for quality, all for memorisation."""
    seed: int = 0
    """Of the choice."""

    def __post_init__(self) -> None:
        """Raise InvalidRequest for a number that cannot be."""
        check_choice(self.max_images, self.seed)


@dataclass(frozen=True, slots=True, kw_only=True)
class SyntheticFlags:
    """The synthetic pictures that are looked at."""

    images: Positional[tuple[Path, ...]] = ()
    """A folder of synthetic pictures."""
    dataset: str | None = None
    """The accepted images of this dataset instead."""

    def __post_init__(self) -> None:
        """Raise InvalidRequest unless exactly one source is named."""
        if bool(self.images) == (self.dataset is not None):
            raise InvalidRequest("Name a folder of synthetic pictures, or a --dataset: one of the two.")


def check_choice(max_images: int | None, seed: int) -> None:
    """Raise InvalidRequest unless a choice of pictures by these two can be."""
    if max_images is not None and max_images < 1:
        raise InvalidRequest(f"--max-images is {max_images}. Give at least 1, or leave it out.")
    if seed < 0:
        raise InvalidRequest(f"--seed is {seed}. Give 0 or more.")


def _colours(text: str, diagnosis: Diagnosis) -> tuple[Colour, ...]:
    try:
        count = int(text)
    except ValueError:
        return tuple(
            choice("colours", name.strip(), Colour) for name in text.split(",") if name.strip()
        )
    return typical_colours(count, diagnosis)
