"""What a worker does with the jobs it takes: claim the next, write down what is finished, end it or give it back.

Every write names the worker and holds only while the job is still its own, so that one who was taken for dead and
comes back can spoil nothing.
"""

from collections.abc import Collection
from typing import Any

from sqlalchemy import Update, case, select, update

from dermaflux.domain.errors import Cancelled
from dermaflux.jobs.listing import paused, turns
from dermaflux.jobs.records import SKIPPED, Job, JobState
from dermaflux.jobs.tables import JobRow
from dermaflux.jobs.transactions import JobTransactions, moment

_RUNNING = JobRow.state == JobState.RUNNING.value
GIVEN_BACK: dict[str, Any] = {
    "state": case((JobRow.pause_asked, JobState.PAUSED.value), else_=JobState.WAITING.value),
    "worker_id": None,
    "pause_asked": False,
}
"""A running job in the line again, or at rest when its owner asked for that."""


class JobClaims:
    """The jobs of workers, each by its id."""

    def __init__(self, transactions: JobTransactions) -> None:
        self._transactions = transactions

    def take(self, worker_id: str, kinds: Collection[str] | None = None) -> Job | None:
        """The job whose turn it is, now running; None when none waits or the queue is paused.

        Users take turns, each first come first served. Only jobs of `kinds` when given. A job is handed to one caller
        only: PostgreSQL skips what another is about to take, SQLite has one writer at a time.
        """
        with self._transactions.reading() as session:  # a worker asks all the time: that must not lock out writers
            if paused(session) or not turns(session, kinds):
                return None
        with self._transactions.writing() as session:
            if paused(session):
                return None
            for candidate in turns(session, kinds):
                still_waits = JobRow.id == candidate.id, JobRow.state == JobState.WAITING.value
                free = select(JobRow.id).where(*still_waits).with_for_update(skip_locked=True)
                taken = update(JobRow).where(JobRow.id.in_(free), JobRow.state == JobState.WAITING.value)
                change = {"state": JobState.RUNNING.value, "started_at": moment(session), "worker_id": worker_id}
                if row := session.scalars(taken.values(**change).returning(JobRow)).one_or_none():
                    return row.to_record()
        return None

    def skips_asked(self, job_id: str, worker_id: str) -> frozenset[int] | None:
        """The parts to skip; None once the job no longer runs or is not the worker's own. To be asked at every step."""
        mine = select(JobRow.skip_asked).where(JobRow.id == job_id, JobRow.worker_id == worker_id, _RUNNING)
        with self._transactions.reading() as session:
            row = session.execute(mine).one_or_none()
        return None if row is None else frozenset(row.skip_asked or ())

    def add_result(self, job_id: str, worker_id: str, item: str) -> None:
        """Write down one finished part, once, even when the job was cancelled meanwhile. Raises Cancelled when lost.

        SKIPPED, for a part that was passed over, may come again and again.
        """
        with self._transactions.writing() as session:
            mine = select(JobRow).where(JobRow.id == job_id, JobRow.worker_id == worker_id)
            row = session.scalars(mine.with_for_update()).one_or_none()
            if row is None:
                raise _lost(job_id)
            if item == SKIPPED or item not in (row.result or []):
                row.result = [*(row.result or []), item]

    def record_progress(self, job_id: str, worker_id: str, done: int, worked_seconds: float) -> bool:
        """Write down how much is finished and what it took since the last time; whether the job is to rest now."""
        change = {"done": done, "worked_seconds": JobRow.worked_seconds + worked_seconds}
        with self._transactions.writing() as session:
            rests = session.scalar(_own(job_id, worker_id).values(**change).returning(JobRow.pause_asked))
            return bool(rests) or paused(session) is not None

    def keep(self, job_id: str, worker_id: str, num_parts: int) -> None:
        """Let only the first parts of what was finished count: the others are to be made again."""
        with self._transactions.writing() as session:
            mine = select(JobRow).where(JobRow.id == job_id, JobRow.worker_id == worker_id)
            if row := session.scalars(mine.with_for_update()).one_or_none():
                share = num_parts / row.done if row.done else 0.0
                row.result, row.done = (row.result or [])[:num_parts], num_parts
                row.worked_seconds *= min(1.0, share)

    def finish(self, job_id: str, worker_id: str, state: JobState, error: str | None = None) -> None:
        """End a running job. One that was cancelled or lost meanwhile stays as it is.

        Who lost it and still lives did not die over it: that death is taken from its count.
        """
        with self._transactions.writing() as session:
            change = {"state": state.value, "error": error, "finished_at": moment(session), "pause_asked": False}
            session.execute(_own(job_id, worker_id).where(_RUNNING).values(**change))
            lost = JobRow.worker_id.is_(None) | (JobRow.worker_id != worker_id)
            counted = update(JobRow).where(JobRow.id == job_id, lost, JobRow.num_deaths > 0)
            session.execute(counted.values(num_deaths=JobRow.num_deaths - 1))

    def give_back(self, job_id: str, worker_id: str) -> None:
        """Let a running job wait again, or rest when its owner asked for that; what is finished is kept."""
        with self._transactions.writing() as session:
            session.execute(_own(job_id, worker_id).where(_RUNNING).values(**GIVEN_BACK))


def _own(job_id: str, worker_id: str) -> Update:
    return update(JobRow).where(JobRow.id == job_id, JobRow.worker_id == worker_id)


def _lost(job_id: str) -> Cancelled:
    return Cancelled(f"The job {job_id} is no longer this worker's. What is finished is kept.")
