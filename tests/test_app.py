"""The app as a program: what it cannot start with is one line on stderr and exit 2."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time

import pytest


@pytest.fixture
def start(repository, tmp_path):
    def start(**settings):
        fields = {"data_dir": tmp_path / "data", "host": "127.0.0.1"} | settings
        variables = {f"DERMAFLUX_{name.upper()}": str(value) for name, value in fields.items()}
        return subprocess.run(
            [sys.executable, "app.py"], cwd=repository, env=os.environ | variables, capture_output=True, text=True,
            timeout=120, check=False,
        )  # fmt: skip

    return start


def complaint(done):
    assert done.returncode == 2
    lines = [line for line in done.stderr.splitlines() if line.startswith("dermaflux:")]
    assert lines == done.stderr.splitlines()[-1:]
    assert "Traceback" not in done.stderr
    return lines[0]


def test_a_port_in_use_is_refused_before_anything_is_loaded(start, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        said = complaint(start(port=port))
    assert f"cannot serve on 127.0.0.1:{port}" in said
    assert "DERMAFLUX_PORT" in said
    assert not (tmp_path / "data").exists()


def test_a_data_folder_that_cannot_be_made_is_refused(start, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    (tmp_path / "file").write_text("")
    assert "cannot be written" in complaint(start(data_dir=tmp_path / "file" / "data", port=port))


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_in_the_middle_of_the_start_is_not_lost(number, repository, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    settings = {"DERMAFLUX_DATA_DIR": str(tmp_path), "DERMAFLUX_HOST": "127.0.0.1", "DERMAFLUX_PORT": str(port)}
    app = subprocess.Popen([sys.executable, "app.py"], cwd=repository, env=os.environ | settings)
    try:
        for _ in range(6000):  # the first moment at which somebody could be there
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 5):
                break
            time.sleep(0.02)
        app.send_signal(number)
        assert app.wait(60) == 0
    finally:
        app.kill()
        app.wait()


def test_a_mistyped_setting_is_refused_with_a_suggestion(start):
    assert "DERMAFLUX_MODEL" in complaint(start(modle="nano"))


@pytest.mark.slow
def test_gradio_imported_without_its_stubs_is_whole_and_leaves_inspect_as_it_was(repository):
    code = (
        "import inspect; before = inspect.getfile; "
        "from pages.quick_import import import_gradio; import_gradio(); import gradio; "
        "assert inspect.getfile is before; "
        "assert inspect.getfile(gradio.Button).endswith('button.py'); "
        "gradio.Button('x').click(print)"
    )
    refused = subprocess.run([sys.executable, "-c", code], cwd=repository, capture_output=True, text=True, check=False)
    assert "Blocks context" in refused.stderr  # a listener, made at import, that says where it belongs
    whole = code.replace("gradio.Button('x')", "gradio.Blocks().__enter__(); gradio.Button('x')")
    assert subprocess.run([sys.executable, "-c", whole], cwd=repository, check=False).returncode == 0
