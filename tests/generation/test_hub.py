"""The hub client against a real local HTTP server that answers as the hub does."""

import hashlib
import os
import re
import threading
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import pytest
from huggingface_hub import constants

from dermaflux.domain.errors import ModelNotAvailable
from dermaflux.generation import hub as hub_module
from dermaflux.generation.entries import HUB_MODELS
from dermaflux.generation.hub import download_adapter, download_pipeline
from dermaflux.generation.weights import digest_of

ANSWERS = {
    "gated": (403, "GatedRepo"),
    "locked": (401, "GatedRepo"),
    "refusing": (403, ""),
    "rewritten": (404, "RevisionNotFound"),
    "absent": (404, "RepoNotFound"),
}
COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Hub(BaseHTTPRequestHandler):
    asked: ClassVar[list[str]] = []

    def answer(self):
        self.asked.append(self.path)
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


def test_a_gated_model_says_whether_the_token_or_the_licence_is_missing(hub):
    with pytest.raises(ModelNotAvailable, match=r"no token was given\. Accept its licence at https://.*owner/locked"):
        download_pipeline("owner/locked", endpoint=hub)
    with pytest.raises(ModelNotAvailable, match=r"token in use has not been let in\. Accept its licence.*owner/gated"):
        download_pipeline("owner/gated", endpoint=hub)
    with pytest.raises(ModelNotAvailable, match="Accept its licence"):
        download_adapter("owner/gated", "x.safetensors", endpoint=hub)
    with pytest.raises(ModelNotAvailable, match="refused the token for owner/refusing"):
        download_pipeline("owner/refusing", endpoint=hub)


def test_a_pinned_commit_is_asked_for_by_its_sha_and_its_absence_said(hub):
    with pytest.raises(ModelNotAvailable, match="owner/rewritten has no such commit"):
        download_pipeline("owner/rewritten", revision=COMMIT, endpoint=hub)
    assert any(COMMIT in path for path in Hub.asked if "/rewritten" in path)
    assert all(re.fullmatch("[0-9a-f]{40}", entry.revision) for entry in HUB_MODELS.values())


@pytest.fixture
def cached(monkeypatch, tmp_path):
    """A repository as the hub's cache keeps it, without network: a file under its sha256, linked from a snapshot."""
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    repository = tmp_path / "models--owner--model"
    blob = repository / "blobs" / hashlib.sha256(b"weights").hexdigest()
    link = repository / "snapshots" / COMMIT / "vae" / "model.safetensors"
    link.parent.mkdir(parents=True)
    blob.parent.mkdir()
    blob.write_bytes(b"weights")
    link.symlink_to(os.path.relpath(blob, link.parent))
    return blob


def test_files_are_held_to_the_sha256_of_the_hub_once(cached, monkeypatch):
    download = partial(download_pipeline, "owner/model", revision=COMMIT)
    folder, digests = download(), []
    assert (folder / "vae" / "model.safetensors").read_bytes() == b"weights"
    monkeypatch.setattr(hub_module, "digest_of", lambda path: digests.append(path) or digest_of(path))
    assert download() == folder and digests == []
    cached.write_bytes(b"rotten!")  # as long, so that sizes alone say nothing
    with pytest.raises(ModelNotAvailable, match=rf"model\.safetensors of owner/model is damaged.*Delete {cached}"):
        download()
    assert len(digests) == 1
    cached.write_bytes(b"weights")
    assert download() == folder


def test_a_pinned_commit_that_is_not_the_cached_one_is_not_taken_for_it(cached):
    with pytest.raises(ModelNotAvailable, match="is not downloaded"):
        download_pipeline("owner/model", revision=COMMIT[::-1])


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
