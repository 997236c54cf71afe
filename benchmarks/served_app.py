"""The app in a process of its own, on a free port over an empty data folder, for benchmarks. It measures nothing."""

import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
_GIVE_UP_S = 120.0


@contextmanager
def served(arguments: Sequence[str] = ("app.py",)) -> Iterator[tuple[str, int]]:
    """Python with these arguments until its first page was read whole: its address and process id; then it is ended."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        settings = {"DATA_DIR": folder, "HOST": "127.0.0.1", "PORT": str(port), "DEVICE": "cpu"}
        environment = os.environ | {f"DERMAFLUX_{name}": value for name, value in settings.items()}
        app = subprocess.Popen(
            [sys.executable, *arguments], cwd=REPOSITORY, env=environment, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            _wait_for(f"http://127.0.0.1:{port}/", app)
            yield f"http://127.0.0.1:{port}/", app.pid
        finally:
            app.terminate()
            app.wait(timeout=30)


def _wait_for(url: str, app: subprocess.Popen[bytes]) -> None:
    began = time.perf_counter()
    while time.perf_counter() - began < _GIVE_UP_S:
        if app.poll() is not None:
            raise SystemExit(f"the app ended with code {app.returncode}; run python app.py by hand to see why")
        with suppress(OSError), urllib.request.urlopen(url, timeout=5) as answer:
            answer.read()
            return
        time.sleep(0.05)
    raise SystemExit(f"no page after {_GIVE_UP_S:g} s")
