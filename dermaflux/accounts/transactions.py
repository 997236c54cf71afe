"""Transactions on the account tables, and their failures in our own words. It knows no table."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session, sessionmaker

from dermaflux.domain.errors import StorageNotWritable

# An engine whose transactions begin IMMEDIATE on SQLite lets readers opt out by this execution option.
_READS_ONLY = {"dermaflux_reads_only": True}


class Transactions:
    """Short transactions of one database. Raises StorageNotWritable when it cannot be used."""

    def __init__(self, engine: Engine) -> None:
        self._writes = sessionmaker(engine, expire_on_commit=False)
        self._reads = sessionmaker(engine.execution_options(**_READS_ONLY), expire_on_commit=False)

    @contextmanager
    def writes(self) -> Iterator[Session]:
        """One transaction that may change something."""
        with _in_words(), self._writes.begin() as session:
            yield session

    @contextmanager
    def reads(self) -> Iterator[Session]:
        """One transaction that changes nothing and waits for no writer."""
        with _in_words(), self._reads.begin() as session:
            yield session


@contextmanager
def _in_words() -> Iterator[None]:
    try:
        yield
    except DBAPIError as error:
        raise StorageNotWritable(
            f"The accounts cannot be used: {error.orig}. Check that the database is there, writable, and has space."
        ) from error
