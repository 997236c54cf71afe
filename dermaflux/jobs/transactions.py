"""Short transactions over the tables of jobs, and the few steps that all who use these tables share.

Every change of state is one conditional UPDATE, so that two processes cannot both win; the database is the only truth.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Engine, Update, func, select, text, update
from sqlalchemy.orm import Session

from dermaflux.domain.errors import DataNotFound
from dermaflux.jobs.records import Job, JobState
from dermaflux.jobs.tables import JobRow
from dermaflux.transactions import Transactions

_LINE_LOCK_KEY = 0x6465726E  # PostgreSQL advisory lock of all who lengthen the line or stop it


class JobTransactions(Transactions):
    """Transactions on the tables of jobs. Safe from any thread; several processes may share them."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine, "The job table")

    def change(self, job_id: str, states: Iterable[JobState], values: Mapping[str, Any]) -> Job | None:
        """The job after the change, None when it is not in one of the states (or not there)."""
        with self.writing() as session:
            row = session.scalars(update_in(job_id, states).values(**values).returning(JobRow)).one_or_none()
            return row.to_record() if row else None


def update_in(job_id: str, states: Iterable[JobState]) -> Update:
    """An UPDATE of a job that holds only while it is in one of the states."""
    return update(JobRow).where(JobRow.id == job_id, JobRow.state.in_([state.value for state in states]))


def existing(session: Session, job_id: str, *, to_change: bool = False) -> JobRow:
    """The row of a job, kept from other writers when it is to be changed. Raises DataNotFound."""
    row = session.get(JobRow, job_id, with_for_update=to_change)
    if row is None:
        raise unknown(job_id)
    return row


def unknown(job_id: str) -> DataNotFound:
    """What to raise for a job that is not there."""
    return DataNotFound(f"There is no job {job_id!r}. It may be of another database; submit it again.")


def lock_line(session: Session) -> None:
    """Let one transaction at a time lengthen the line; on PostgreSQL none sees what another has not committed."""
    if session.connection().dialect.name == "postgresql":
        session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LINE_LOCK_KEY})


def moment(session: Session) -> datetime:
    """Now, by the one clock that all who share the database go by."""
    if session.connection().dialect.name == "postgresql":
        now = session.scalar(select(func.clock_timestamp()))
        assert now is not None
        return now
    return datetime.now(UTC)  # an SQLite file is shared within one machine only
