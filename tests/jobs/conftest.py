"""Real SQLite files, opened as a plain engine and as the product opens them (BEGIN IMMEDIATE, WAL)."""

import pytest
from sqlalchemy import create_engine

from dermaflux.jobs import JobQueue
from dermaflux.jobs.tables import Base


def open_plain(path):
    engine = create_engine(f"sqlite:///{path}")
    Base.metadata.create_all(engine)
    return engine


def open_as_the_product(path):
    from dermaflux.curation.database import migrate, open_engine

    engine = open_engine(f"sqlite:///{path}")
    migrate(engine)
    return engine


@pytest.fixture(params=[open_plain, open_as_the_product])
def engine(request, tmp_path):
    engine = request.param(tmp_path / "jobs.db")
    yield engine
    engine.dispose()


@pytest.fixture
def queue(engine):
    return JobQueue(engine)


@pytest.fixture
def submit(queue):
    """Submit a job with as little said as a test needs."""

    def put(user="ann", kind="generate", total=1, **payload):
        return queue.submit(user, kind, payload, total)

    return put
