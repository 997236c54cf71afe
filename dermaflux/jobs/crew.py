"""The workers of one process, told to start and stop as one: as many jobs at a time as images are drawn together."""

import time
from collections.abc import Sequence

from dermaflux.jobs.worker import JobWorker


class JobCrew:
    """One worker or more on the same queue. Each claims for itself, so that the line stays fair."""

    def __init__(self, workers: Sequence[JobWorker]) -> None:
        assert workers, "a crew has a worker"
        self._workers = tuple(workers)

    @property
    def is_alive(self) -> bool:
        """Whether all of them take jobs: one that broke down by a fault of ours is not hidden by the others."""
        return all(worker.is_alive for worker in self._workers)

    @property
    def is_idle(self) -> bool:
        """Whether none of them has found anything to do."""
        return all(worker.idle.is_set() for worker in self._workers)

    def start(self) -> None:
        """Begin to work. Raises StorageNotWritable."""
        for worker in self._workers:
            worker.start()

    def stop(self, timeout_seconds: float = 10.0) -> bool:
        """End all after their current steps; their jobs go back to the queue. True when every thread has ended."""
        deadline = time.monotonic() + timeout_seconds
        for worker in self._workers:
            worker.ask_to_stop()
        return all([worker.stop(max(0.0, deadline - time.monotonic())) for worker in self._workers])
