"""Unpacks a zip that somebody sent: within limits, and never outside the folder. It knows nothing of what is inside."""

import zipfile
import zlib
from pathlib import Path, PurePosixPath

from dermaflux.domain.errors import InvalidRequest

MAX_BYTES = 2 * 10**9
MAX_FILES = 400_000


def unpack(archive: Path, folder: Path) -> Path:
    """Unpack into an empty folder; the folder, or the only one inside when the zip holds just that.

    Raises InvalidRequest for a damaged zip, one that unpacks too large, or a name that leads out of the folder.
    """
    try:
        with zipfile.ZipFile(archive) as packed:
            _check(packed, archive.name)
            packed.extractall(folder)
    except (zipfile.BadZipFile, zlib.error, RuntimeError, EOFError) as error:  # RuntimeError: encrypted
        raise InvalidRequest(
            f"{archive.name} cannot be unpacked ({error}). Send the zip as it was exported."
        ) from error
    inside = list(folder.iterdir())
    return inside[0] if len(inside) == 1 and inside[0].is_dir() else folder


def _check(packed: zipfile.ZipFile, name: str) -> None:
    entries = packed.infolist()
    total = sum(entry.file_size for entry in entries)  # no entry is read past the size it declares
    if total > MAX_BYTES or len(entries) > MAX_FILES:
        raise InvalidRequest(
            f"{name} unpacks to {total / 10**9:.1f} GB in {len(entries):,} files, more than a browser may send. "
            "Import it on the server: python -m dermaflux import."
        )
    for entry in entries:
        path = PurePosixPath(entry.filename)
        if path.is_absolute() or ".." in path.parts:
            raise InvalidRequest(f"{name} holds {entry.filename!r}, which leads out of its folder. Nothing was taken.")
