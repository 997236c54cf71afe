"""Do synthetic pictures help a classifier? `python -m training.augmentation_study PRESET [--field value ...]`.

Trains a classifier for every cell of a grid (`training.study_config`), with and without synthetic pictures at equal
numbers of steps, and writes one line a finished cell. Ratio and baseline are chosen on val, reported on test. It can be
stopped at any time: finished cells are kept, the same command goes on, also with more arms, sizes or seeds. Several
workers, or the same command on machines that share the folder, take different cells. `training.study_report` draws
what was found.
"""

import logging
import multiprocessing
import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import asdict
from multiprocessing.process import BaseProcess

import torch
import tyro
from tqdm import tqdm

from dermaflux.domain.errors import Cancelled
from training.program import STOPPED, program
from training.run_status import claim_folder, recorded
from training.stopping import stop_between_steps
from training.study_cell import run_cell
from training.study_config import PRESETS, Cell, StudyConfig
from training.study_grid import Grid, work

log = logging.getLogger(__name__)
# What a study may grow by, or where it runs: everything else must stay as it began.
_FREE = {"name", "runs_dir", "sources_dir", "workers", "models", "num_real", "arms", "seeds", "weights_dir", "device"}
_POLL_SECONDS = 0.5
_ENDED_WELL = (None, 0, STOPPED, -signal.SIGTERM)
"""Exit codes of workers that are under way, done or stopped; the last is one stopped while it still began."""


def run_study(config: StudyConfig) -> int:
    """Run what is left of the grid; the number of its finished cells.

    Raises Cancelled when stopped, InvalidRequest when the folder holds a study of other settings, and what a cell
    raises.
    """
    grid, cells = Grid(config.folder), config.cells()
    claim_folder(config.folder, {name: value for name, value in asdict(config).items() if name not in _FREE})
    with recorded(config.folder):
        if config.workers == 1:
            _work(config)
        else:
            _share(config, grid)
    return _num_finished(grid, cells)


def _num_finished(grid: Grid, cells: Sequence[Cell]) -> int:
    """How many of these cells are done; the folder may hold others, of earlier commands."""
    finished = grid.finished()
    return sum(cell.key in finished for cell in cells)


def _work(config: StudyConfig) -> None:
    grid, cells = Grid(config.folder), config.cells()
    done = _num_finished(grid, cells)  # took this command no time, so it does not count towards the pace
    with tqdm(total=len(cells), initial=done, desc="cells", file=sys.stderr) as bar, stop_between_steps() as stop:
        for _ in work(grid, cells, lambda cell: run_cell(config, cell, stop)):
            bar.update(_num_finished(grid, cells) - bar.n)


def _worker(config: StudyConfig) -> None:
    """One of several processes; its exit code says how it went."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(process)d %(message)s")
    torch.set_num_threads(max(1, (os.cpu_count() or 1) // config.workers))
    try:
        _work(config)
    except (Cancelled, KeyboardInterrupt):
        sys.exit(STOPPED)


def _share(config: StudyConfig, grid: Grid) -> None:
    """Let several processes work; when one fails the others finish their cell and stop."""
    context = multiprocessing.get_context("spawn")
    workers: list[BaseProcess] = [context.Process(target=_worker, args=(config,)) for _ in range(config.workers)]
    for worker in workers:
        worker.start()
    try:
        with stop_between_steps() as stop:
            while not (stop() or _failed(workers)) and any(worker.is_alive() for worker in workers):
                for worker in workers:
                    worker.join(_POLL_SECONDS / len(workers))
            stopped = stop()
            _terminate(workers)
            for worker in workers:
                worker.join()
    finally:
        _terminate(workers)
    if failed := _failed(workers):
        raise ChildProcessError(f"A worker of {grid.folder} failed with exit code {failed}; its lines are above.")
    if stopped:
        raise Cancelled("The study was stopped. Finished cells are kept; the same command goes on.")


def _failed(workers: Sequence[BaseProcess]) -> int | None:
    return next((worker.exitcode for worker in workers if worker.exitcode not in _ENDED_WELL), None)


def _terminate(workers: Sequence[BaseProcess]) -> None:
    for worker in workers:
        if worker.is_alive():
            worker.terminate()


@program
def main() -> None:
    """The command line."""
    config = tyro.extras.overridable_config_cli(PRESETS, prog="python -m training.augmentation_study")
    done = run_study(config)
    sys.stdout.write(f"{done} of {len(config.cells())} cells finished, in {config.folder}\n")


if __name__ == "__main__":
    sys.exit(main())
