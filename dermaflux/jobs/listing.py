"""What stands in the queue: one job, a user's jobs, whose turn it is, and all that is open at a glance. Reads only."""

import statistics
from collections.abc import Collection, Iterable, Mapping, Sequence

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from dermaflux.domain.errors import InvalidRequest
from dermaflux.jobs.outlook import OpenJob, Outlook
from dermaflux.jobs.records import OPEN, SKIPPED, Job, JobState, QueuePause
from dermaflux.jobs.tables import JobRow, QueuePauseRow, WorkerRow
from dermaflux.jobs.transactions import JobTransactions, existing, unknown
from dermaflux.jobs.turns import WaitingJob, fair_order

_JOBS_PER_PACE = 15  # how many recent jobs of a kind say how long it takes
_OPEN = JobRow.state.in_([state.value for state in OPEN])
_RUNNING = JobRow.state == JobState.RUNNING.value


class JobListing:
    """Questions about the jobs of one database."""

    def __init__(self, transactions: JobTransactions) -> None:
        self._transactions = transactions

    def get(self, job_id: str) -> Job:
        """The job as it stands now. Raises DataNotFound."""
        with self._transactions.reading() as session:
            return existing(session, job_id).to_record()

    def state(self, job_id: str) -> JobState:
        """Only where the job stands. Raises DataNotFound."""
        with self._transactions.reading() as session:
            found = session.scalar(select(JobRow.state).where(JobRow.id == job_id))
        if found is None:
            raise unknown(job_id)
        return JobState(found)

    def list(self, user: str, limit: int = 50) -> tuple[Job, ...]:
        """The user's latest jobs, the newest first, without those cleared from the list."""
        mine = select(JobRow).where(JobRow.user == user, ~JobRow.hidden)
        with self._transactions.reading() as session:
            return tuple(row.to_record() for row in session.scalars(mine.order_by(JobRow.id.desc()).limit(limit)))

    def job_ids(self, user: str) -> tuple[str, ...]:
        """The ids of all jobs of a user, the oldest first."""
        query = select(JobRow.id).where(JobRow.user == user).order_by(JobRow.id)
        with self._transactions.reading() as session:
            return tuple(session.scalars(query))

    def promised(self, user: str) -> int:
        """How many parts of a user's open jobs are still to come."""
        query = select(func.sum(JobRow.total - JobRow.done)).where(JobRow.user == user, _OPEN)
        with self._transactions.reading() as session:
            return int(session.scalar(query) or 0)

    def check_none_running(self, user: str) -> None:
        """Raise InvalidRequest while a job of the user is running."""
        with self._transactions.reading() as session:
            if session.scalar(select(func.count()).where(JobRow.user == user, _RUNNING)):
                raise InvalidRequest(f"A job of {user} is running. Cancel it, then try again.")

    def position(self, job_id: str) -> int | None:
        """How many waiting jobs go before this one (0 = next), None when it does not wait."""
        with self._transactions.reading() as session:
            return next((place for place, job in enumerate(turns(session)) if job.id == job_id), None)

    def outlook(self, crews: Mapping[str, int]) -> Outlook:
        """All open jobs in the order of their turns, with the workers (`WorkerRoll.crews`) that are there for them."""
        columns = (JobRow.id, JobRow.user, JobRow.state, JobRow.done, JobRow.total, JobRow.pace_key, JobRow.pause_asked)
        crew = func.coalesce(WorkerRow.name, "").label("crew")
        rows = select(*columns, crew).outerjoin(WorkerRow, WorkerRow.id == JobRow.worker_id).where(_OPEN)
        with self._transactions.reading() as session:
            found = {row.id: row for row in session.execute(rows.order_by(JobRow.id))}
            order = [job.id for job in turns(session) if job.id in found]
            paces = _paces(session, {row.pace_key for row in found.values() if row.pace_key})
            pause = paused(session)
        jobs = {
            row.id: OpenJob(
                id=row.id, user=row.user, state=JobState(row.state), done=row.done, total=row.total,
                pause_asked=row.pause_asked, crew=row.crew, seconds_per_part=paces.get(row.pace_key or ""),
            )
            for row in found.values()
        }  # fmt: skip
        return Outlook(
            running=tuple(job for job in jobs.values() if job.state is JobState.RUNNING),
            waiting=tuple(jobs[job_id] for job_id in order),
            paused=tuple(job for job in jobs.values() if job.state is JobState.PAUSED),
            crews=crews,
            pause=pause,
        )


def turns(session: Session, kinds: Collection[str] | None = None) -> Sequence[WaitingJob]:
    """The waiting jobs (of `kinds` when given) in the order in which they will be begun."""
    waiting = select(JobRow.id, JobRow.user).where(JobRow.state == JobState.WAITING.value).order_by(JobRow.id)
    if kinds is not None:
        waiting = waiting.where(JobRow.kind.in_(kinds))
    line = [WaitingJob(id=row.id, user=row.user) for row in session.execute(waiting)]
    if not line:
        return line
    served = select(JobRow.user, func.max(JobRow.started_at)).group_by(JobRow.user)
    users = {job.user for job in line}
    return fair_order(line, {user: moment for user, moment in session.execute(served.where(JobRow.user.in_(users)))})


def paused(session: Session) -> QueuePause | None:
    """Since when and by whom the whole queue is paused; None while it goes on."""
    row = session.get(QueuePauseRow, 1)
    return QueuePause(paused_at=row.paused_at, paused_by=row.paused_by) if row else None


def _paces(session: Session, keys: Iterable[str]) -> Mapping[str, float]:
    """Seconds per part: the median of recent jobs of each pace that have finished a part. Skipped ones do not count."""
    found = {}
    for key in keys:
        measured = JobRow.pace_key == key, JobRow.done > 0, JobRow.worked_seconds > 0
        query = select(JobRow.worked_seconds, JobRow.done, JobRow.result).where(*measured).order_by(JobRow.id.desc())
        recent = session.execute(query.limit(_JOBS_PER_PACE))
        made = [(seconds, done - (result or [])[:done].count(SKIPPED)) for seconds, done, result in recent]
        if some := [seconds / num_parts for seconds, num_parts in made if num_parts]:
            found[key] = statistics.median(some)
    return found
