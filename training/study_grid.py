"""The book-keeping of a grid of cells: who works on which, what is finished, one line of a results file each.

Workers may be processes, or machines that share the folder: a cell is claimed by a lock that vanishes with its holder.
It knows nothing of what a cell does.
"""

import json
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout

from dermaflux.evaluation.study_arms import RESULTS
from training.study_cell import Result
from training.study_config import Cell

log = logging.getLogger(__name__)


class Grid:
    """The folder of a study: `results.jsonl`, `scores/KEY.npy` and the locks."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.results = folder / RESULTS
        for name in ("scores", "locks"):
            (folder / name).mkdir(parents=True, exist_ok=True)

    def finished(self) -> dict[str, dict[str, Any]]:
        """The lines of all finished cells by key; a line torn by a crash is no line."""
        if not self.results.is_file():
            return {}
        lines = (_parsed(text) for text in self.results.read_text(encoding="utf-8").splitlines())
        return {line["key"]: line for line in lines if line is not None}

    def claimed(self, cells: Sequence[Cell]) -> Iterator[Cell]:
        """Cells that nobody has finished or works on, each held until the next one is asked for."""
        for cell in cells:
            lock = FileLock(self.folder / "locks" / f"{cell.key}.lock")
            try:
                with lock.acquire(timeout=0):
                    if cell.key not in self.finished():
                        yield cell
            except Timeout:
                continue

    def add(self, result: Result) -> None:
        """Write the scores, then the line: a line says that its scores are there."""
        key = result.line["key"]
        partial = self.folder / "scores" / f".{key}.npy"
        np.save(partial, result.test_scores.astype(np.float32))
        os.replace(partial, self.scores_path(key))
        with FileLock(self.folder / "locks" / "results.lock"), self.results.open("ab+") as handle:
            if handle.tell() and not _ends_with_newline(handle):
                handle.write(b"\n")
            handle.write(json.dumps(result.line).encode() + b"\n")
            handle.flush()
            os.fsync(handle.fileno())

    def scores_path(self, key: str) -> Path:
        """Where P(malignant) of the test pictures of a cell lies."""
        return self.folder / "scores" / f"{key}.npy"


def work(grid: Grid, cells: Sequence[Cell], run: Callable[[Cell], Result]) -> Iterator[Cell]:
    """Run every cell that is free; each is given when it is finished and written."""
    for cell in grid.claimed(cells):
        log.info("cell %s", cell.key)
        grid.add(run(cell))
        yield cell


def _parsed(text: str) -> dict[str, Any] | None:
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        log.warning("a torn line of the results is left out: %s", text[:60])
        return None


def _ends_with_newline(handle: Any) -> bool:
    handle.seek(-1, os.SEEK_END)
    return handle.read(1) == b"\n"
