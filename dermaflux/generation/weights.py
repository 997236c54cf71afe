"""Content hashes of weights, so that every image can be traced to what made it. It loads nothing."""

import hashlib
import os
import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

from dermaflux.domain.errors import ModelNotAvailable

_CHUNK_BYTES = 1 << 20
# The hub's cache names a large file by its own sha256, and `hub` holds it to that: no need to read 33 GB again.
_HUB_BLOB = re.compile(r"[0-9a-f]{64}")
_MAX_LINKS = 8


def sha256_of_folder(folder: Path) -> str:
    """One hash for all safetensors files under a folder: of the lines 'sha256  relative/path', sorted by path.

    Raises ModelNotAvailable when there is none.
    """
    files = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*.safetensors")}
    if not files:
        raise ModelNotAvailable(f"{folder} holds no .safetensors weights. Reinstall the model.")
    return sha256_of_files(files)


def sha256_of_files(files: Mapping[str, Path]) -> str:
    """One hash for files by name: of the lines 'sha256  name', sorted by name."""
    lines = (f"{sha256_of_file(files[name])}  {name}\n" for name in sorted(files))
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def sha256_of_file(path: Path) -> str:
    """The sha256 of a file's bytes, remembered while its size and time of change stay the same."""
    return stated_sha256(path) or digest_of(path)


def stated_sha256(path: Path) -> str | None:
    """The sha256 by which the hub's cache names what a path leads to; None for a file that lies elsewhere."""
    for _ in range(_MAX_LINKS):
        if path.parent.name == "blobs" and _HUB_BLOB.fullmatch(path.name):
            return path.name
        if not path.is_symlink():
            break
        path = path.parent / os.readlink(path)
    return None


def digest_of(path: Path) -> str:
    """The sha256 of a file as it is now, whatever its name says."""
    facts = path.stat()
    return _digest(path.resolve(), facts.st_size, facts.st_mtime_ns)


@lru_cache(maxsize=256)
def _digest(path: Path, _size_bytes: int, _changed_ns: int) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as handle:
        while chunk := handle.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()
