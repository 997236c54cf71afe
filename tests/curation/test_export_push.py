"""Uploads against a local HTTP server that answers as the hub does: it keeps what is committed."""

import base64
import json
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

import pytest
from huggingface_hub import constants

from dermaflux.curation.export import export_dataset
from dermaflux.curation.export_push import push_to_hub
from dermaflux.curation.export_records import ExportRequest
from dermaflux.domain.errors import DataNotFound, InvalidRequest

REFUSALS = {"gated": (403, "GatedRepo"), "no-token": (401, ""), "read-only": (403, ""), "broken": (422, "")}


class Hub(BaseHTTPRequestHandler):
    """One dataset repository: created, listed, committed to. The owner's name decides whether it refuses."""

    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        kind = urlsplit(self.path).path
        if kind == "/api/repos/create":
            wanted = json.loads(body)
            owner = wanted.get("organization") or ""
            if owner in REFUSALS:
                return self.answer({}, *REFUSALS[owner])
            self.server.created = wanted
            return self.answer({"url": f"{self.server.address}/datasets/{owner}/{wanted['name']}"})
        if "/preupload/" in kind:
            files = [{"path": f["path"], "uploadMode": "regular", "shouldIgnore": False}
                     for f in json.loads(body)["files"]]  # fmt: skip
            return self.answer({"files": files})
        if "/commit/" in kind:
            for line in body.splitlines():
                self.commit(json.loads(line))
            address = f"{self.server.address}/datasets/owner/lesions/commit/1"
            return self.answer({"commitUrl": address, "commitOid": "1" * 40, "success": True, "hookOutput": ""})
        return self.answer({"errors": [], "warnings": []})  # validate-yaml

    def do_GET(self):
        path = unquote(urlsplit(self.path).path)
        if owner := next((name for name in REFUSALS if f"/{name}/" in path), None):
            return self.answer({}, *REFUSALS[owner])
        if "/tree/" in path:
            return self.answer([{"type": "file", "path": name, "size": len(content), "oid": "0" * 40}
                                for name, content in self.server.files.items()])  # fmt: skip
        if "/resolve/" in path:
            return self.answer(self.server.files[path.partition("/resolve/")[2].partition("/")[2]])
        return self.answer({"id": "o/n", "sha": "1" * 40, "siblings": [{"rfilename": n} for n in self.server.files]})

    def do_HEAD(self):
        self.do_GET()

    def commit(self, line):
        value = line["value"]
        if line["key"] == "file":
            self.server.files[value["path"]] = base64.b64decode(value["content"])
        elif line["key"] == "deletedFile":
            del self.server.files[value["path"]]
        elif line["key"] == "header":
            self.server.messages.append(value["summary"])

    def answer(self, what, status=200, code=""):
        content = what if isinstance(what, bytes) else json.dumps(what).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.send_header("X-Repo-Commit", "1" * 40)
        self.send_header("ETag", '"e"')
        if code:
            self.send_header("X-Error-Code", code)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, *_):
        pass


@pytest.fixture
def hub(monkeypatch, tmp_path):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    server.address = f"http://127.0.0.1:{server.server_port}"
    server.files, server.messages, server.created = {".gitattributes": b""}, [], {}
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def exported(filled, tmp_path):
    return export(filled, tmp_path / "out")


def export(store, folder, **more):
    export_dataset(store, ExportRequest(dataset="first", format="imagefolder", folder=folder, **more))
    return folder


def local_files(folder):
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_a_push_makes_a_private_dataset_with_every_byte(exported, hub):
    address = push_to_hub(exported, "owner/lesions", endpoint=hub.address)
    assert address == f"{hub.address}/datasets/owner/lesions"
    assert hub.created["visibility"] == "private" and hub.created["type"] == "dataset"
    assert {name: c for name, c in hub.files.items() if name != ".gitattributes"} == local_files(exported)
    assert "4 synthetic images of first" in hub.messages[0]


def test_the_next_push_replaces_the_last_one_whole(filled, exported, hub, tmp_path):
    push_to_hub(exported, "owner/lesions", endpoint=hub.address)
    fewer = export(filled, tmp_path / "fewer", max_per_diagnosis=1)
    push_to_hub(fewer, "owner/lesions", public=True, endpoint=hub.address)
    assert set(hub.files) == {".gitattributes", *local_files(fewer)}
    assert hub.created["visibility"] == "public"


def test_synthetic_images_are_not_mixed_into_other_data(exported, hub):
    hub.files["train/photo.jpg"] = b"real"
    with pytest.raises(InvalidRequest, match=r"train/photo\.jpg.*not mixed"):
        push_to_hub(exported, "owner/lesions", endpoint=hub.address)
    assert set(hub.files) == {".gitattributes", "train/photo.jpg"}


@pytest.mark.parametrize(
    ("owner", "words"),
    [("gated", "is gated"), ("no-token", "Set HF_TOKEN"), ("read-only", "may not write"), ("broken", "422")],
)
def test_a_refusal_of_the_hub_is_explained(exported, hub, owner, words):
    with pytest.raises(InvalidRequest, match=words):
        push_to_hub(exported, f"{owner}/lesions", endpoint=hub.address)


def test_what_cannot_be_pushed_is_refused_before_the_hub_is_asked(exported, tmp_path, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(InvalidRequest, match="no export"):
        push_to_hub(tmp_path, "owner/lesions")
    with pytest.raises(InvalidRequest, match="OWNER/NAME"):
        push_to_hub(exported, "no name/at all")
    with pytest.raises(DataNotFound, match="cannot be reached"):
        push_to_hub(exported, "owner/lesions")


def test_a_hub_that_does_not_answer_is_said_to_be_out_of_reach(exported, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: connections are refused
        with pytest.raises(DataNotFound, match="cannot be reached"):
            push_to_hub(exported, "owner/lesions", endpoint=f"http://127.0.0.1:{taken.getsockname()[1]}")
