"""Copies of the SQLite database and of the image files in another folder, such as the volume of a Space.

A copy is made with SQLite's own backup while the database is in use, on the local disk, and moved over whole: WAL does
not work on a network mount. It knows files, and no table. The database goes first, the images after it: a file comes
before its row, so every row of a copy has its file.
"""

import logging
import os
import shutil
import sqlite3
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from dermaflux.curation.database import storage_errors

log = logging.getLogger(__name__)

_COPIES = "database"
_PICTURES = "images"
_KEEP_EARLIER = timedelta(days=1)  # earlier copies still hold what was forgotten since
_NAME = "dermaflux-%Y%m%dT%H%M%S%f.db"


class Backup:
    """The copies of one database file and one image folder in `volume`. Raises StorageNotWritable."""

    def __init__(self, database: Path, images: Path, volume: Path) -> None:
        self._database = database
        self._images = images
        self._copies = volume / _COPIES
        self._pictures = volume / _PICTURES
        self._state: object = None

    def restore(self) -> bool:
        """Bring the newest sound copy back where there is no database yet; whether there was one to bring."""
        if self._database.exists():
            return False
        with storage_errors("be restored from the volume"):
            for copy in self._newest_first():
                if _is_sound(copy):
                    num_pictures = _copy_missing(self._pictures, self._images)
                    _copy_whole(copy, self._database)
                    log.info("restored %s and %d images from the volume", copy.name, num_pictures)
                    return True
                log.warning("the copy %s is damaged; trying the one before", copy.name)
        return False

    def save(self) -> bool:
        """Copy what has changed since the last time; whether anything had."""
        state = self._present_state()
        if state == self._state or not self._database.exists():
            return False
        with storage_errors("be copied to the volume"):
            self._copies.mkdir(parents=True, exist_ok=True)
            local = self._database.with_name(f".{self._database.name}.backup")
            try:
                with closing(sqlite3.connect(self._database)) as source, closing(sqlite3.connect(local)) as target:
                    source.backup(target)
                _copy_whole(local, self._copies / datetime.now(UTC).strftime(_NAME))
            finally:
                local.unlink(missing_ok=True)
            _copy_missing(self._images, self._pictures)
            _remove_gone(self._pictures, self._images)
            self._remove_earlier()
        self._state = state
        return True

    def _newest_first(self) -> list[Path]:
        return sorted(self._copies.glob("dermaflux-*.db"), reverse=True)

    def _remove_earlier(self) -> None:
        oldest = (datetime.now(UTC) - _KEEP_EARLIER).strftime(_NAME)
        for copy in self._newest_first()[1:]:
            if copy.name < oldest:
                copy.unlink(missing_ok=True)

    def _present_state(self) -> object:
        files = (self._database, self._database.with_name(self._database.name + "-wal"))
        return [(file.stat().st_mtime_ns, file.stat().st_size) for file in files if file.exists()]


def _is_sound(copy: Path) -> bool:
    with suppress(sqlite3.DatabaseError), closing(sqlite3.connect(f"{copy.as_uri()}?immutable=1", uri=True)) as opened:
        return opened.execute("PRAGMA quick_check").fetchone() == ("ok",)
    return False


def _copy_whole(source: Path, target: Path) -> None:
    """Copy a file so that nobody ever finds half of it."""
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
    try:
        shutil.copyfile(source, partial)
        os.replace(partial, target)
    finally:
        partial.unlink(missing_ok=True)


def _copy_missing(source: Path, target: Path) -> int:
    """Copy the pictures that are not there yet (they never change); how many."""
    missing = [file for file in source.glob("*/*.png") if not (target / file.relative_to(source)).exists()]
    for file in missing:
        _copy_whole(file, target / file.relative_to(source))
    return len(missing)


def _remove_gone(copies: Path, originals: Path) -> None:
    """Remove the copies of pictures that were purged."""
    for copy in copies.glob("*/*.png"):
        if not (originals / copy.relative_to(copies)).exists():
            copy.unlink(missing_ok=True)
