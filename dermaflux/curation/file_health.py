"""Looks whether every image row has its file and every file its row, and mends what can be mended.

It never deletes an image: a file without a row, or with other content than its name says, moves to quarantine.
How a lost image is generated again is the caller's business.
"""

import logging
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from sqlalchemy import Engine, Row, func, select

from dermaflux.curation.database import READS_ONLY, storage_errors
from dermaflux.curation.health_records import Check, Repair
from dermaflux.curation.image_pool import PARTIAL, QUARANTINE, ImagePool, PoolFile, sha256_of
from dermaflux.curation.tables import ImageRow
from dermaflux.domain.errors import DataNotFound, ImageNotReadable

log = logging.getLogger(__name__)

PARTIAL_KEPT_SECONDS = 3600.0  # younger ones may be a write that is going on
ORPHAN_KEPT_SECONDS = 60.0  # a file comes a moment before its row
_READS_AT_ONCE = 8

OnStep = Callable[[int, int], None]
Remake = Callable[[str], bytes | None]


class FileHealth:
    """The files of one pool beside the rows of one migrated database; work_folders hold what exports leave."""

    def __init__(self, engine: Engine, pool: ImagePool, work_folders: Sequence[Path] = ()) -> None:
        self._engine = engine.execution_options(**READS_ONLY)
        self._pool = pool
        self._work_folders = work_folders

    def check(self, on_step: OnStep | None = None) -> tuple[Check, ...]:
        """Every file read and hashed. on_step(done, total) is called as images are. Raises StorageNotWritable."""
        files = list(self._pool.files())  # before the rows: what is stored meanwhile has both
        return self._check_rows(on_step), self._check_orphans(files), self._check_partials(files)

    def restore(self, remake: Remake) -> tuple[int, int]:
        """Bring back lost or changed files; returns how many are whole again, and how many are still not.

        A copy is looked for in cache and quarantine; then remake(image_id) may give the bytes once more.
        """
        restored = lost = 0
        for image_id, name, sha256 in list(self._damaged()):
            content = self._copy(name, sha256) or remake(image_id)
            if content is None or sha256_of(content) != sha256:
                lost += 1
                continue
            if self._pool.has(name):
                self._pool.quarantine(name)
            self._pool.write(content, sha256)
            restored += 1
        return restored, lost

    def quarantine_orphans(self) -> int:
        """Move files without a row out of the pool; returns how many."""
        names = self._orphans(list(self._pool.files()))
        for name in names:
            self._pool.quarantine(name)
        return len(names)

    def remove_partials(self) -> int:
        """Remove what interrupted writes left more than an hour ago; returns how many."""
        names = self._partials(list(self._pool.files()))
        for name in names:
            self._pool.remove(name)
        left = list(self._leftovers())
        with storage_errors("remove a partial file"):
            for path in left:
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        return len(names) + len(left)

    def _check_rows(self, on_step: OnStep | None) -> Check:
        damaged = list(self._damaged(on_step))
        if not damaged:
            return Check(name="images", ok=True, says=f"{self._num_rows()} rows, each with its file, unchanged")
        says = f"{len(damaged)} of {self._num_rows()} files are missing or changed: {_first(n for _, n, _ in damaged)}"
        return Check(
            name="images", ok=False, says=says, repair=Repair.FILES, items=tuple(name for _, name, _ in damaged)
        )

    def _check_orphans(self, files: Sequence[PoolFile]) -> Check:
        if names := self._orphans(files):
            says = f"{len(names)} files without a row: {_first(names)}"
            return Check(name="orphans", ok=False, says=says, repair=Repair.ORPHANS, items=tuple(names))
        return Check(name="orphans", ok=True, says="no file without a row")

    def _check_partials(self, files: Sequence[PoolFile]) -> Check:
        if names := [*self._partials(files), *map(str, self._leftovers())]:
            says = f"{len(names)} left by interrupted writes: {_first(names)}"
            return Check(name="partials", ok=False, says=says, repair=Repair.PARTIALS, items=tuple(names))
        return Check(name="partials", ok=True, says="nothing left by interrupted writes")

    def _damaged(self, on_step: OnStep | None = None) -> Iterator[tuple[str, str, str]]:
        """(image id, name in the pool, sha256) of each row whose file is missing or changed."""
        rows = self._rows()
        with ThreadPoolExecutor(_READS_AT_ONCE) as threads:
            for done, (row, whole) in enumerate(zip(rows, threads.map(self._is_whole, rows), strict=True), start=1):
                if on_step:
                    on_step(done, len(rows))
                if not whole:
                    yield row.id, row.path, row.sha256

    def _is_whole(self, row: Row) -> bool:
        try:
            self._pool.read_original(row.path, row.sha256)
        except (DataNotFound, ImageNotReadable) as error:
            log.info("%s", error)
            return False
        return True

    def _copy(self, name: str, sha256: str) -> bytes | None:
        for where in (name, f"{QUARANTINE}/{name}"):
            try:
                return self._pool.read(name, sha256) if where == name else self._pool.read_original(where, sha256)
            except (DataNotFound, ImageNotReadable):
                continue  # the next place may have it
        return None

    def _orphans(self, files: Sequence[PoolFile]) -> list[str]:
        known = {row.path for row in self._rows()}
        return sorted(
            file.name for file in files
            if file.name not in known and not file.is_partial and _is_older(file.modified_at, ORPHAN_KEPT_SECONDS)
        )  # fmt: skip

    def _partials(self, files: Sequence[PoolFile]) -> list[str]:
        return sorted(f.name for f in files if f.is_partial and _is_older(f.modified_at, PARTIAL_KEPT_SECONDS))

    def _leftovers(self) -> Iterator[Path]:
        """Drafts of exports, and partial files of the cache: hidden, and untouched for an hour."""
        for folder in self._work_folders:
            for path in sorted([*folder.glob(".*"), *folder.glob(f"*/.*{PARTIAL}")]):
                if _is_older(_touched_at(path), PARTIAL_KEPT_SECONDS):
                    yield path

    def _rows(self) -> list[Row]:
        with storage_errors("be read"), self._engine.connect() as connection:
            return list(connection.execute(select(ImageRow.id, ImageRow.path, ImageRow.sha256).order_by(ImageRow.id)))

    def _num_rows(self) -> int:
        with storage_errors("be read"), self._engine.connect() as connection:
            return connection.scalar(select(func.count(ImageRow.id))) or 0


def _is_older(modified_at: float | None, seconds: float) -> bool:
    return modified_at is not None and time.time() - modified_at > seconds


def _touched_at(path: Path) -> float:
    """When anything in a draft was last written."""
    return max(found.lstat().st_mtime for found in (path, *path.rglob("*")))


def _first(names: Iterator[str] | Sequence[str], limit: int = 3) -> str:
    names = list(names)
    return ", ".join(names[:limit]) + (f" and {len(names) - limit} more" if len(names) > limit else "")
