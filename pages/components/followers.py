"""Which follower of a job a visitor's board listens to: always the latest one that began.

In memory only, and empty again when nobody follows. It knows no job.
"""

import itertools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Followers:
    """The latest follower of every session. Safe from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._numbers = itertools.count()
        self._latest: dict[str, int] = {}

    @contextmanager
    def only_one(self, session: str | None) -> Iterator[Callable[[], bool]]:
        """Begin to follow; the value says whether no later follower of the session has begun since."""
        key = session or ""
        with self._lock:
            mine = self._latest[key] = next(self._numbers)
        try:
            yield lambda: self._latest.get(key) == mine
        finally:
            with self._lock:
                if self._latest.get(key) == mine:
                    del self._latest[key]
