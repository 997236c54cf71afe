"""The job table as a typed ORM class, and its rows as records. Migrations own the schema; this maps it."""

from datetime import UTC, datetime
from typing import Any, ClassVar

from sqlalchemy import JSON, DateTime, Dialect, Index, MetaData, Text, TypeDecorator
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from dermaflux.jobs.records import Job, JobState

JSON_TYPE = JSON().with_variant(JSONB(), "postgresql")
NAMING_CONVENTION = {"ix": "ix_%(table_name)s_%(column_0_N_name)s", "pk": "pk_%(table_name)s"}


class UtcDateTime(TypeDecorator[datetime]):
    """An aware moment, stored in UTC; SQLite itself would lose the zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """The moment in UTC; a naive one is a fault of ours."""
        assert value is None or value.tzinfo is not None, "moments are stored aware"
        return value and value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """The moment with its zone again."""
        if value is None or value.tzinfo is not None:
            return value
        return value.replace(tzinfo=UTC)


class Base(DeclarativeBase):
    """Names of constraints, and the types of time and JSON."""

    metadata = MetaData(naming_convention=NAMING_CONVENTION)
    type_annotation_map: ClassVar = {datetime: UtcDateTime(), dict[str, Any]: JSON_TYPE, list[str]: JSON_TYPE}


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
