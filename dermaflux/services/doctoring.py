"""Is everything that was stored still there and sound, and the models too? Examines, and mends one thing at a time.

Unlike the rest of the services it opens the database as it is, without migrating or making one.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from dermaflux.checksums import differences, stated_checksums
from dermaflux.curation.health_records import Check, Repair
from dermaflux.domain.errors import DermaFluxError, StorageNotWritable
from dermaflux.domain.records import GeneratedImage
from dermaflux.provenance import Provenance, png_bytes
from dermaflux.services.making import Making
from dermaflux.services.records import OnStep
from dermaflux.services.wiring import EXPORTS, IMAGE_CACHE

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from dermaflux.curation.file_health import FileHealth

log = logging.getLogger(__name__)


class Doctoring(Making):
    """The examination and its repairs. A check never raises; a repair raises StorageNotWritable."""

    def examine(self, on_step: OnStep | None = None) -> tuple[Check, ...]:
        """Every check, in the order it is shown; those that cannot be made are left out after the one that says why."""
        return (*self._examine_storage(on_step), self._examine_models())

    def repair(self, kind: Repair) -> str:
        """Do one repair; returns what was done in one line. Nobody is asked here."""
        from dermaflux.curation.store import CurationStore, migrate

        with self._opened() as engine:
            if kind is Repair.SCHEMA:
                migrate(engine)
                return "the schema is up to date"
            if kind is Repair.VERDICTS:
                CurationStore(engine, self._open_pool()).rebuild_verdicts()
                return "the derived verdicts were made anew"
            files = self._file_health(engine)
            if kind is Repair.ORPHANS:
                return f"{files.quarantine_orphans()} files moved into quarantine"
            if kind is Repair.PARTIALS:
                return f"{files.remove_partials()} partial files removed"
            restored, lost = files.restore(self._remake)
            rest = f"; {lost} cannot be made again: restore them from a backup" if lost else ""
            return f"{restored} files restored{rest}"

    def _examine_storage(self, on_step: OnStep | None) -> tuple[Check, ...]:
        from dermaflux.curation.health import check_database

        if (file := self._sqlite_file()) and not file.exists():
            return (Check(name="database", ok=True, says=f"none yet at {file}: nothing is stored"),)
        checks: tuple[Check, ...] = ()
        try:
            with self._opened() as engine:
                checks = check_database(engine)
                if all(check.ok for check in checks if check.name in ("database", "schema")):
                    checks += self._file_health(engine).check(on_step)
        except StorageNotWritable as error:
            checks += (Check(name="images" if checks else "database", ok=False, says=str(error)),)
        return checks

    def _examine_models(self) -> Check:
        try:
            wrong = differences(self.settings.models_dir)
        except DermaFluxError as error:
            return Check(name="models", ok=False, says=str(error))
        if wrong:
            says = f"{len(wrong)} files are not as stated: {'; '.join(wrong[:3])}. Get the repository's own again."
            return Check(name="models", ok=False, says=says, items=wrong)
        number = len(stated_checksums(self.settings.models_dir))
        return Check(name="models", ok=True, says=f"{number} files, each with the sha256 that was stated")

    @contextmanager
    def _opened(self) -> "Iterator[Engine]":
        from dermaflux.curation.store import open_engine

        engine = open_engine(self.settings.resolved_database_url)
        try:
            yield engine
        finally:
            engine.dispose()

    def _file_health(self, engine: "Engine") -> "FileHealth":
        from dermaflux.curation.file_health import FileHealth

        folders = [self.settings.data_dir / name for name in (EXPORTS, IMAGE_CACHE)]
        return FileHealth(engine, self._open_pool(try_writing=False), folders)

    def _sqlite_file(self) -> Path | None:
        from sqlalchemy.engine import make_url
        from sqlalchemy.exc import ArgumentError

        try:
            url = make_url(self.settings.resolved_database_url)
        except ArgumentError:
            return None  # opening it says why
        named = url.get_backend_name() == "sqlite" and url.database and not url.database.startswith("file:")
        return Path(str(url.database)) if named else None

    def _remake(self, image_id: str) -> bytes | None:
        """The bytes of a lost image, generated again; None where that gives other pixels or cannot be done."""
        stored = self.image(image_id)
        try:
            record = Provenance.from_dict(stored.generated)
            made = [e for e in self.generate(record.request) if isinstance(e, GeneratedImage)]
            return png_bytes(made[0].image, record)
        except DermaFluxError as error:
            log.warning("image %s cannot be made again: %s", image_id, error)
            return None
