"""UUID version 7 (RFC 9562): identifiers that sort by the time they were made.

The standard library has them from Python 3.14 only. It knows nothing of what is identified.
"""

import secrets
import threading
import time
import uuid
from datetime import datetime

_lock = threading.Lock()
_last = 0


def new_id() -> str:
    """A new uuid7 as text; within one process each is greater than the one before.

    48 bits of milliseconds, then a 12-bit counter as the RFC's method 3 (fraction of the millisecond).
    """
    global _last
    with _lock:
        # 60 bits: milliseconds and 1/4096 of a millisecond; a stalled or set-back clock counts on.
        now = time.time_ns() * 4096 // 1_000_000
        _last = now if now > _last else _last + 1
        stamp = _last
    milliseconds, fraction = stamp >> 12, stamp & 0xFFF
    value = milliseconds << 80 | 0x7 << 76 | fraction << 64 | 0b10 << 62 | secrets.randbits(62)
    return str(uuid.UUID(int=value))


def first_id_of(moment: datetime) -> str:
    """The least id that can have been made at a moment or later: to find by time what is sorted by id."""
    milliseconds = int(moment.timestamp() * 1000)
    return str(uuid.UUID(int=milliseconds << 80))
