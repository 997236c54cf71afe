"""Who is at work: workers enlist, beat, and leave; the jobs of one that no longer beats go back to the queue, once.

A job over which a second worker dies has failed, so that a poisonous one cannot take worker after worker.
"""

import logging
from datetime import timedelta

from sqlalchemy import case, delete, func, select, update

from dermaflux.domain.identifiers import new_id
from dermaflux.jobs.claims import GIVEN_BACK
from dermaflux.jobs.records import JobState
from dermaflux.jobs.tables import JobRow, PreviewRow, WorkerRow
from dermaflux.jobs.transactions import JobTransactions, moment

log = logging.getLogger(__name__)

MAX_DEATHS = 2
DIED_TOO_OFTEN = (
    f"{MAX_DEATHS} workers died while they did this job, so it is not begun again by itself. What was finished is "
    "kept. It may need more memory than there is: ask for less at once, or try it again."
)


class WorkerRoll:
    """The workers of one database. Time is the database's, so that clocks of machines need not agree."""

    def __init__(self, transactions: JobTransactions, timeout_seconds: float) -> None:
        self._transactions = transactions
        self.timeout_seconds = timeout_seconds

    def enlist(self, name: str) -> str:
        """A new worker; its id."""
        worker_id = new_id()
        self.beat(worker_id, name)
        return worker_id

    def beat(self, worker_id: str, name: str) -> None:
        """Say that a worker lives; one that was taken for dead is on the roll again."""
        with self._transactions.writing() as session:
            now = moment(session)
            alive = update(WorkerRow).where(WorkerRow.id == worker_id).values(beat_at=now).returning(WorkerRow.id)
            if session.scalar(alive) is None:
                session.add(WorkerRow(id=worker_id, name=name, started_at=now, beat_at=now))

    def leave(self, worker_id: str) -> None:
        """A worker ends as it should, and holds no job."""
        with self._transactions.writing() as session:
            session.execute(delete(WorkerRow).where(WorkerRow.id == worker_id))

    def crews(self) -> dict[str, int]:
        """How many workers have been heard of within the timeout, by the process they are of."""
        with self._transactions.reading() as session:
            latest = moment(session) - timedelta(seconds=self.timeout_seconds)
            heard = select(WorkerRow.name, func.count()).where(WorkerRow.beat_at >= latest).group_by(WorkerRow.name)
            return {name: number for name, number in session.execute(heard)}

    def reap(self) -> tuple[str, ...]:
        """Give the running jobs of dead workers back, once each; their ids. Anyone may do it, at any time."""
        with self._transactions.writing() as session:
            now = moment(session)
            session.execute(delete(WorkerRow).where(WorkerRow.beat_at < now - timedelta(seconds=self.timeout_seconds)))
            is_alone = JobRow.worker_id.is_(None) | JobRow.worker_id.not_in(select(WorkerRow.id))
            orphaned = JobRow.state == JobState.RUNNING.value, is_alone
            poisonous = JobRow.num_deaths + 1 >= MAX_DEATHS
            change = {
                "num_deaths": JobRow.num_deaths + 1,
                "state": case((poisonous, JobState.FAILED.value), else_=GIVEN_BACK["state"]),
                "error": case((poisonous, DIED_TOO_OFTEN), else_=None),
                "finished_at": case((poisonous, now), else_=None),
            }
            returned = session.execute(
                update(JobRow).where(*orphaned).values(**GIVEN_BACK | change).returning(JobRow.id, JobRow.state)
            ).all()
            running = select(JobRow.id).where(JobRow.state == JobState.RUNNING.value)
            session.execute(delete(PreviewRow).where(PreviewRow.job_id.not_in(running)))
        for job_id, state in returned:
            log.warning("a worker died over job %s, which is now %s", job_id, state)
        return tuple(job_id for job_id, _ in returned)
