"""The job table as a typed ORM class, and its rows as records. Migrations own the schema; this maps it."""

from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import Index, MetaData, Text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from dermaflux.columns import AnyJson, UtcDateTime
from dermaflux.jobs.records import Job, JobState

NAMING_CONVENTION = {"ix": "ix_%(table_name)s_%(column_0_N_name)s", "pk": "pk_%(table_name)s"}


class Base(DeclarativeBase):
    """Names of constraints, and the types of time and JSON."""

    metadata = MetaData(naming_convention=NAMING_CONVENTION)
    type_annotation_map: ClassVar = {datetime: UtcDateTime(), dict[str, Any]: AnyJson(), list[str]: AnyJson()}


class JobRow(Base):
    """One job. `id` sorts by the time of submission."""

    __tablename__ = "jobs"
    __table_args__ = (Index(None, "state", "created_at"),)

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
        )
