"""The hub client against a real local HTTP server that answers as the hub does."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from huggingface_hub import constants

from dermaflux.domain.errors import ModelNotAvailable
from dermaflux.generation.hub import download_adapter, download_pipeline

ANSWERS = {
    "gated": (403, "GatedRepo"),
    "absent": (404, "RepoNotFound"),
}


class Hub(BaseHTTPRequestHandler):
    def answer(self):
        status, code = next(
            (a for name, a in ANSWERS.items() if f"/{name}" in self.path), (500, "")
        )
        self.send_response(status)
        self.send_header("X-Error-Code", code)
        self.send_header("X-Error-Message", code)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_GET = do_HEAD = answer  # noqa: N815 - names of http.server

    def log_message(self, *_):
        pass


@pytest.fixture
def hub(monkeypatch, tmp_path):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_a_gated_model_says_how_to_get_it(hub):
    with pytest.raises(
        ModelNotAvailable, match=r"Accept its licence at https://.*owner/gated.*HF_TOKEN"
    ):
        download_pipeline("owner/gated", endpoint=hub)
    with pytest.raises(ModelNotAvailable, match="Accept its licence"):
        download_adapter("owner/gated", "x.safetensors", endpoint=hub)


def test_a_model_that_is_not_there_says_so(hub):
    with pytest.raises(ModelNotAvailable, match="does not exist on the hub, or is private"):
        download_pipeline("owner/absent", endpoint=hub)


def test_without_network_the_message_is_about_the_network(monkeypatch, tmp_path):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(ModelNotAvailable, match="cannot be reached"):
        download_pipeline("black-forest-labs/FLUX.1-dev")
    with pytest.raises(ModelNotAvailable, match="not the name of a hub repository"):
        download_adapter("not a name/x", "x.safetensors")
