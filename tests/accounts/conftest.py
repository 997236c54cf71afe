"""The accounts of a migrated database of either kind."""

import pytest

from dermaflux.accounts.keys import KeyStore
from dermaflux.accounts.store import AccountStore


@pytest.fixture
def accounts(engine):
    return AccountStore(engine)


@pytest.fixture
def keys(engine):
    return KeyStore(engine)
