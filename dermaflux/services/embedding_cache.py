"""Vectors of pictures on the disk, one folder a feature model: content hash -> vector, so that none is computed twice.

Vectors lie in parts that are never changed, named by what they hold; many parts are merged into one. Whatever is
damaged or gone is computed again. It knows no model and no picture.
"""

import hashlib
import io
import logging
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from dermaflux.services.pictures import prepare_folder, write_whole

if TYPE_CHECKING:
    import numpy as np

log = logging.getLogger(__name__)
MAX_PARTS = 16
_BATCH = 32
_BATCHES_A_PART = 8


class EmbeddingCache:
    """The vectors of one feature model in a folder. Several processes may use it at once; a part appears whole."""

    def __init__(self, folder: Path) -> None:
        self._folder = prepare_folder(folder)
        self.vectors: Mapping[str, np.ndarray] = self._read()

    def fill(
        self, keys: Sequence[str], embed: Callable[[Sequence[int]], "np.ndarray"]
    ) -> Iterator[tuple[int, int]]:
        """Compute what is missing with `embed(rows of keys)`, telling (done, total); what is done is kept when stopped.

        Raises StorageNotWritable, and what `embed` raises.
        """
        first = {key: row for row, key in reversed(list(enumerate(keys))) if key not in self.vectors}
        rows = sorted(first.values())
        waiting: dict[str, np.ndarray] = {}
        try:
            for start in range(0, len(rows), _BATCH):
                yield start, len(rows)
                some = rows[start : start + _BATCH]
                waiting |= dict(zip([keys[row] for row in some], embed(some), strict=True))
                if len(waiting) >= _BATCH * _BATCHES_A_PART:
                    waiting = self._keep(waiting)
        finally:  # also when the caller stops listening
            self._keep(waiting)

    def _keep(self, found: Mapping[str, "np.ndarray"]) -> dict[str, "np.ndarray"]:
        if found:
            self.vectors = {**self.vectors, **found}
            self._write(found)
        return {}

    def _write(self, found: Mapping[str, "np.ndarray"]) -> Path:
        import numpy as np

        keys = sorted(found)
        content = io.BytesIO()
        np.savez(content, keys=np.array(keys), vectors=np.stack([found[key] for key in keys]).astype(np.float32))
        path = self._folder / f"{hashlib.sha256(''.join(keys).encode()).hexdigest()[:32]}.npz"
        write_whole(path, content.getvalue())
        return path

    def _read(self) -> Mapping[str, "np.ndarray"]:
        parts = sorted(self._folder.glob("*.npz"))
        found: dict[str, np.ndarray] = {}
        for path in parts:
            found |= _part(path)
        if len(parts) > MAX_PARTS and found:
            kept = self._write(found)
            for path in parts:
                if path != kept:
                    path.unlink(missing_ok=True)
        return found


def _part(path: Path) -> dict[str, "np.ndarray"]:
    import numpy as np

    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as part:
            return dict(zip(part["keys"].tolist(), part["vectors"], strict=True))
    except FileNotFoundError:  # another process has just merged it
        return {}
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        log.warning("%s is damaged (%s); its vectors are computed again", path, error)
        path.unlink(missing_ok=True)
        return {}
