"""Lets a training program keep the memory it frees, so that the next step need not ask the machine for it again.

glibc gives large pieces back at once and takes them anew, page by page, at every step: on a virtual machine that costs
a classifier's step up to a fifth and its judging a third (docs/benchmarks.md). It knows nothing of what is trained.
"""

import ctypes
import sys

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX = -1, -2, -4  # of mallopt(3)
_KEPT_BYTES = 2**31 - 1
_PAD_BYTES = 64 * 2**20


def keep_freed_memory() -> bool:
    """Keep freed memory in this process from now on; whether the C library has such a thing (glibc does)."""
    if not sys.platform.startswith("linux"):
        return False
    library = ctypes.CDLL(None)
    if not hasattr(library, "gnu_get_libc_version"):  # musl has a mallopt that does nothing
        return False
    settings = ((_MMAP_MAX, 0), (_TRIM_THRESHOLD, _KEPT_BYTES), (_TOP_PAD, _PAD_BYTES))
    return all([library.mallopt(name, value) == 1 for name, value in settings])
