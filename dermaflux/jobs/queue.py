"""The fair queue of jobs over one table: submit, claim in turn by user, cancel, retry, finish.

Transactions are short and never hold while a job works. Every change of state is one conditional UPDATE, so that
two processes cannot both win; the database is the only truth. It knows no handlers.
"""

import logging
import threading
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Engine, Update, delete, func, select, text, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session, sessionmaker

from dermaflux.domain.errors import DataNotFound, InvalidRequest, QueueFull, StorageNotWritable
from dermaflux.domain.identifiers import new_id
from dermaflux.jobs.records import RETRYABLE, Job, JobState
from dermaflux.jobs.tables import JobRow
from dermaflux.jobs.turns import WaitingJob, fair_order

log = logging.getLogger(__name__)

# An engine whose transactions begin IMMEDIATE on SQLite lets readers opt out by this execution option.
_READS_ONLY = {"dermaflux_reads_only": True}
_RUNNING = JobRow.state == JobState.RUNNING.value
_LINE_LOCK_KEY = 0x6465726E  # PostgreSQL advisory lock of all who lengthen the line


class JobQueue:
    """The jobs of one database. Safe from any thread; several processes may share it."""

    def __init__(self, engine: Engine, max_waiting: int = 32) -> None:
        self.max_waiting = max_waiting
        self._writes = sessionmaker(engine, expire_on_commit=False)
        self._reads = sessionmaker(engine.execution_options(**_READS_ONLY), expire_on_commit=False)
        self._submitted = threading.Event()

    def submit(self, user: str, kind: str, payload: Mapping[str, Any], total: int) -> Job:
        """Put a job of `total` parts at the end of the user's line and wake the worker.

        Raises QueueFull when max_waiting jobs wait already, StorageNotWritable when it cannot be written down.
        """
        row = JobRow(
            id=new_id(),
            user=user,
            kind=kind,
            payload=dict(payload),
            state=JobState.WAITING.value,
            created_at=_now(),
            done=0,
            total=total,
            result=[],
        )
        with self._transaction(self._writes) as session:
            # The insert comes before the count: on SQLite it takes the write lock, so the count cannot be outdated.
            _lock_line(session)
            session.add(row)
            session.flush()
            self._check_room(session)
        self._submitted.set()
        return row.to_record()

    def get(self, job_id: str) -> Job:
        """The job as it stands now. Raises DataNotFound."""
        with self._transaction(self._reads) as session:
            return _existing(session, job_id).to_record()

    def state(self, job_id: str) -> JobState:
        """Only where the job stands: cheap enough to ask at every step. Raises DataNotFound."""
        with self._transaction(self._reads) as session:
            found = session.scalar(select(JobRow.state).where(JobRow.id == job_id))
        if found is None:
            raise _unknown(job_id)
        return JobState(found)

    def list(self, user: str, limit: int = 50) -> tuple[Job, ...]:
        """The user's latest jobs, the newest first."""
        query = select(JobRow).where(JobRow.user == user).order_by(JobRow.id.desc()).limit(limit)
        with self._transaction(self._reads) as session:
            return tuple(row.to_record() for row in session.scalars(query))

    def job_ids(self, user: str) -> tuple[str, ...]:
        """The ids of all jobs of a user, the oldest first."""
        query = select(JobRow.id).where(JobRow.user == user).order_by(JobRow.id)
        with self._transaction(self._reads) as session:
            return tuple(session.scalars(query))

    def promised(self, user: str) -> int:
        """How many parts of a user's waiting and running jobs are still to come."""
        open_states = (JobState.WAITING.value, JobState.RUNNING.value)
        query = select(func.sum(JobRow.total - JobRow.done)).where(JobRow.user == user, JobRow.state.in_(open_states))
        with self._transaction(self._reads) as session:
            return int(session.scalar(query) or 0)

    def check_none_running(self, user: str) -> None:
        """Raise InvalidRequest while a job of the user is running."""
        with self._transaction(self._reads) as session:
            if session.scalar(select(func.count()).where(JobRow.user == user, _RUNNING)):
                raise InvalidRequest(f"A job of {user} is running. Cancel it, then try again.")

    def forget(self, user: str) -> int:
        """Remove a user's jobs but one that is running, waiting ones too; how many."""
        with self._transaction(self._writes) as session:
            gone = delete(JobRow).where(JobRow.user == user, ~_RUNNING).returning(JobRow.id)
            return len(session.scalars(gone).all())

    def position(self, job_id: str) -> int | None:
        """How many waiting jobs go before this one (0 = next), None when it does not wait."""
        order = self._turns(None)
        return next((place for place, job in enumerate(order) if job.id == job_id), None)

    def claim_next(self, kinds: Collection[str] | None = None) -> Job | None:
        """The job whose turn it is, now running; None when none waits. Users take turns, each first come first served.

        Only jobs of `kinds` when given. Atomic: a job is handed to one caller only.
        """
        for candidate in self._turns(kinds):
            change = {"state": JobState.RUNNING.value, "started_at": _now()}
            if job := self._change(candidate.id, (JobState.WAITING,), change):
                return job
        return None

    def cancel(self, job_id: str) -> Job:
        """Take a waiting job out, or ask a running one to stop at its next step. A finished job stays as it is."""
        change = {"state": JobState.CANCELLED.value, "finished_at": _now()}
        return self._change(job_id, (JobState.WAITING, JobState.RUNNING), change) or self.get(
            job_id
        )

    def retry(self, job_id: str) -> Job:
        """Let a failed, cancelled or interrupted job wait again from its start.

        Raises DataNotFound, InvalidRequest when it is waiting, running or done, QueueFull.
        """
        with self._transaction(self._writes) as session:
            _lock_line(session)
            blank = {
                "started_at": None,
                "finished_at": None,
                "error": None,
                "done": 0,
                "result": [],
            }
            change = _update(job_id, RETRYABLE).values(state=JobState.WAITING.value, **blank)
            row = session.scalars(change.returning(JobRow)).one_or_none()
            if row is None:
                state = _existing(session, job_id).state
                raise InvalidRequest(
                    f"The job is {state}; only one that failed or was stopped can be tried again."
                )
            self._check_room(session)
        self._submitted.set()
        return row.to_record()

    def record_progress(self, job_id: str, done: int, total: int) -> None:
        """Write down how much of a job is finished."""
        self._change(job_id, tuple(JobState), {"done": done, "total": total})

    def add_result(self, job_id: str, item: str) -> None:
        """Write down one finished part, once, whatever becomes of the rest. Raises DataNotFound."""
        with self._transaction(self._writes) as session:
            row = _existing(session, job_id, for_update=True)
            if item not in (row.result or []):
                row.result = [*(row.result or []), item]

    def finish(self, job_id: str, state: JobState, error: str | None = None) -> Job:
        """End a running job. One that was cancelled meanwhile stays cancelled. Raises DataNotFound."""
        change = {"state": state.value, "error": error, "finished_at": _now()}
        return self._change(job_id, (JobState.RUNNING,), change) or self.get(job_id)

    def mark_interrupted_on_start(self) -> int:
        """Call before a worker starts: what a killed process left running becomes interrupted. Returns how many."""
        change = (
            update(JobRow)
            .where(JobRow.state == JobState.RUNNING.value)
            .values(state=JobState.INTERRUPTED.value, finished_at=_now())
            .returning(JobRow.id)
        )
        with self._transaction(self._writes) as session:
            found = session.scalars(change).all()
        if found:
            log.warning("%d jobs were interrupted when the program last ended", len(found))
        return len(found)

    def wait_for_work(self, timeout_seconds: float) -> None:
        """Return when a job was submitted since the last call, or after the timeout. For one worker."""
        self._submitted.wait(timeout_seconds)
        self._submitted.clear()

    def wake(self) -> None:
        """Let `wait_for_work` return now."""
        self._submitted.set()

    def _turns(self, kinds: Collection[str] | None) -> Sequence[WaitingJob]:
        waiting = (
            select(JobRow.id, JobRow.user)
            .where(JobRow.state == JobState.WAITING.value)
            .order_by(JobRow.id)
        )
        if kinds is not None:
            waiting = waiting.where(JobRow.kind.in_([*kinds]))
        with self._transaction(self._reads) as session:
            jobs = [WaitingJob(id=row.id, user=row.user) for row in session.execute(waiting)]
            served = select(JobRow.user, func.max(JobRow.started_at).label("at")).group_by(
                JobRow.user
            )
            served = served.where(JobRow.user.in_({job.user for job in jobs}))
            last_served = {row.user: row.at for row in session.execute(served)} if jobs else {}
        return fair_order(jobs, last_served)

    def _change(
        self, job_id: str, states: Iterable[JobState], values: Mapping[str, Any]
    ) -> Job | None:
        """The job after the change, None when it is not in one of the states (or not there)."""
        with self._transaction(self._writes) as session:
            changed = session.scalars(
                _update(job_id, states).values(**values).returning(JobRow)
            ).one_or_none()
            return changed.to_record() if changed else None

    def _check_room(self, session: Session) -> None:
        waiting = (
            session.scalar(select(func.count()).where(JobRow.state == JobState.WAITING.value)) or 0
        )
        if waiting > self.max_waiting:
            raise QueueFull(
                f"The queue is full: no more than {self.max_waiting} may wait. Try again in a while."
            )

    @contextmanager
    def _transaction(self, sessions: sessionmaker[Session]) -> Iterator[Session]:
        try:
            with sessions.begin() as session:
                yield session
        except DBAPIError as error:
            raise StorageNotWritable(
                f"The job table cannot be used: {error.orig}. "
                "Check that the database is there, writable, and has space."
            ) from error


def _lock_line(session: Session) -> None:
    """Let one transaction at a time lengthen the line; on PostgreSQL none sees what another has not committed."""
    if session.connection().dialect.name == "postgresql":
        session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LINE_LOCK_KEY})


def _update(job_id: str, states: Iterable[JobState]) -> Update:
    return update(JobRow).where(
        JobRow.id == job_id, JobRow.state.in_([state.value for state in states])
    )


def _existing(session: Session, job_id: str, *, for_update: bool = False) -> JobRow:
    row = session.get(JobRow, job_id, with_for_update=for_update)
    if row is None:
        raise _unknown(job_id)
    return row


def _unknown(job_id: str) -> DataNotFound:
    return DataNotFound(
        f"There is no job {job_id!r}. It may be of another database; submit it again."
    )


def _now() -> datetime:
    return datetime.now(UTC)
