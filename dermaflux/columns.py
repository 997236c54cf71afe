"""Column types shared by the tables of curation and jobs: moments and JSON that mean the same on every database.

It knows SQLAlchemy and no table.
"""

import json
import re
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import JSON, DateTime, Dialect, TypeDecorator
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.types import TypeEngine

_AS_TEXT = "json_as_text"
_NOT_IN_JSONB = re.compile(r"\\u0000|\\ud[89a-f]")  # a whole pair is kept as text too, which does no harm


class UtcDateTime(TypeDecorator[datetime]):
    """An aware moment, stored in UTC; SQLite itself would lose the zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """The moment in UTC; a naive one is a fault of ours."""
        if value is None:
            return None
        assert value.tzinfo is not None, "moments are stored aware"
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """The moment with its zone again."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class AnyJson(TypeDecorator[Any]):
    """JSON with any text in it: PostgreSQL's own refuses NUL and lone surrogates, which a browser may send."""

    impl = JSON
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """JSONB on PostgreSQL."""
        return dialect.type_descriptor(JSONB() if dialect.name == "postgresql" else JSON())

    def process_bind_param(self, value: Any, dialect: Dialect) -> Any:
        """The value, or all of it as one text where JSONB would refuse it."""
        if value is None or dialect.name != "postgresql":
            return value
        text = json.dumps(value)
        return {_AS_TEXT: text} if _NOT_IN_JSONB.search(text) else value

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:
        """The value as it was given."""
        if isinstance(value, dict) and value.keys() == {_AS_TEXT}:
            return json.loads(value[_AS_TEXT])
        return value
