"""Content hashes of weights, so that every image can be traced to what made it. It loads nothing."""

import hashlib
import re
from functools import lru_cache
from pathlib import Path

from dermaflux.domain.errors import ModelNotAvailable

_CHUNK_BYTES = 1 << 20
# The hub's cache names a large file by its own sha256 and verifies it on download: no need to read 33 GB again.
_HUB_BLOB = re.compile(r"[0-9a-f]{64}")


def sha256_of_folder(folder: Path) -> str:
    """One hash for all safetensors files under a folder: of the lines 'sha256  relative/path', sorted by path.

    Raises ModelNotAvailable when there is none.
    """
    files = sorted(
        folder.rglob("*.safetensors"), key=lambda path: path.relative_to(folder).as_posix()
    )
    if not files:
        raise ModelNotAvailable(f"{folder} holds no .safetensors weights. Reinstall the model.")
    lines = (f"{sha256_of_file(path)}  {path.relative_to(folder).as_posix()}\n" for path in files)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def sha256_of_file(path: Path) -> str:
    """The sha256 of a file's bytes, remembered while its size and time of change stay the same."""
    target = path.resolve()
    if target.parent.name == "blobs" and _HUB_BLOB.fullmatch(target.name):
        return target.name
    facts = target.stat()
    return _digest(target, facts.st_size, facts.st_mtime_ns)


@lru_cache(maxsize=256)
def _digest(path: Path, _size_bytes: int, _changed_ns: int) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as handle:
        while chunk := handle.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()
