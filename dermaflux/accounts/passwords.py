"""Passwords as argon2id hashes, and a growing pause against guessing. It knows no table and no name's owner."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from dermaflux.domain.errors import TooManyAttempts

FREE_ATTEMPTS = 3
MAX_PAUSE_SECONDS = 60.0
_MOST_AT_ONCE = 2  # each takes 64 MB and a core for a moment
_NAMES_KEPT = 10_000
_FORGOTTEN_AFTER_SECONDS = 15 * 60.0


class PasswordCheck:
    """Makes and checks hashes, a few at a time. An unknown name takes as long as a known one."""

    def __init__(self) -> None:
        self._hasher = PasswordHasher()
        self._room = threading.BoundedSemaphore(_MOST_AT_ONCE)
        self._of_nobody: str | None = None

    def hash(self, password: str) -> str:
        """The argon2id hash of a password, with its own salt and parameters in it."""
        with self._room:
            return self._hasher.hash(password)

    def matches(self, password: str, stored: str | None) -> bool:
        """Whether the password belongs to a hash; None, for nobody's, is checked against one all the same."""
        if self._of_nobody is None:
            self._of_nobody = self.hash("nobody has this password")
        with self._room:
            try:
                return self._hasher.verify(stored or self._of_nobody, password) and stored is not None
            except (VerificationError, InvalidHashError):
                return False


class Pauses:
    """How long a name has to wait after wrong passwords: nothing at first, then 1, 2, 4 ... up to 60 seconds.

    In memory, of this process, and the names that were tried last only. It tells known names and unknown ones alike.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._failures: OrderedDict[str, tuple[int, float]] = OrderedDict()  # number, moment of the last

    def begin(self, name: str) -> None:
        """Count an attempt as failed before it is judged, so that many at once gain nothing.

        Raises TooManyAttempts while the name has to wait.
        """
        with self._lock:
            now = self._clock()
            number, last = self._failures.get(name, (0, now))
            if now - last > _FORGOTTEN_AFTER_SECONDS:
                number = 0
            pause = min(2.0 ** (number - FREE_ATTEMPTS), MAX_PAUSE_SECONDS) if number >= FREE_ATTEMPTS else 0.0
            if (left := last + pause - now) > 0:
                raise TooManyAttempts(
                    f"Too many wrong passwords for this name. Wait {left:.0f} seconds, then try again.", left
                )
            self._failures[name] = (number + 1, now)
            self._failures.move_to_end(name)
            while len(self._failures) > _NAMES_KEPT:
                self._failures.popitem(last=False)

    def succeeded(self, name: str) -> None:
        """Forget the failures of a name."""
        with self._lock:
            self._failures.pop(name, None)
