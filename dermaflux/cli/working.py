"""The verb worker: does jobs of the shared database in a process of its own, apart from any page.

A first signal ends it after its present step, and the job goes back to the queue; a second one ends it at once.
"""

import logging

from dermaflux.cli.output import write_line
from dermaflux.cli.worker_commands import Worker
from dermaflux.ending import asked_to_end
from dermaflux.services import Services

_LOOK_SECONDS = 0.2
_OURS = 1


def worker(services: Services, command: Worker) -> int:
    """Claim jobs and do them. 0 when it was asked to end or nothing is left, 1 when the work broke down."""
    logging.getLogger("dermaflux.jobs").setLevel(logging.INFO)
    with asked_to_end() as asked:
        working = services.start_apart()
        if not command.until_idle:
            services.warm_up(0.0)
        write_line("The worker waits for jobs. Stop it with Ctrl+C or SIGTERM; what is finished is kept.")
        while working.is_alive and not asked.wait(_LOOK_SECONDS):
            if command.until_idle and working.is_idle:
                break
        return 0 if working.is_alive else _OURS
