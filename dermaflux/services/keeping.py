"""Keeps database and images on a durable volume where the disk itself is not kept, as on Hugging Face Spaces.

Restored before the storage is opened, copied at intervals and when the app ends. Without DERMAFLUX_VOLUME_DIR it does
nothing. It knows SQLite and a local image folder only: other databases and pools are durable by themselves.
"""

import logging
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from dermaflux.domain.errors import DermaFluxError, InvalidRequest
from dermaflux.services.wiring import Wiring
from dermaflux.settings import Settings

if TYPE_CHECKING:
    from dermaflux.curation.backup import Backup

log = logging.getLogger(__name__)


class Keeping(Wiring):
    """The storage with a copy elsewhere."""

    def __init__(self, settings: Settings | None = None) -> None:
        super().__init__(settings)
        self._ending = threading.Event()
        self._copying: threading.Thread | None = None
        self._backup: Backup | None = None

    def start(self) -> None:
        """Restore what the volume has, then open the storage and begin to copy. Raises InvalidRequest."""
        volume = self.settings.volume_dir
        if volume is not None:
            self._backup = self._build_backup(volume)
            self._backup.restore()
        super().start()
        if self._backup is not None:
            self._copying = threading.Thread(target=self._copy_at_intervals, name="dermaflux-backup", daemon=True)
            self._copying.start()

    def close(self) -> None:
        """Give the storage back, then copy what the last interval has changed. May be called twice."""
        super().close()
        self._ending.set()
        if self._copying is not None:
            self._copying.join()
            self._copying = None
            self._save()

    def back_up(self) -> bool:
        """Copy now what has changed; whether anything had. Raises StorageNotWritable, InvalidRequest."""
        if self._backup is None:
            raise InvalidRequest("There is no volume to copy to. Set DERMAFLUX_VOLUME_DIR and start the app.")
        return self._backup.save()

    def _copy_at_intervals(self) -> None:
        while not self._ending.wait(self.settings.backup_minutes * 60):
            self._save()

    def _save(self) -> None:
        assert self._backup is not None
        try:
            if self._backup.save():
                log.info("copied the database and new images to the volume")
        except DermaFluxError as error:  # the app goes on; the next interval tries again
            log.error("nothing was copied to the volume: %s", error)

    def _build_backup(self, volume: Path) -> "Backup":
        from sqlalchemy.engine import make_url

        from dermaflux.curation.backup import Backup

        url = make_url(self.settings.resolved_database_url)
        images = self.settings.resolved_images_url
        if url.get_backend_name() != "sqlite" or "://" in images:
            raise InvalidRequest(
                "DERMAFLUX_VOLUME_DIR keeps an SQLite database and a local image folder. Unset it, or "
                "DERMAFLUX_DATABASE_URL and DERMAFLUX_IMAGES_URL."
            )
        return Backup(Path(str(url.database)), Path(images), volume)
