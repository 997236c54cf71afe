"""The verbs that let datasets out, take them back in, and check files, as frozen records read by tyro.

It does nothing, like `dermaflux.cli.commands`, whose union these join.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tyro.conf import Positional


@dataclass(frozen=True, slots=True, kw_only=True)
class Export:
    """Export a dataset's accepted images."""

    dataset: str
    """The dataset's name."""
    format: Literal["imagefolder", "parquet", "webdataset", "dicom"] = "imagefolder"
    """The layout that is written."""
    out: Path
    """The folder to write to; must be empty or missing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """Check that files still say truly that they are synthetic: record, pixels, XMP, signature. PNG and DICOM."""

    paths: Positional[tuple[Path, ...]]
    """Files, or folders of .png and .dcm files."""
    json: bool = False
    """One JSON object a line, with the whole record."""
