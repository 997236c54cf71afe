"""The pool of image files: content-addressed, written once, never changed.

`ab/abcdef....png` under one folder, named by the sha256 of the content. It knows no table and no image format.
"""

import hashlib
import os
import tempfile
from pathlib import Path

from dermaflux.curation.database import storage_errors
from dermaflux.domain.errors import DataNotFound, ImageNotReadable


def sha256_of(content: bytes) -> str:
    """The content's hash: its name in the pool."""
    return hashlib.sha256(content).hexdigest()


def pool_name(sha256: str) -> str:
    """Where the content of that hash is in the pool."""
    return f"{sha256[:2]}/{sha256}.png"


class ImagePool:
    """Files by content hash in a local folder; the folder is made with the first file."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()  # what `path` gives may come back as a name, and must stay as it is

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
            target.parent.mkdir(parents=True, exist_ok=True)
            _write_durably(target, content)
        return name

    def has(self, name: str) -> bool:
        """Whether a stored file is there."""
        return self.path(name).is_file()

    def remove(self, name: str) -> None:
        """Remove a stored file for good; one that is gone already is no error. Raises StorageNotWritable."""
        with storage_errors("remove the image"):
            self.path(name).unlink(missing_ok=True)

    def path(self, name: str | Path) -> Path:
        """Where a stored file is; an absolute path stays as it is."""
        return self.folder / name

    def read(self, name: str | Path, sha256: str) -> bytes:
        """The content of a stored file, checked against its hash.

        Raises DataNotFound when the file is gone, ImageNotReadable when it was changed.
        """
        try:
            content = self.path(name).read_bytes()
        except FileNotFoundError:
            raise DataNotFound(
                f"The image file {self.path(name)} is gone though the database lists it. Restore it from a backup."
            ) from None
        except OSError as error:
            raise ImageNotReadable(f"{self.path(name)} cannot be read ({error.strerror}). Check the disk.") from error
        if sha256_of(content) != sha256:
            raise ImageNotReadable(f"{self.path(name)} was changed after it was stored. Restore it from a backup.")
        return content


def _write_durably(target: Path, content: bytes) -> None:
    handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=".", suffix=".partial")
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
    folder = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
