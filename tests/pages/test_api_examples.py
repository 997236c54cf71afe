"""Every example of docs/api.md, run as it stands against a live app with log-ins and MCP."""

import os
import re
import shutil
import subprocess
import sys
import zipfile

import pytest

from dermaflux.services import Services
from dermaflux.settings import Settings

PASSWORD = "correct horse battery"
TOOLS = {
    "compose_caption", "generate", "decide", "undo", "export", "classify_sample", "measure_sample", "explain_sample",
    "probe",
}  # fmt: skip


@pytest.fixture(scope="module")
def guarded(start_app, tmp_path_factory):
    """The URL of an app with local accounts and MCP, and a curator's key."""
    data_dir = tmp_path_factory.mktemp("guarded") / "data"
    with Services(Settings(data_dir=data_dir, auth="local")) as services:
        services.add_account("root", "admin", PASSWORD)
        for role in ("curator", "viewer"):
            services.add_account(role, role, PASSWORD)
        keys = {name: services.issue_key(name, "test", 1)[0] for name in ("curator", "viewer")}
    with start_app(data_dir, auth="local", mcp="true") as url:
        yield url, keys


def examples(repository, language):
    return re.findall(rf"^```{language}\n(.*?)^```$", (repository / "docs" / "api.md").read_text(), re.DOTALL | re.M)


def run(command, guarded, folder, role="curator"):
    url, keys = guarded
    environment = os.environ | {"DERMAFLUX_URL": url, "DERMAFLUX_KEY": keys[role], "NO_PROXY": "127.0.0.1"}
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=250, check=False
    )


@pytest.mark.slow
def test_the_python_and_mcp_examples_run(guarded, repository, tmp_path):
    checks = (
        "assert 'melanoma' in caption and len(answer['images']) == 2\n"
        "assert 'Not a medical device' in statement and 'Not a medical device' in predicted['statement']\n"
        "import zipfile; assert zipfile.is_zipfile(path)\n"
        f"assert set(tools) == {TOOLS!r}, tools\n"
        "assert zip_address.endswith('.zip'), zip_address\n"
    )
    done = run([sys.executable, "-c", "\n".join([*examples(repository, "python"), checks])], guarded, tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.mark.slow
def test_the_curl_example_runs(guarded, repository, tmp_path):
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    (script,) = examples(repository, "bash")
    done = run(["bash", "-eu", "-o", "pipefail", "-c", script], guarded, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
    with zipfile.ZipFile(tmp_path / "from-curl.zip") as archive:
        assert any(name.endswith(".png") for name in archive.namelist())


@pytest.mark.slow
def test_a_viewers_program_is_refused_by_every_way_in(guarded, tmp_path):
    """What changes something is refused, whether queued or not, over HTTP or MCP; an export is not theirs to fetch."""
    code = """
import asyncio, os, httpx
from gradio_client import Client
from gradio_client.exceptions import AppError
from mcp import ClientSession
from mcp.client.streamable_http import streamable_http_client
url, headers = os.environ["DERMAFLUX_URL"], {"Authorization": "Bearer " + os.environ["DERMAFLUX_KEY"]}
client = Client(url, headers=headers, verbose=False)
said = []
for arguments, name in ((("a mole",), "/generate"), (("d",), "/undo"), (("d",), "/export")):
    try:
        client.predict(*arguments, api_name=name)
    except AppError as error:
        said.append(str(error))
async def by_mcp():
    async with (
        httpx.AsyncClient(headers=headers, timeout=60) as http,
        streamable_http_client(url + "/gradio_api/mcp/", http_client=http) as (read, write, _),
        ClientSession(read, write) as session,
    ):
        await session.initialize()
        for tool, given in (("generate", {"caption": "a"}), ("undo", {"dataset": "d"}), ("export", {"dataset": "d"})):
            said.append((await session.call_tool(tool, given)).content[0].text)
asyncio.run(by_mcp())
assert len(said) == 6 and all("viewer may not" in text for text in said), said
assert httpx.post(url + "/gradio_api/mcp/", json={}).status_code == 401
assert httpx.get(url + "/config").status_code == 401
assert httpx.get(url + "/config", headers={"x-gradio-user": "mcp", "x-dermaflux-loopback": "guess"}).status_code == 401
"""
    done = run([sys.executable, "-c", code], guarded, tmp_path, role="viewer")
    assert done.returncode == 0, done.stderr[-3000:]
