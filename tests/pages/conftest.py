"""The real app over a tiny model, in its own process, once for all tests of the pages."""

import gc
import warnings

import pytest

from dermaflux.services import Services
from dermaflux.settings import Settings


@pytest.fixture(scope="session")
def served(start_app, tmp_path_factory):
    """The URL of the app and its data directory."""
    data_dir = tmp_path_factory.mktemp("served") / "data"
    with start_app(data_dir, max_waiting=3, mcp="true") as url:
        yield url, data_dir


@pytest.fixture
def services(served, tiny_models):
    """The app's store, read from outside; the worker is the app's own."""
    with Services(Settings(models_dir=tiny_models, data_dir=served[1])) as services:
        yield services


@pytest.fixture(scope="session")
def client(served, tmp_path_factory):
    from gradio_client import Client

    downloads = str(tmp_path_factory.mktemp("downloads"))
    # The app shares the machine with other tests; the client's own patience is five seconds.
    client = Client(served[0], verbose=False, download_files=downloads, httpx_kwargs={"timeout": 120})
    yield client
    client.close()
    with warnings.catch_warnings():  # the client leaves its sockets to the garbage collector
        warnings.simplefilter("ignore", ResourceWarning)
        del client
        gc.collect()
