"""How much is kept and for how long: quotas and a disk budget before work is taken on, purging and forgetting after.

Nothing is deleted unless the settings or somebody says so: by default images stay, however they were judged.
"""

import logging
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from dermaflux.domain.errors import DermaFluxError, InvalidRequest
from dermaflux.domain.records import SamplingRequest
from dermaflux.domain.sweep import Sweep
from dermaflux.services import records
from dermaflux.services.limits import DiskBudget, DiskUse, check_quota
from dermaflux.services.sweeping import Sweeping
from dermaflux.settings import Settings

if TYPE_CHECKING:
    from dermaflux.curation.records import ForgottenUser

log = logging.getLogger(__name__)

PURGE_EVERY_SECONDS = 24 * 60 * 60.0


class Retaining(Sweeping):
    """The queue and the store within their limits."""

    def __init__(self, settings: Settings | None = None) -> None:
        super().__init__(settings)
        self._disk = DiskBudget(self.settings.data_dir, self.settings.disk_budget_gb)
        self._purging: threading.Timer | None = None

    def start(self) -> None:
        """Also begin to purge once a day what was rejected long ago, when the settings say so."""
        super().start()
        if self.settings.purge_rejected_after_days is not None:
            self._purge_daily()

    def close(self) -> None:
        """End the daily purge as well. May be called twice."""
        if self._purging is not None:
            self._purging.cancel()
        super().close()

    def submit_generation(self, user: str, request: SamplingRequest) -> records.GenerationJob:
        """Queue a request, within the limits. Raises QuotaExceeded beside what queueing raises."""
        self._check_limits(user, request.num_images)
        return super().submit_generation(user, request)

    def submit_sweep(self, user: str, sweep: Sweep) -> records.GenerationJob:
        """Queue a sweep, within the limits. Raises QuotaExceeded beside what queueing raises."""
        self._check_limits(user, sweep.num_cells)
        return super().submit_sweep(user, sweep)

    def _check_limits(self, user: str, num_images: int) -> None:
        self._disk.check()
        limit = self.settings.max_images_per_user
        if limit is not None:
            kept = self._store().number_of_jobs_images(self._queue().job_ids(user)) + self._queue().promised(user)
            check_quota(user, kept, num_images, limit)

    def disk_use(self) -> DiskUse | None:
        """How full the data folder is, None without a budget; up to a minute old."""
        return self._disk.use()

    def rejected_before(self, days: int) -> tuple[str, ...]:
        """The images rejected wherever they were judged, and not judged again for so many days."""
        if days < 0:
            raise InvalidRequest(f"The number of days is {days}. Give 0 or more.")
        return self._store().rejected_before(datetime.now(UTC) - timedelta(days=days))

    def purge(self, image_ids: tuple[str, ...], reason: str) -> int:
        """Remove images and their files for good; how many. Their decisions stay in the chain."""
        return self._store().purge(image_ids, reason)

    def forget(self, user: str) -> "ForgottenUser":
        """Remove a user's jobs and what only this user made and judged; the other decisions become anonymous.

        What others decided on stays. It cannot be undone. Raises InvalidRequest while a job of the user is running.
        """
        queue = self._queue()
        queue.check_none_running(user)
        # The jobs go last: stopped in between, the same call still knows which images were theirs.
        forgotten = self._store().forget(user, queue.job_ids(user))
        return replace(forgotten, num_jobs_removed=queue.forget(user))

    def _purge_daily(self) -> None:
        self._purging = threading.Timer(PURGE_EVERY_SECONDS, self._purge_daily)
        self._purging.name, self._purging.daemon = "dermaflux-purge", True
        self._purging.start()
        days = self.settings.purge_rejected_after_days
        assert days is not None
        try:
            number = self.purge(self.rejected_before(days), f"rejected more than {days} days ago")
        except DermaFluxError as error:  # nobody waits for the answer, and tomorrow it is tried again
            log.warning("nothing was purged: %s", error)
            return
        if number:
            log.info("purged %d images rejected more than %d days ago", number, days)
