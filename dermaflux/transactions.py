"""Short transactions of one database, and their failures in our own words. It knows no table."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Final

from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as NoConnectionFree
from sqlalchemy.orm import Session, sessionmaker

from dermaflux.domain.errors import StorageNotWritable

# An engine whose transactions begin IMMEDIATE on SQLite lets readers opt out by this execution option.
READS_ONLY_OPTION: Final = "dermaflux_reads_only"


class Transactions:
    """Transactions on one database; `what` begins a complaint. Safe from any thread; processes may share it."""

    def __init__(self, engine: Engine, what: str) -> None:
        self._what = what
        self._writes = sessionmaker(engine, expire_on_commit=False)
        self._reads = sessionmaker(engine.execution_options(**{READS_ONLY_OPTION: True}), expire_on_commit=False)

    def writing(self) -> AbstractContextManager[Session]:
        """A transaction that may write, committed at its end. Raises StorageNotWritable."""
        return self._in_words(self._writes)

    def reading(self) -> AbstractContextManager[Session]:
        """A transaction that only reads and waits for no writer. Raises StorageNotWritable."""
        return self._in_words(self._reads)

    @contextmanager
    def _in_words(self, sessions: sessionmaker[Session]) -> Iterator[Session]:
        try:
            with sessions.begin() as session:
                yield session
        except (DBAPIError, NoConnectionFree) as error:
            reason = error.orig if isinstance(error, DBAPIError) else error
            raise StorageNotWritable(
                f"{self._what} cannot be used: {reason}. Check that the database is there, writable, and has space."
            ) from error
