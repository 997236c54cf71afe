"""How long `import app` and the start to the first page take, and the memory then. Prints one table.

    python benchmarks/startup.py [repeats]

Each figure is the median of fresh processes; the first, cold, start is shown beside it.
"""

import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
IMPORT_BUDGET_S = 1.5
PAGE_BUDGET_S = 6.0
_GIVE_UP_S = 120.0


def seconds_to_import(statement: str) -> float:
    """Seconds a fresh Python takes for an import statement, its own start left out."""
    code = f"import time; began = time.perf_counter(); {statement}; print(time.perf_counter() - began)"
    done = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    return float(done.stdout.split()[-1])


def seconds_to_first_page() -> tuple[float, float]:
    """Seconds from starting `python app.py` until the page is served whole, and its memory in MB then."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        place = {"DERMAFLUX_PORT": str(port), "DERMAFLUX_HOST": "127.0.0.1", "DERMAFLUX_DATA_DIR": folder}
        began = time.perf_counter()
        app = subprocess.Popen(
            [sys.executable, "app.py"],
            cwd=REPOSITORY,
            env=os.environ | place,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            _wait_for(f"http://127.0.0.1:{port}/", app, began)
            return time.perf_counter() - began, _memory_mb(app.pid)
        finally:
            app.terminate()
            app.wait(timeout=30)


def main() -> None:
    """Measure and print."""
    repeats = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    imports = [seconds_to_import("import app") for _ in range(repeats)]
    pages = [seconds_to_first_page() for _ in range(repeats)]
    seconds, memory = zip(*pages, strict=True)
    print("| what | median | first | budget |\n|---|---|---|---|")
    print(f"| import app | {statistics.median(imports):.2f} s | {imports[0]:.2f} s | {IMPORT_BUDGET_S:g} s |")
    print(f"| start to first page | {statistics.median(seconds):.2f} s | {seconds[0]:.2f} s | {PAGE_BUDGET_S:g} s |")
    print(f"| memory at the first page | {statistics.median(memory):.0f} MB | {memory[0]:.0f} MB | |")


def _wait_for(url: str, app: subprocess.Popen[bytes], began: float) -> None:
    while time.perf_counter() - began < _GIVE_UP_S:
        if app.poll() is not None:
            raise SystemExit(f"app.py ended with code {app.returncode}; run it by hand to see why")
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                answer.read()
                return
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.05)
    raise SystemExit(f"no page after {_GIVE_UP_S:g} s")


def _memory_mb(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


if __name__ == "__main__":
    main()
