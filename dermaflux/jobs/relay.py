"""The latest preview of a running job, passed to followers in other processes through one row of the database.

It is replaced by the next one and gone with the end of the run, so it is bounded by the number of running jobs.
It knows bytes, not pictures.
"""

from dataclasses import dataclass

from sqlalchemy import delete, select, update

from dermaflux.jobs.tables import JobRow, PreviewRow
from dermaflux.jobs.transactions import JobTransactions


@dataclass(frozen=True, slots=True, kw_only=True)
class RelayedPreview:
    """A preview of one part, as its worker packed it; a later one has a greater number."""

    part: int
    number: int
    content: bytes


class PreviewRelay:
    """One writer a job, any number of readers."""

    def __init__(self, transactions: JobTransactions) -> None:
        self._transactions = transactions

    def put(self, job_id: str, part: int, content: bytes) -> None:
        """Replace the preview of a job; nothing when the job is gone."""
        with self._transactions.writing() as session:
            values = {"part": part, "content": content, "number": PreviewRow.number + 1}
            change = update(PreviewRow).where(PreviewRow.job_id == job_id).values(**values)
            if session.scalar(change.returning(PreviewRow.number)) is None and session.get(JobRow, job_id):
                session.add(PreviewRow(job_id=job_id, part=part, number=1, content=content))

    def other(self, job_id: str, than_number: int) -> RelayedPreview | None:
        """The preview of a job unless it is the one seen before (0: none). A new run counts from 1 again."""
        wanted = PreviewRow.job_id == job_id, PreviewRow.number != than_number
        with self._transactions.reading() as session:
            row = session.scalars(select(PreviewRow).where(*wanted)).one_or_none()
            return row and RelayedPreview(part=row.part, number=row.number, content=row.content)

    def drop(self, job_id: str) -> None:
        """The run is over: nothing of its previews stays."""
        with self._transactions.writing() as session:
            session.execute(delete(PreviewRow).where(PreviewRow.job_id == job_id))
