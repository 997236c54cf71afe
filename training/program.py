"""How the programs of training and benchmarks begin and end: one log format, one line for a mistake, one set of codes.

The only place there where an error becomes what a user reads. It knows no program.
"""

import functools
import logging
import signal
import sys
from collections.abc import Callable
from typing import ParamSpec

from dermaflux.domain.errors import Cancelled, DermaFluxError

Params = ParamSpec("Params")
STOPPED = 130


def program(main: Callable[Params, None]) -> Callable[Params, int]:
    """A program's main with its exit code: 0 done, 2 the user's mistake, 130 stopped by the user; others are ours.

    SIGTERM stops as Ctrl-C does, also in a background job, which starts with Ctrl-C ignored.
    """

    @functools.wraps(main)
    def run(*args: Params.args, **kwargs: Params.kwargs) -> int:
        logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.default_int_handler)
        try:
            main(*args, **kwargs)
        except (KeyboardInterrupt, Cancelled) as stop:
            sys.stderr.write(f"\n{str(stop) or 'Stopped.'}\n")
            return STOPPED
        except DermaFluxError as error:
            sys.stderr.write(f"{error}\n")
            return 2
        return 0

    return run
