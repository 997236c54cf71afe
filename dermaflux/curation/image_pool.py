"""The pool of image files: content-addressed, written once, never changed.

`ab/abcdef....png` under one folder, named by the sha256 of the content. It knows no table and no image format.
A pool elsewhere (`remote_pool`) is this one, kept as a cache, with the files themselves behind fsspec.
"""

import hashlib
import os
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from dermaflux.curation.database import storage_errors
from dermaflux.domain.errors import DataNotFound, ImageNotReadable

QUARANTINE = ".quarantine"
PARTIAL = ".partial"


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolFile:
    """A file found in a pool, by its path in it; `modified_at` in seconds since 1970, None when nobody knows."""

    name: str
    num_bytes: int
    modified_at: float | None

    @property
    def is_partial(self) -> bool:
        """Whether a write that was cut off left it."""
        return self.name.endswith(PARTIAL)


def sha256_of(content: bytes) -> str:
    """The content's hash: its name in the pool."""
    return hashlib.sha256(content).hexdigest()


def pool_name(sha256: str) -> str:
    """The path in the pool of the content with that hash."""
    return f"{sha256[:2]}/{sha256}.png"


class ImagePool:
    """Files by content hash in a local folder; the folder is made with the first file."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()  # what `path` gives may come back as a name, and must stay as it is

    def __str__(self) -> str:
        """Where the files are, for messages."""
        return str(self.folder)

    def write(self, content: bytes, sha256: str) -> str:
        """Store the content under its hash and return the path relative to the folder.

        When it returns, the file is whole and on the disk. Raises StorageNotWritable, or DataNotFound when the
        content is not the one that hash names (a lost file that could not be made again).
        """
        if sha256_of(content) != sha256:
            raise DataNotFound(f"The image file {sha256}.png is gone. Restore it from a backup.")
        name = pool_name(sha256)
        target = self.folder / name
        with storage_errors("write the image"):
            if target.is_file() and target.stat().st_size == len(content):
                return name
            _make_durably(target.parent)
            _write_durably(target, content)
        return name

    def path(self, name: str | Path) -> Path:
        """Where a stored file is on this machine; an absolute path stays as it is."""
        return self.folder / name

    def bring_here(self, sha256s: Iterable[str]) -> None:
        """See to it that the files with these hashes are where `path` says, as far as they exist: here they are."""

    def has(self, name: str) -> bool:
        """Whether the file is there; its content is not looked at."""
        return self.path(name).is_file()

    def read(self, name: str | Path, sha256: str) -> bytes:
        """The content of a stored file, checked against its hash.

        Raises DataNotFound when the file is gone, ImageNotReadable when it was changed.
        """
        return self._checked(self.path(name), sha256)

    def read_original(self, name: str, sha256: str) -> bytes:
        """As `read`, but never from a cache."""
        return self.read(name, sha256)

    def files(self) -> Iterator[PoolFile]:
        """Every file in the pool, partial ones too, the quarantine left out; in no order."""
        with storage_errors("be listed"):
            for folder, folders, names in os.walk(self.folder, onerror=_raise_unless_gone):
                if Path(folder) == self.folder and QUARANTINE in folders:
                    folders.remove(QUARANTINE)
                for path in (Path(folder, name) for name in names):
                    try:
                        found = path.stat()
                    except FileNotFoundError:
                        continue  # moved in the meantime
                    name = path.relative_to(self.folder).as_posix()
                    yield PoolFile(name=name, num_bytes=found.st_size, modified_at=found.st_mtime)

    def quarantine(self, name: str) -> str:
        """Take a file out of the pool without losing it; returns its path in the pool now."""
        kept = f"{QUARANTINE}/{name}"
        with storage_errors("move a file into quarantine"):
            self.path(kept).parent.mkdir(parents=True, exist_ok=True)
            os.replace(self.path(name), self.path(kept))
        return kept

    def remove(self, name: str) -> None:
        """Delete a file for good; nothing happens when it is gone already."""
        with storage_errors("remove a file"):
            self.path(name).unlink(missing_ok=True)

    def _checked(self, path: Path, sha256: str) -> bytes:
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            raise DataNotFound(
                f"The image file {path} is gone though the database lists it. Restore it from a backup."
            ) from None
        except OSError as error:
            raise ImageNotReadable(f"{path} cannot be read ({error.strerror}). Check the disk.") from error
        if sha256_of(content) != sha256:
            raise ImageNotReadable(f"{path} was changed after it was stored. Restore it from a backup.")
        return content


def _raise_unless_gone(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):  # a pool without a file has no folder yet
        raise error


def _write_durably(target: Path, content: bytes) -> None:
    handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=".", suffix=PARTIAL)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, target)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    _sync(target.parent)


def _make_durably(folder: Path) -> None:
    """Make a folder so that a power cut does not take it, and the files synced into it, away again."""
    if not folder.is_dir():
        _make_durably(folder.parent)
        folder.mkdir(exist_ok=True)
        _sync(folder.parent)


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
