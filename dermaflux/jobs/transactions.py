"""Short transactions over the tables of jobs, and the few steps that all who use these tables share.

Every change of state is one conditional UPDATE, so that two processes cannot both win; the database is the only truth.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Engine, Update, func, select, text, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as NoConnectionFree
from sqlalchemy.orm import Session, sessionmaker

from dermaflux.domain.errors import DataNotFound, StorageNotWritable
from dermaflux.jobs.records import Job, JobState
from dermaflux.jobs.tables import JobRow

# An engine whose transactions begin IMMEDIATE on SQLite lets readers opt out by this execution option.
_READS_ONLY = {"dermaflux_reads_only": True}
_LINE_LOCK_KEY = 0x6465726E  # PostgreSQL advisory lock of all who lengthen the line or stop it


class JobTransactions:
    """Transactions on one database. Safe from any thread; several processes may share it."""

    def __init__(self, engine: Engine) -> None:
        self._writes = sessionmaker(engine, expire_on_commit=False)
        self._reads = sessionmaker(engine.execution_options(**_READS_ONLY), expire_on_commit=False)

    def writing(self) -> AbstractContextManager[Session]:
        """A transaction that may write, committed at its end. Raises StorageNotWritable."""
        return _transaction(self._writes)

    def reading(self) -> AbstractContextManager[Session]:
        """A transaction that only reads. Raises StorageNotWritable."""
        return _transaction(self._reads)

    def change(self, job_id: str, states: Iterable[JobState], values: Mapping[str, Any]) -> Job | None:
        """The job after the change, None when it is not in one of the states (or not there)."""
        with self.writing() as session:
            row = session.scalars(update_in(job_id, states).values(**values).returning(JobRow)).one_or_none()
            return row.to_record() if row else None


@contextmanager
def _transaction(sessions: sessionmaker[Session]) -> Iterator[Session]:
    try:
        with sessions.begin() as session:
            yield session
    except (DBAPIError, NoConnectionFree) as error:
        reason = error.orig if isinstance(error, DBAPIError) else error
        raise StorageNotWritable(
            f"The job table cannot be used: {reason}. Check that the database is there, writable, and has space."
        ) from error


def update_in(job_id: str, states: Iterable[JobState]) -> Update:
    """An UPDATE of a job that holds only while it is in one of the states."""
    return update(JobRow).where(JobRow.id == job_id, JobRow.state.in_([state.value for state in states]))


def existing(session: Session, job_id: str) -> JobRow:
    """The row of a job. Raises DataNotFound."""
    row = session.get(JobRow, job_id)
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
