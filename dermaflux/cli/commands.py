"""The verbs and their flags as frozen records, read by tyro. Text beside a field is its help.

It does nothing: `dermaflux.cli.parsing` fills these, the other modules here carry them out.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg, subcommand

from dermaflux.cli.dataset_commands import Export, ImportExport, Provenance
from dermaflux.cli.set_commands import Duplicates, Forget, ImportReal, Probe, Purge
from dermaflux.cli.store_commands import Doctor
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
class SamplingFlags:
    """How to sample. What is left out is the model's own default."""

    seed: int = 0
    """Image i uses seed + i; the same flags and seed give the same pixels."""
    model: str | None = None
    """nano, flux-dev, flux-schnell or a folder with a FluxPipeline."""
    adapter: str | None = None
    """LoRAs, NAME or NAME:WEIGHT with commas between: a known name, a .safetensors file or a hub repository."""
    adapter_weight: float = 1.0
    """How strongly all of them act."""
    steps: int | None = None
    """Sampling steps."""
    guidance: float | None = None
    """Guidance scale."""
    contrast: float | None = None
    """How strongly to push away from the opposite lesion, so that asymmetry, border and diagnosis show: 0 to 10."""
    size: int | None = None
    """Pixels a side, a multiple of 16."""
    candidates: int = 1
    """Draw so many for each image and keep the one measured and classified closest to the request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Caption:
    """Compose the caption of a lesion."""

    lesion: Annotated[SpecFlags, arg(name="")]
    variation: int | None = None
    """Another wording of the same lesion: any number names one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Generate:
    """Generate images of a lesion, one PNG each."""

    lesion: Annotated[SpecFlags, arg(name="")]
    sampling: Annotated[SamplingFlags, arg(name="")]
    out: Path
    """The folder to write to; made when it is missing."""
    caption: str | None = None
    """Free text instead of the lesion's flags."""
    num_images: int = 1
    """How many, 1 to 64."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """Measure asymmetry, border and colours on pictures."""

    paths: Positional[tuple[Path, ...]]
    """Pictures or folders of them."""
    json: bool = False
    """One JSON object a line instead of a table."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Classify:
    """Estimate P(malignant) and the diagnosis of generated pictures. Research only."""

    paths: Positional[tuple[Path, ...]]
    """Pictures or folders of them."""
    json: bool = False
    """One JSON object a line instead of a table."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """Write the lesion mask of each picture as an 8-bit PNG."""

    paths: Positional[tuple[Path, ...]]
    """Pictures or folders of them."""
    out: Path
    """The folder to write to; made when it is missing."""


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
        _check_choice(self.max_images, self.seed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Adherence:
    """Do the images show what was asked? Sweeps every slider and measures."""

    sampling: Annotated[SamplingFlags, arg(name="")]
    num_images: int = 4
    """Images for each of the 39 requests of the sweep (seeds seed, seed + 1, ...)."""
    json: bool = False
    """JSON instead of tables."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """How near are synthetic pictures to real ones? FID, KID, precision, recall, density, coverage."""

    images: Positional[Path]
    """A folder of synthetic pictures."""
    reference: Annotated[RealFlags, arg(name="")]
    features: Path | None = None
    """Compare by this vision model (a transformers folder, an Inception v3 file), not the embedded classifier."""
    json: bool = False
    """JSON instead of a table."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Memorisation:
    """Do synthetic pictures copy training pictures?"""

    images: Positional[Path]
    """A folder of synthetic pictures."""
    reference: Annotated[RealFlags, arg(name="")]
    unseen: str = "val"
    """The split that nothing was trained on: how near its pictures come to training ones sets the threshold."""
    sheet: Path | None = None
    """Also write the ten closest pairs as a PNG, the real picture at the right. It shows patients: keep it private."""
    features: Path | None = None
    """Compare by this vision model (a transformers folder, an Inception v3 file), not the embedded descriptor."""
    json: bool = False
    """JSON instead of a table."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Diversity:
    """Are the pictures of one request as varied as real lesions of its diagnosis?"""

    images: Positional[Path]
    """A folder of pictures made here: each says in its record what was asked for."""
    reference: Annotated[RealFlags, arg(name="")]
    features: Path | None = None
    """Compare by this vision model (a transformers folder, an Inception v3 file), not the embedded classifier."""
    json: bool = False
    """JSON instead of a table."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Artefacts:
    """Do synthetic pictures show dark corners, hair, ink and rulers as often as real ones, whatever the class?"""

    images: Positional[Path]
    """A folder of pictures made here: each says in its record what was asked for."""
    reference: Annotated[RealFlags, arg(name="")]
    json: bool = False
    """JSON instead of a table."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """Which diagnoses and attribute levels does a dataset hold, and which does it lack?"""

    dataset: str
    """The dataset's name."""
    real: Path | None = None
    """A folder of real pictures with metadata.csv (diagnosis) to compare with."""
    split: str = "train"
    """The split of the metadata that counts."""
    max_images: int = 1000
    """At most this many real pictures are measured."""
    seed: int = 0
    """Of their choice."""
    json: bool = False
    """JSON instead of a table."""

    def __post_init__(self) -> None:
        """Raise InvalidRequest for a number that cannot be."""
        _check_choice(self.max_images, self.seed)


Evaluate = (
    Annotated[Adherence, subcommand("adherence")]
    | Annotated[Quality, subcommand("quality")]
    | Annotated[Memorisation, subcommand("memorisation")]
    | Annotated[Diversity, subcommand("diversity")]
    | Annotated[Artefacts, subcommand("artefacts")]
    | Annotated[Coverage, subcommand("coverage")]
    | Annotated[Probe, subcommand("probe")]
)
Command = (
    Annotated[Caption, subcommand("caption")]
    | Annotated[Generate, subcommand("generate")]
    | Annotated[Measure, subcommand("measure")]
    | Annotated[Classify, subcommand("classify")]
    | Annotated[Segment, subcommand("segment")]
    | Annotated[Export, subcommand("export")]
    | Annotated[ImportExport, subcommand("import")]
    | Annotated[Provenance, subcommand("provenance")]
    | Annotated[Doctor, subcommand("doctor")]
    | Annotated[Evaluate, subcommand("evaluate")]
    | Annotated[Duplicates, subcommand("duplicates")]
    | Annotated[ImportReal, subcommand("import-real")]
    | Annotated[Purge, subcommand("purge")]
    | Annotated[Forget, subcommand("forget")]
)


def _colours(text: str, diagnosis: Diagnosis) -> tuple[Colour, ...]:
    try:
        count = int(text)
    except ValueError:
        return tuple(
            choice("colours", name.strip(), Colour) for name in text.split(",") if name.strip()
        )
    return typical_colours(count, diagnosis)


def _check_choice(max_images: int | None, seed: int) -> None:
    if max_images is not None and max_images < 1:
        raise InvalidRequest(f"--max-images is {max_images}. Give at least 1, or leave it out.")
    if seed < 0:
        raise InvalidRequest(f"--seed is {seed}. Give 0 or more.")
