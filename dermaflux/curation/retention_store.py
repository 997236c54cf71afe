"""The part of the store that lets go: purges images, forgets users. It decides nothing; it does what it is asked.

The rows go first, in one transaction, then the files: killed in between, files without a row are left, which the
doctor finds, never a row without its file.
"""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import func, select

from dermaflux.curation import retention
from dermaflux.curation.image_store import ImageStore
from dermaflux.curation.records import ForgottenUser, checked_reviewer
from dermaflux.curation.tables import ImageRow


class RetentionStore(ImageStore):
    """What leaves the store, and how much a user keeps in it."""

    def rejected_before(self, moment: datetime) -> tuple[str, ...]:
        """The images that are rejected wherever they were judged, the last time before `moment`."""
        with self._read() as session:
            return tuple(session.scalars(retention.rejected_before(moment)))

    def purge(self, image_ids: Sequence[str], reason: str) -> int:
        """Remove images and their files for good; how many. Their decisions stay in the chain."""
        with self._write() as session:
            paths = retention.purge(session, image_ids, reason)
        self._remove_files(paths)
        return len(paths)

    def forget(self, user: str, job_ids: Sequence[str]) -> ForgottenUser:
        """Purge what only this user made and judged, and make the user's other decisions anonymous.

        Images that others have decided on stay. Raises InvalidRequest for a name that cannot be.
        """
        user = checked_reviewer(user)
        with self._write() as session:
            own = [found for query in retention.made_only_for(job_ids, user) for found in session.scalars(query)]
            paths = retention.purge(session, own, "its user was forgotten")
            decisions = retention.anonymise(session, user)
        self._remove_files(paths)
        kept = self.number_of_jobs_images(job_ids)
        return ForgottenUser(num_images_removed=len(paths), num_images_kept=kept, num_decisions_anonymous=decisions)

    def number_of_jobs_images(self, job_ids: Sequence[str]) -> int:
        """How many images of some jobs are stored."""
        total = 0
        with self._read() as session:
            for some in retention.parts(job_ids):
                total += session.scalar(select(func.count(ImageRow.id)).where(ImageRow.job_id.in_(some))) or 0
        return total

    def _remove_files(self, paths: Sequence[str]) -> None:
        """Remove files that no row names; under the write lock, since the same image may be coming in again."""
        for some in retention.parts(paths):
            with self._write() as session:
                named = set(session.scalars(select(ImageRow.path).where(ImageRow.path.in_(some))))
                for path in some:
                    if path not in named:
                        self.pool.remove(path)
