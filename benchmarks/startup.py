"""How long `import app` and the start to the first page take, and the memory then. Prints one table.

    python -m benchmarks.startup [repeats]

Each figure is the median of fresh processes; the first, cold, start is shown beside it.
"""

import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.served_app import REPOSITORY, served

IMPORT_BUDGET_S = 1.5
PAGE_BUDGET_S = 6.0


def seconds_to_import(statement: str) -> float:
    """Seconds a fresh Python takes for an import statement, its own start left out."""
    code = f"import time; began = time.perf_counter(); {statement}; print(time.perf_counter() - began)"
    done = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    return float(done.stdout.split()[-1])


def seconds_to_first_page() -> tuple[float, float]:
    """Seconds from starting `python app.py` until the page is served whole, and its memory in MB then."""
    began = time.perf_counter()
    with served() as (_, process_id):
        return time.perf_counter() - began, _memory_mb(process_id)


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


def _memory_mb(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


if __name__ == "__main__":
    main()
