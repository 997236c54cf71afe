"""The heartbeat of a worker: says that it lives, and gives the jobs of workers that died back to the queue.

It runs on a thread of its own, so that a long step does not look like death.
"""

import logging
import os
import socket
import threading
import time

from dermaflux.domain.errors import DermaFluxError
from dermaflux.jobs.roll import WorkerRoll

log = logging.getLogger(__name__)

_BEATS_PER_TIMEOUT = 6


class Heart:
    """Beats from start to stop."""

    def __init__(self, roll: WorkerRoll) -> None:
        self._roll = roll
        self._name = f"{socket.gethostname()}:{os.getpid()}"
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="dermaflux-heart", daemon=True)
        self.worker_id = ""

    def start(self) -> None:
        """Enlist, see to the jobs of the dead, and begin to beat. Raises StorageNotWritable."""
        self.worker_id = self._roll.enlist(self._name)
        self._roll.reap()
        self._thread.start()

    def stop(self) -> None:
        """Stop beating and leave the roll; the worker holds no job any more. May be called twice."""
        if self._stopping.is_set():
            return
        self._stopping.set()
        self._thread.join(self._roll.timeout_seconds)
        try:
            self._roll.leave(self.worker_id)
        except DermaFluxError as error:  # the others find out by the silence
            log.warning("the worker could not sign off: %s", error)

    def _run(self) -> None:
        timeout, last = self._roll.timeout_seconds, time.monotonic()
        while not self._stopping.wait(timeout / _BEATS_PER_TIMEOUT):
            try:
                self._roll.beat(self.worker_id, self._name)
                # Who was cut off itself cannot tell the dead from those who were cut off too: they get time to beat.
                if time.monotonic() - last < timeout:
                    self._roll.reap()
                last = time.monotonic()
            except DermaFluxError as error:
                log.warning("no heartbeat could be written: %s", error)
