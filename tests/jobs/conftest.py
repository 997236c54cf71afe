"""The queue of a real, migrated database: SQLite and PostgreSQL in turn."""

import time

import pytest

from dermaflux.jobs import JobQueue


@pytest.fixture
def queue(engine):
    return JobQueue(engine)


@pytest.fixture
def submit(queue):
    """Submit a job with as little said as a test needs."""

    def put(user="ann", kind="generate", total=1, **payload):
        return queue.submit(user, kind, payload, total)

    return put


@pytest.fixture
def worker_id(queue):
    """A worker on the roll that does nothing by itself."""
    return queue.roll.enlist("here:1")


@pytest.fixture
def take(queue, worker_id):
    """Claim the next job by hand."""
    return lambda kinds=None: queue.claims.take(worker_id, kinds)


@pytest.fixture
def until():
    """Wait for a condition, with patience for a busy machine."""

    def wait(condition, seconds=60):
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, "it never came"
            time.sleep(0.02)

    return wait
