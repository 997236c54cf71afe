"""Does a file still say truly that it is synthetic? Its record, its pixels, its XMP, its C2PA signature; PNG and DICOM.

It knows files only, no store: a file whose pixels and record were both rewritten is seen by a signature, by a
manifest or by the store, not by itself.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image

from dermaflux.curation.credentials import read_credentials
from dermaflux.curation.export_dicom import PRIVATE_CREATOR, read_record
from dermaflux.domain.errors import DataNotFound, ImageNotReadable
from dermaflux.provenance import CHUNK, DIGITAL_SOURCE_TYPE, XMP_CHUNK, inspect

_DICOM_MAGIC = b"DICM"
_OUR_MARKS = (b"iTXt" + CHUNK.encode() + b"\0", PRIVATE_CREATOR.encode())


class FileState(StrEnum):
    """What a check comes to."""

    INTACT = "intact"
    CHANGED = "changed"
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class FileCheck:
    """What was found in one file. `problems` are sentences; state `none` means no record, or no image at all.

    signature: valid, invalid, unchecked (c2pa-python is missing) or None without one; `signed_by` is what the
    certificate says of itself.
    """

    path: str
    kind: str | None
    state: FileState
    problems: tuple[str, ...] = ()
    signature: str | None = None
    signed_by: str | None = None
    record: Mapping[str, Any] | None = None

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready dict."""
        return asdict(self) | {"state": str(self.state), "problems": list(self.problems)}


def check_file(path: Path) -> FileCheck:
    """Read and verify one file. A file without a record or that is no image is answered, not raised.

    Raises DataNotFound when there is no such file, ImageNotReadable when it may not be read.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise DataNotFound(f"{path} does not exist. Check the path.") from None
    except OSError as error:
        raise ImageNotReadable(f"{path} cannot be read ({error.strerror}). Name a file.") from error
    is_dicom = content[128:132] == _DICOM_MAGIC
    try:
        return _check_dicom(path, content) if is_dicom else _check_picture(path, content)
    except (DataNotFound, ImageNotReadable) as error:
        kind = "dicom" if is_dicom else None
        # Ours but broken (a flipped bit, a cut end) was changed; anything else never had a record.
        state = FileState.CHANGED if any(mark in content for mark in _OUR_MARKS) else FileState.NONE
        return FileCheck(path=str(path), kind=kind, state=state, problems=(str(error),))


def _check_picture(path: Path, content: bytes) -> FileCheck:
    found = inspect(content)
    problems = _pixel_problems(found.intact)
    if f"DigitalSourceType>{DIGITAL_SOURCE_TYPE}</" not in _xmp_of(content):
        problems.append("The XMP packet that says trainedAlgorithmicMedia is gone.")
    signed = read_credentials(content)
    if signed and signed.holds is False:
        problems.append(f"The C2PA signature does not hold: {signed.problem}.")
    elif signed and signed.holds and signed.source_type != DIGITAL_SOURCE_TYPE:
        problems.append("The C2PA manifest does not say trainedAlgorithmicMedia.")
    names = {True: "valid", False: "invalid", None: "unchecked"}
    return FileCheck(
        path=str(path),
        kind="png",
        state=FileState.CHANGED if problems else FileState.INTACT,
        problems=tuple(problems),
        signature=names[signed.holds] if signed else None,
        signed_by=signed.issuer if signed else None,
        record=found.provenance.to_dict(),
    )


def _check_dicom(path: Path, content: bytes) -> FileCheck:
    found, says_synthetic = read_record(content)
    problems = _pixel_problems(found.intact)
    if not says_synthetic:
        problems.append("Synthetic Data (0008,001C) is not YES.")
    return FileCheck(
        path=str(path),
        kind="dicom",
        state=FileState.CHANGED if problems else FileState.INTACT,
        problems=tuple(problems),
        record=found.provenance.to_dict(),
    )


def _pixel_problems(intact: bool) -> list[str]:
    return [] if intact else ["The pixels are not those the record was written for."]


def _xmp_of(content: bytes) -> str:
    with Image.open(BytesIO(content)) as picture:
        text = picture.info.get(XMP_CHUNK, "")
    return text if isinstance(text, str) else ""
