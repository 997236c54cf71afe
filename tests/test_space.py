"""The app as a Hugging Face Space starts it: its environment, no network, nothing written but where it may be."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

import pytest
import yaml

# Notes every file that is opened for writing and every address that is connected to, by Python's own audit events.
WATCH = '''
import os, sys
_log = os.open(os.environ["WATCHED_TO"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
def _note(event, args):
    if event == "open" and isinstance(args[0], (str, bytes)):
        flags = args[2] if isinstance(args[2], int) else 0
        if flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            os.write(_log, b"write " + os.fsencode(os.path.abspath(os.fsdecode(args[0]))) + b"\\n")
    elif event in ("os.mkdir", "os.rename") and isinstance(args[0], (str, bytes)):
        os.write(_log, b"write " + os.fsencode(os.path.abspath(os.fsdecode(args[0]))) + b"\\n")
    elif event == "socket.connect" and isinstance(args[1], tuple):
        os.write(_log, b"connect " + str(args[1][0]).encode() + b"\\n")
sys.addaudithook(_note)
'''


def front_matter(repository):
    return yaml.safe_load(re.match(r"---\n(.*?)\n---\n", (repository / "README.md").read_text(), re.DOTALL)[1])


def test_the_front_matter_says_what_a_space_needs(repository):
    said = front_matter(repository)
    pins = dict(
        line.split("  #")[0].strip().split("==")
        for line in (repository / "requirements.txt").read_text().splitlines()
        if "==" in line
    )
    assert said["sdk"] == "gradio" and said["sdk_version"] == pins["gradio"]
    assert said["app_file"] == "app.py" and (repository / "app.py").exists()
    assert said["hf_oauth"] is True and {"authlib", "itsdangerous"} <= set(pins)
    assert re.fullmatch(r"3\.1[0-4](\.\d+)?", said["python_version"])


@pytest.fixture
def space(tmp_path, tiny_models, repository):
    """Start the app as a Space; the URL, its folders, and a function that stops it and tells what it touched."""
    for name in ("home", "temp", "watch"):
        (tmp_path / name).mkdir()
    (tmp_path / "watch" / "sitecustomize.py").write_text(WATCH)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {
        "PATH": os.environ["PATH"], "HOME": str(tmp_path / "home"), "TMPDIR": str(tmp_path / "temp"),
        "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1", "WATCHED_TO": str(tmp_path / "watched"),
        "PYTHONPATH": os.pathsep.join(str(p) for p in (tmp_path / "watch", repository / "tests" / "fake_space")),
        "SYSTEM": "spaces", "SPACE_ID": "owner/derma", "SPACE_HOST": "owner-derma.hf.space", "SPACES_ZERO_GPU": "true",
        "OAUTH_CLIENT_ID": "id", "OAUTH_CLIENT_SECRET": "secret", "OAUTH_SCOPES": "openid profile",
        "OPENID_PROVIDER_URL": "https://huggingface.co", "HF_HUB_OFFLINE": "1",
        "GRADIO_SERVER_NAME": "127.0.0.1", "DERMAFLUX_PORT": str(port), "DERMAFLUX_MODELS_DIR": str(tiny_models),
        "DERMAFLUX_DATA_DIR": str(tmp_path / "data"), "DERMAFLUX_VOLUME_DIR": str(tmp_path / "volume"),
    }  # fmt: skip
    with (tmp_path / "log").open("w") as log:
        app = subprocess.Popen([sys.executable, "app.py"], cwd=repository, env=environment, stdout=log, stderr=log)
    url = f"http://127.0.0.1:{port}"
    try:
        for _ in range(4000):  # a busy machine imports torch for a minute or two
            assert app.poll() is None, (tmp_path / "log").read_text()[-3000:]
            try:
                urllib.request.urlopen(url, timeout=5).close()
                break
            except OSError:
                time.sleep(0.1)

        def stop():
            app.send_signal(signal.SIGTERM)
            app.wait(timeout=60)
            return (tmp_path / "watched").read_text().splitlines()

        yield url, tmp_path, stop
    finally:
        app.kill()
        app.wait()


def post(url, name, data):
    request = urllib.request.Request(
        f"{url}/gradio_api/run/{name}", json.dumps({"data": data}).encode(), {"Content-Type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.read().decode()


@pytest.mark.slow
def test_a_space_lets_everybody_look_writes_where_it_may_and_asks_nobody(space):
    url, folder, stop = space
    with urllib.request.urlopen(f"{url}/config", timeout=60) as answer:
        config = json.load(answer)
    assert config["username"] == "" and "Sign in with Hugging Face" in json.dumps(config["components"])
    assert "melanoma" in post(url, "compose_caption", [1, 4, ["red"], "mel", None, None, None, None, None])
    assert "anonymous may not take back a verdict" in post(url, "undo", ["my-dataset"])
    watched = stop()
    written = {line.removeprefix("write ") for line in watched if line.startswith("write ")}
    allowed = [str(folder / name) for name in ("data", "volume", "temp")] + ["/dev/"]
    assert [path for path in written if not path.startswith(tuple(allowed))] == []
    assert list((folder / "home").iterdir()) == []
    connected = {line.removeprefix("connect ") for line in watched if line.startswith("connect ")}
    assert connected <= {"127.0.0.1", "::1"}
    assert list((folder / "volume" / "database").glob("*.db")), "the last copy was made when the app was stopped"
