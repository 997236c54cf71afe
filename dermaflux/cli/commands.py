"""The verbs and their flags as frozen records, read by tyro. Text beside a field is its help.

It does nothing: `dermaflux.cli.parsing` fills these, the other modules here carry them out.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg, subcommand

from dermaflux.cli.classifier_commands import Classifier, Explain, Strip
from dermaflux.cli.dataset_commands import Export, ImportExport, Provenance
from dermaflux.cli.flags import RealFlags, SamplingFlags, SpecFlags, SyntheticFlags, check_choice
from dermaflux.cli.set_commands import Duplicates, Forget, ImportReal, Probe, Purge
from dermaflux.cli.store_commands import Doctor
from dermaflux.cli.study_commands import Study
from dermaflux.cli.user_commands import Users
from dermaflux.cli.worker_commands import Worker


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

    synthetic: Annotated[SyntheticFlags, arg(name="")]
    reference: Annotated[RealFlags, arg(name="")]
    features: Path | None = None
    """Compare by this vision model (a transformers folder, an Inception v3 file), not the embedded classifier."""
    json: bool = False
    """JSON instead of a table."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Memorisation:
    """Do synthetic pictures copy training pictures (--split train), or leak into an evaluation (val, test)?"""

    synthetic: Annotated[SyntheticFlags, arg(name="")]
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
    """Are the pictures of one request as varied as real lesions of its diagnosis? Each says what was asked for."""

    synthetic: Annotated[SyntheticFlags, arg(name="")]
    reference: Annotated[RealFlags, arg(name="")]
    features: Path | None = None
    """Compare by this vision model (a transformers folder, an Inception v3 file), not the embedded classifier."""
    json: bool = False
    """JSON instead of a table."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Artefacts:
    """Do synthetic pictures show dark corners, hair, ink and rulers as often as real ones, whatever the class?"""

    synthetic: Annotated[SyntheticFlags, arg(name="")]
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
        check_choice(self.max_images, self.seed)


Evaluate = (
    Annotated[Adherence, subcommand("adherence")]
    | Annotated[Quality, subcommand("quality")]
    | Annotated[Memorisation, subcommand("memorisation")]
    | Annotated[Diversity, subcommand("diversity")]
    | Annotated[Artefacts, subcommand("artefacts")]
    | Annotated[Coverage, subcommand("coverage")]
    | Annotated[Probe, subcommand("probe")]
    | Annotated[Classifier, subcommand("classifier")]
)
Command = (
    Annotated[Caption, subcommand("caption")]
    | Annotated[Generate, subcommand("generate")]
    | Annotated[Measure, subcommand("measure")]
    | Annotated[Classify, subcommand("classify")]
    | Annotated[Segment, subcommand("segment")]
    | Annotated[Explain, subcommand("explain")]
    | Annotated[Strip, subcommand("strip")]
    | Annotated[Export, subcommand("export")]
    | Annotated[ImportExport, subcommand("import")]
    | Annotated[Provenance, subcommand("provenance")]
    | Annotated[Doctor, subcommand("doctor")]
    | Annotated[Evaluate, subcommand("evaluate")]
    | Annotated[Study, subcommand("study")]
    | Annotated[Duplicates, subcommand("duplicates")]
    | Annotated[ImportReal, subcommand("import-real")]
    | Annotated[Purge, subcommand("purge")]
    | Annotated[Forget, subcommand("forget")]
    | Annotated[Worker, subcommand("worker")]
    | Annotated[Users, subcommand("users")]
)
