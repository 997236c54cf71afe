"""A pool of image files anywhere fsspec reaches (`s3://`, `hf://`, `memory://`, ...), with a checked cache here.

It knows the fsspec interface, and of drivers only which have no folders and where a write is a commit.
"""

import logging
import secrets
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import fsspec
from fsspec.core import url_to_fs

from dermaflux.curation.image_pool import (
    PARTIAL,
    QUARANTINE,
    ImagePool,
    PoolFile,
    pool_name,
    sha256_of,
)
from dermaflux.domain.errors import (
    DataNotFound,
    DermaFluxError,
    ImageNotReadable,
    StorageNotWritable,
)

log = logging.getLogger(__name__)

_FETCHES_AT_ONCE = 16
_COMMITS = ("hf",)  # here trying to write would leave two commits at every start
_NO_FOLDERS = ("s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "oci", "oss", "hf")  # makedirs would make a bucket
_MODIFIED_KEYS = ("mtime", "LastModified", "last_modified", "created")


def open_pool(url: str, cache_folder: Path, *, try_writing: bool = True) -> ImagePool:
    """The pool at a folder or an fsspec URL; files from elsewhere are kept under cache_folder too.

    Raises StorageNotWritable when the URL is none, its driver is not installed, or (when tried) nothing can be written
    there.
    """
    if "://" not in url:
        return ImagePool(Path(url))
    protocol = url.partition("://")[0]
    try:
        if not protocol:
            raise ValueError("it begins with ://")
        filesystem, root = url_to_fs(url)
    except ImportError as error:
        raise StorageNotWritable(
            f"The driver for {protocol}:// is not installed ({error}). Install it (for s3://: pip install s3fs), "
            "or keep the images in a folder."
        ) from error
    except Exception as error:  # each driver refuses a URL in its own way
        raise StorageNotWritable(
            f"{url!r} is no place for images ({error}). Give a folder or a URL such as s3://BUCKET/FOLDER."
        ) from error
    if protocol in ("file", "local"):
        return ImagePool(Path(root))
    if not root.strip("/"):
        raise StorageNotWritable(f"{url!r} names no folder. Write {protocol}://BUCKET/FOLDER.")
    pool = RemoteImagePool(filesystem, root, cache_folder)
    if try_writing:
        pool.try_writing()
    return pool


class RemoteImagePool(ImagePool):
    """Files by content hash under a root of an fsspec file system; `folder` is a cache that may be deleted."""

    def __init__(self, filesystem: fsspec.AbstractFileSystem, root: str, cache_folder: Path) -> None:
        super().__init__(cache_folder)
        self._fs: Any = filesystem  # its declared types are wider than what these calls give
        self._root = root.rstrip("/")

    def __str__(self) -> str:
        """The URL."""
        return self._fs.unstrip_protocol(self._root)

    def try_writing(self) -> None:
        """Write a small file there and take it away again. Raises StorageNotWritable."""
        with self._errors("be used"):
            if self._speaks(_COMMITS):
                self._fs.ls(self._root)
                return
            name = f".{secrets.token_hex(8)}{PARTIAL}"
            self._put(name, b"DermaFlux may write here")
            self._fs.rm_file(self._at(name))

    def write(self, content: bytes, sha256: str) -> str:
        """Store the content under its hash, there and in the cache, and return its path in the pool.

        When it returns, the other side has confirmed the whole file. Raises as ImagePool does.
        """
        if sha256_of(content) != sha256:
            raise DataNotFound(f"The image file {sha256}.png is gone. Restore it from a backup.")
        name = pool_name(sha256)
        with self._errors("take an image"):
            if self._size(name) != len(content):
                self._put(name, content)
                if self._size(name) != len(content):
                    raise OSError(f"{name} did not arrive whole")
        return super().write(content, sha256)

    def bring_here(self, sha256s: Iterable[str]) -> None:
        """Fetch into the cache what is not in it, each checked; what is missing or changed there stays away."""
        wanted = [sha256 for sha256 in dict.fromkeys(sha256s) if not self.path(pool_name(sha256)).is_file()]
        if not wanted:
            return
        if len(wanted) == 1 or not self._fs.async_impl:  # other drivers promise nothing about threads
            for sha256 in wanted:
                self._fetch_if_good(sha256)
            return
        with ThreadPoolExecutor(_FETCHES_AT_ONCE) as threads:
            list(threads.map(self._fetch_if_good, wanted))

    def has(self, name: str) -> bool:
        """Whether the file is there, whatever the cache holds."""
        with self._errors("be read"):
            return self._size(name) is not None

    def read(self, name: str | Path, sha256: str) -> bytes:
        """The content, checked, from the cache or, when that has not got it whole, from the pool."""
        try:
            return super().read(pool_name(sha256), sha256)
        except DataNotFound:
            pass
        except ImageNotReadable as error:
            log.warning("%s; it is fetched again", error)
            super().remove(pool_name(sha256))
        content = self.read_original(pool_name(sha256), sha256)
        super().write(content, sha256)
        return content

    def read_original(self, name: str, sha256: str) -> bytes:
        """The content as it is in the pool, checked against its hash."""
        with self._errors("be read"):
            try:
                content = self._fs.cat_file(self._at(name))
            except FileNotFoundError:
                raise DataNotFound(
                    f"The image file {self}/{name} is gone though the database lists it. Restore it from a backup."
                ) from None
        if sha256_of(content) != sha256:
            raise ImageNotReadable(f"{self}/{name} was changed after it was stored. Restore it from a backup.")
        return content

    def files(self) -> Iterator[PoolFile]:
        """Every file in the pool, the quarantine left out; in no order."""
        with self._errors("be listed"):
            self._fs.invalidate_cache()
            found = self._fs.find(self._root, detail=True)
        for path, facts in found.items():
            name = path.removeprefix(self._root).lstrip("/")
            if not name.startswith(f"{QUARANTINE}/"):
                yield PoolFile(name=name, num_bytes=facts.get("size") or 0, modified_at=_modified_at(facts))

    def quarantine(self, name: str) -> str:
        """Take a file out of the pool without losing it; returns its path in the pool now."""
        kept = f"{QUARANTINE}/{name}"
        with self._errors("move a file into quarantine"):
            self._put(kept, self._fs.cat_file(self._at(name)))
            self._fs.rm_file(self._at(name))
        super().remove(name)
        return kept

    def remove(self, name: str) -> None:
        """Delete a file for good, here too; nothing happens when it is gone already."""
        with self._errors("remove a file"):
            if self._size(name) is not None:
                self._fs.rm_file(self._at(name))
        super().remove(name)

    def _at(self, name: str) -> str:
        return f"{self._root}/{name}"

    def _put(self, name: str, content: bytes) -> None:
        path = self._at(name)
        if not self._speaks(_NO_FOLDERS):
            self._fs.makedirs(path.rpartition("/")[0], exist_ok=True)
        self._fs.pipe_file(path, content)

    def _size(self, name: str) -> int | None:
        self._fs.invalidate_cache(self._at(name))  # another process may have written since
        try:
            return self._fs.info(self._at(name))["size"]
        except FileNotFoundError:
            return None

    def _fetch_if_good(self, sha256: str) -> None:
        try:
            content = self.read_original(pool_name(sha256), sha256)
        except (DataNotFound, ImageNotReadable) as error:
            log.warning("%s", error)  # whoever wants the content is told by `read`; a page shows the others
            return
        super().write(content, sha256)

    def _speaks(self, protocols: tuple[str, ...]) -> bool:
        own = self._fs.protocol
        return not set(protocols).isdisjoint((own,) if isinstance(own, str) else own)

    @contextmanager
    def _errors(self, what: str) -> Iterator[None]:
        try:
            yield
        except DermaFluxError:
            raise
        except Exception as error:  # drivers raise what their libraries do: OSError, botocore, HTTP errors
            raise StorageNotWritable(
                f"The image storage {self} could not {what} ({_in_one_line(error)}). "
                "Check that it exists, that it can be reached, and the credentials."
            ) from error


def _modified_at(facts: Mapping[str, Any]) -> float | None:
    moment = next((facts[key] for key in _MODIFIED_KEYS if facts.get(key) is not None), None)
    return moment.timestamp() if isinstance(moment, datetime) else moment


def _in_one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
