"""The tables of jobs as typed ORM classes, and their rows as records. Migrations own the schema; this maps it."""

from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import ForeignKey, Index, LargeBinary, MetaData, Text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from dermaflux.columns import AnyJson, UtcDateTime
from dermaflux.jobs.records import Job, JobState

NAMING_CONVENTION = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
}


class Base(DeclarativeBase):
    """Names of constraints, and the types of time and JSON."""

    metadata = MetaData(naming_convention=NAMING_CONVENTION)
    type_annotation_map: ClassVar = {
        datetime: UtcDateTime(), dict[str, Any]: AnyJson(), list[str]: AnyJson(), list[int]: AnyJson(),
    }  # fmt: skip


class JobRow(Base):
    """One job. `id` sorts by the time of submission.

    worker_id: who works at it, or did last. num_deaths: how many workers died over it. hidden: its user has cleared it
    from the list; the row stays, for it says whose the images are. worked_seconds: what the finished parts took
    together, comparable among jobs of one pace_key. skip_asked: the parts that its user asked to skip, None: none ever.
    """

    __tablename__ = "jobs"
    __table_args__ = (Index(None, "state", "created_at"), Index(None, "user", "id"), Index(None, "pace_key", "id"))

    id: Mapped[str] = mapped_column(primary_key=True)
    user: Mapped[str]
    kind: Mapped[str]
    payload: Mapped[dict[str, Any]]
    state: Mapped[str]
    created_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    done: Mapped[int]
    total: Mapped[int]
    error: Mapped[str | None] = mapped_column(Text)
    result: Mapped[list[str] | None]
    worker_id: Mapped[str | None]
    num_deaths: Mapped[int] = mapped_column(default=0)
    pause_asked: Mapped[bool] = mapped_column(default=False)
    hidden: Mapped[bool] = mapped_column(default=False)
    pace_key: Mapped[str | None]
    worked_seconds: Mapped[float] = mapped_column(default=0.0)
    skip_asked: Mapped[list[int] | None]

    def to_record(self) -> Job:
        """The row as the rest of the product sees it."""
        return Job(
            id=self.id,
            user=self.user,
            kind=self.kind,
            payload=self.payload,
            state=JobState(self.state),
            created_at=self.created_at,
            started_at=self.started_at,
            finished_at=self.finished_at,
            done=self.done,
            total=self.total,
            error=self.error,
            result=tuple(self.result or ()),
            pause_asked=self.pause_asked,
        )


class WorkerRow(Base):
    """One worker, as long as it lives: a row that is no longer beaten is of a dead one."""

    __tablename__ = "job_workers"

    id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]
    started_at: Mapped[datetime]
    beat_at: Mapped[datetime]


class QueuePauseRow(Base):
    """Its one row is there while the whole queue is paused."""

    __tablename__ = "job_queue_pause"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    paused_at: Mapped[datetime]
    paused_by: Mapped[str]


class PreviewRow(Base):
    """The latest preview of a running job, for followers in other processes; `number` grows with each."""

    __tablename__ = "job_previews"

    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True)
    part: Mapped[int]
    number: Mapped[int]
    content: Mapped[bytes] = mapped_column(LargeBinary)
