"""The fair queue of jobs as its users see it: submit, pause, resume, skip, cancel, retry, clear; and pause it all.

What a worker writes of the jobs it took is in `claims`, who is at work in `roll`. It knows no handlers.
"""

import threading
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Engine, case, delete, func, select, update
from sqlalchemy.orm import Session

from dermaflux.domain.errors import InvalidRequest, QueueFull
from dermaflux.domain.identifiers import new_id
from dermaflux.jobs.claims import JobClaims
from dermaflux.jobs.listing import JobListing, paused
from dermaflux.jobs.records import OPEN, RETRYABLE, Job, JobState
from dermaflux.jobs.relay import PreviewRelay
from dermaflux.jobs.roll import WorkerRoll
from dermaflux.jobs.tables import JobRow, QueuePauseRow
from dermaflux.jobs.transactions import JobTransactions, existing, lock_line, moment, update_in

DEFAULT_TIMEOUT_SECONDS = 30.0


class JobQueue(JobListing):
    """The jobs of one database. Safe from any thread; several processes may share it.

    A worker that has not been heard of for worker_timeout_seconds counts as dead.
    """

    def __init__(
        self, engine: Engine, max_waiting: int = 32, worker_timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS
    ) -> None:
        transactions = JobTransactions(engine)
        super().__init__(transactions)
        self.max_waiting = max_waiting
        self.claims = JobClaims(transactions)
        self.previews = PreviewRelay(transactions)
        self.roll = WorkerRoll(transactions, worker_timeout_seconds)
        self._wakes, self._woken = 0, threading.Condition()

    def submit(
        self, user: str, kind: str, payload: Mapping[str, Any], total: int, pace_key: str | None = None
    ) -> Job:
        """Put a job of `total` parts at the end of the user's line and wake the worker.

        Jobs of one pace_key take about as long a part; without one no time can be foretold.
        Raises QueueFull when max_waiting jobs wait already, StorageNotWritable when it cannot be written down.
        """
        row = JobRow(
            id=new_id(), user=user, kind=kind, payload=dict(payload), state=JobState.WAITING.value,
            done=0, total=total, result=[], pace_key=pace_key,
        )  # fmt: skip
        with self._transactions.writing() as session:
            # The insert comes before the count: on SQLite it takes the write lock, so the count cannot be outdated.
            lock_line(session)
            row.created_at = moment(session)
            session.add(row)
            session.flush()
            self._check_room(session)
        self.wake()
        return row.to_record()

    def cancel(self, job_id: str) -> Job:
        """Take a waiting or paused job out, or ask a running one to stop at its next step. What is finished is kept.

        A finished job stays as it is.
        """
        with self._transactions.writing() as session:
            change = {"state": JobState.CANCELLED.value, "finished_at": moment(session), "pause_asked": False}
            session.execute(update_in(job_id, OPEN).values(**change))
            return existing(session, job_id).to_record()

    def pause(self, job_id: str) -> Job:
        """Hold a waiting job back at once, a running one after its present part. Raises InvalidRequest when it is over.

        One that is paused already stays so.
        """
        runs = JobRow.state == JobState.RUNNING.value
        held = {"state": case((runs, JobRow.state), else_=JobState.PAUSED.value), "pause_asked": runs}
        return self._change_open(job_id, held, "paused")

    def resume(self, job_id: str) -> Job:
        """Let a paused job wait again, or withdraw the wish to pause. Raises InvalidRequest when it is over, QueueFull.

        It goes on from what is finished.
        """
        rests = JobRow.state == JobState.PAUSED.value
        going = {"state": case((rests, JobState.WAITING.value), else_=JobRow.state), "pause_asked": False}
        return self._change_open(job_id, going, "resumed")

    def skip(self, job_id: str, part: int) -> None:
        """Ask that a part of an open job be passed over: the one that is being made is left off at its next step.

        It is kept with the job, so that it holds for whoever goes on with it. Of a part that is finished, of one that
        the job has not, or of a job that is over, nothing comes. Raises DataNotFound.
        """
        with self._transactions.writing() as session:
            row = existing(session, job_id, to_change=True)
            asked = row.skip_asked or []
            if row.state in OPEN and part not in asked and len(row.result or []) <= part < row.total:
                row.skip_asked = [*asked, part]

    def retry(self, job_id: str) -> Job:
        """Let a failed, cancelled or interrupted job wait again; it goes on from what is finished.

        Raises DataNotFound, InvalidRequest when it is waiting, running, paused or done, QueueFull.
        """
        blank = {"finished_at": None, "error": None, "worker_id": None, "num_deaths": 0, "hidden": False}
        with self._transactions.writing() as session:
            lock_line(session)
            change = update_in(job_id, RETRYABLE).values(state=JobState.WAITING.value, **blank)
            row = session.scalars(change.returning(JobRow)).one_or_none()
            if row is None:
                state = existing(session, job_id).state
                raise InvalidRequest(f"The job is {state}; only one that failed or was stopped can be tried again.")
            self._check_room(session)
        self.wake()
        return row.to_record()

    def clear(self, user: str) -> int:
        """Take a user's jobs that are over from the list; how many. They stay on record, for the images they made."""
        over = JobRow.user == user, ~JobRow.hidden, JobRow.state.not_in([state.value for state in OPEN])
        with self._transactions.writing() as session:
            return len(session.scalars(update(JobRow).where(*over).values(hidden=True).returning(JobRow.id)).all())

    def forget(self, user: str) -> int:
        """Remove a user's jobs but one that is running, waiting ones too; how many."""
        runs = JobRow.state == JobState.RUNNING.value
        with self._transactions.writing() as session:
            gone = delete(JobRow).where(JobRow.user == user, ~runs).returning(JobRow.id)
            return len(session.scalars(gone).all())

    def pause_all(self, by: str) -> None:
        """Begin no more jobs, in any process; running ones go back in line after their present part."""
        with self._transactions.writing() as session:
            lock_line(session)
            if paused(session) is None:
                session.add(QueuePauseRow(id=1, paused_at=moment(session), paused_by=by))

    def resume_all(self) -> None:
        """Let the queue go on."""
        with self._transactions.writing() as session:
            session.execute(delete(QueuePauseRow))
        self.wake()

    @property
    def num_wakes(self) -> int:
        """How often there was something to look for; ask before looking, and wait with the answer."""
        return self._wakes

    def wait_for_work(self, num_wakes: int, timeout_seconds: float) -> None:
        """Return when there was something to look for since `num_wakes` was asked, or after the timeout."""
        with self._woken:
            self._woken.wait_for(lambda: self._wakes != num_wakes, timeout_seconds)

    def wake(self) -> None:
        """Let `wait_for_work` return now, for every worker of this process."""
        with self._woken:
            self._wakes += 1
            self._woken.notify_all()

    def _change_open(self, job_id: str, values: Mapping[str, Any], done_to_it: str) -> Job:
        with self._transactions.writing() as session:
            lock_line(session)
            row = session.scalars(update_in(job_id, OPEN).values(**values).returning(JobRow)).one_or_none()
            if row is None:
                state = existing(session, job_id).state
                raise InvalidRequest(f"The job is {state}; only one that waits, runs or rests can be {done_to_it}.")
            self._check_room(session)
        self.wake()
        return row.to_record()

    def _check_room(self, session: Session) -> None:
        waiting = select(func.count()).where(JobRow.state == JobState.WAITING.value)
        if (session.scalar(waiting) or 0) > self.max_waiting:
            raise QueueFull(f"The queue is full: no more than {self.max_waiting} may wait. Try again in a while.")
