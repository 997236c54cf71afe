"""A migrated database of either kind, and the accounts in it."""

import pytest

from dermaflux.accounts.keys import KeyStore
from dermaflux.accounts.store import AccountStore
from dermaflux.curation.database import open_engine


@pytest.fixture
def engine(new_database, tmp_path):
    with new_database(tmp_path) as url:
        engine = open_engine(url)
        yield engine
        engine.dispose()


@pytest.fixture
def accounts(engine):
    return AccountStore(engine)


@pytest.fixture
def keys(engine):
    return KeyStore(engine)
