"""What pictures are compared by, kept between runs: a picture is decoded once, until its file changes.

It knows files and hashes; who is alike is decided in `alike`.
"""

import functools
import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np
from PIL import Image

from dermaflux.domain.errors import DataNotFound, ImageNotReadable, StorageNotWritable
from dermaflux.picture_hashes import content_hash, perceptual_hash
from training.pictures import decode_rgb
from training.sources.roots import FileState, Root

if TYPE_CHECKING:
    from dermaflux.classification.descriptor import LesionDescriptor

THUMB_PX = 16
_CREATE = """CREATE TABLE IF NOT EXISTS fingerprints (
    path TEXT PRIMARY KEY, size INTEGER, mtime_ns INTEGER, sha256 TEXT, phash INTEGER, width INTEGER, height INTEGER,
    thumb BLOB, vector BLOB, described_by TEXT)"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fingerprint:
    """One picture: SHA-256 of its pixels, pHash, size in pixels, and its grey picture of 16 x 16 bytes.

    The descriptor's vector is kept as float16, empty where none was asked for.
    """

    sha256: str
    phash: int
    width: int
    height: int
    thumb: bytes
    vector: bytes = b""


def grey_thumb(image: Image.Image) -> bytes:
    """The grey picture of 16 x 16 pixels that confirms a copy, row by row."""
    return image.convert("L").resize((THUMB_PX, THUMB_PX), Image.Resampling.BOX).tobytes()


def describe(root: Path, names: Sequence[str], descriptor: Path | None) -> list[Fingerprint | str]:
    """The fingerprint of each picture, or why it cannot be read. Runs in any process."""
    files = Root(root)
    return [_described(files, name, descriptor) for name in names]


def _described(files: Root, name: str, descriptor: Path | None) -> Fingerprint | str:
    try:
        image = decode_rgb(files.read(name), name)
    except (ImageNotReadable, DataNotFound) as error:
        return str(error)
    vector = b"" if descriptor is None else _network(descriptor).embed([image])[0].astype(np.float16).tobytes()
    return Fingerprint(
        sha256=content_hash(image),
        phash=int(perceptual_hash(image)),
        width=image.width,
        height=image.height,
        thumb=grey_thumb(image),
        vector=vector,
    )


@functools.cache
def _network(folder: Path) -> "LesionDescriptor":
    from dermaflux.classification.descriptor import (
        LesionDescriptor,  # loads torch, which hashes do without
    )

    return LesionDescriptor.load(folder)


class FingerprintCache:
    """Fingerprints by path, size and time of the file, in one SQLite file. Use as a context manager.

    Raises StorageNotWritable when the file cannot be used.
    """

    def __init__(self, path: Path) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = sqlite3.connect(path)
            self._connection.execute(_CREATE)
        except (OSError, sqlite3.Error) as error:
            raise StorageNotWritable(
                f"The fingerprints cannot be kept in {path} ({error}). Give another file with --cache."
            ) from error

    def __enter__(self) -> Self:
        """The cache itself."""
        return self

    def __exit__(self, *error: object) -> None:
        """Close the file; what was kept is kept."""
        self._connection.close()

    def known(self, path: str, state: FileState, described_by: str) -> Fingerprint | None:
        """What was kept of a file as it is now, None where nothing was, or no vector of that descriptor.

        `described_by` is the SHA-256 of its weights; '' asks for no vector and gets none.
        """
        query = "SELECT sha256, phash, width, height, thumb, vector, described_by FROM fingerprints"
        with closing(self._connection.execute(
            f"{query} WHERE path = ? AND size = ? AND mtime_ns = ?", (path, state.size, state.mtime_ns)
        )) as found:  # fmt: skip
            row = found.fetchone()
        if row is None or (described_by and row[6] != described_by):
            return None
        sha256, phash, width, height, thumb, vector = row[:6] if described_by else (*row[:5], b"")
        return Fingerprint(
            sha256=sha256, phash=phash & (2**64 - 1), width=width, height=height, thumb=thumb, vector=vector
        )

    def keep(self, found: Iterable[tuple[str, FileState, Fingerprint]], described_by: str) -> None:
        """Keep fingerprints, all or none of a call, and whose vectors they hold. Raises StorageNotWritable."""
        rows = [
            # SQLite's integers are signed.
            (path, state.size, state.mtime_ns, print_.sha256, _signed(print_.phash), print_.width, print_.height,
             print_.thumb, print_.vector, described_by)
            for path, state, print_ in found
        ]  # fmt: skip
        try:
            with self._connection:
                self._connection.executemany("INSERT OR REPLACE INTO fingerprints VALUES (?,?,?,?,?,?,?,?,?,?)", rows)
        except sqlite3.Error as error:
            raise StorageNotWritable(f"The fingerprints cannot be kept ({error}). Free some disk space.") from error


def _signed(number: int) -> int:
    return number - 2**64 if number >= 2**63 else number
