"""A real, migrated database, opened as the product opens it: SQLite and PostgreSQL in turn."""

import pytest

from dermaflux.curation.database import open_engine
from dermaflux.jobs import JobQueue


@pytest.fixture
def engine(new_database, tmp_path):
    with new_database(tmp_path) as url:
        engine = open_engine(url)
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
