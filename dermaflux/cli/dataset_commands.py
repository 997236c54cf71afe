"""The verbs that let datasets out, take them back in, and check files, as frozen records read by tyro.

It does nothing, like `dermaflux.cli.commands`, whose union these join.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from tyro.conf import Positional, arg

from dermaflux.domain.errors import DataNotFound


@dataclass(frozen=True, slots=True, kw_only=True)
class ChoiceFlags:
    """Which images of the dataset leave it; what stays behind is counted with the reason."""

    verdicts: str = "accept"
    """What all reviewers together came to: accept, reject or unsure, with commas between."""
    min_agreement: float = 0.0
    """The least share of an image's reviewers who accepted it, 0 to 1."""
    include_memorised: bool = False
    """Also images flagged as too close to training images."""
    without: Path | None = None
    """A file with the ids or sha256 of images to leave out, one a line."""
    duplicate_bits: int | None = None
    """Of images whose perceptual hashes differ in at most so many of 64 bits only one leaves. 0 to 6 is usual."""
    max_per_diagnosis: int | None = None
    """At most so many images of each diagnosis."""

    def choice(self) -> dict[str, Any]:
        """The fields of the export request. Raises DataNotFound when the file of --without cannot be read."""
        chosen = {name: getattr(self, name) for name in ("min_agreement", "include_memorised")}
        chosen |= {"duplicate_bits": self.duplicate_bits, "max_per_diagnosis": self.max_per_diagnosis}
        chosen["verdicts"] = tuple(name.strip() for name in self.verdicts.split(",") if name.strip())
        if self.without is not None:
            try:
                chosen["without"] = frozenset(self.without.read_text(encoding="utf-8").split())
            except (OSError, UnicodeError) as error:
                raise DataNotFound(f"{self.without} cannot be read ({error}). Name a text file of ids.") from error
        return chosen


@dataclass(frozen=True, slots=True, kw_only=True)
class Export:
    """Export a dataset's accepted images."""

    dataset: str
    """The dataset's name."""
    format: Literal["imagefolder", "parquet", "webdataset", "dicom", "coco"] = "imagefolder"
    """The layout that is written."""
    out: Path
    """The folder to write to; must be empty or missing."""
    filters: Annotated[ChoiceFlags, arg(name="")]
    push: str | None = None
    """Then upload the folder to this dataset repository of the hub, OWNER/NAME; a new one is private."""
    public: bool = False
    """Make a new repository of --push public."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportExport:
    """Take an exported folder back in: the same images with the same verdicts, or nothing when anything was changed."""

    folder: Positional[Path]
    """An export as imagefolder, parquet, webdataset or coco."""
    dataset: str
    """The dataset they come into; made when it is missing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """Check that files still say truly that they are synthetic: record, pixels, XMP, signature. PNG and DICOM."""

    paths: Positional[tuple[Path, ...]]
    """Files, or folders of .png and .dcm files."""
    json: bool = False
    """One JSON object a line, with the whole record."""
