"""Lets two folders change places in one step, where the system can: a kill in between leaves both or neither moved.

It knows Linux's renameat2 and nothing of exports.
"""

import ctypes
import errno
import os
from pathlib import Path

_AT_WORKING_FOLDER = -100
_EXCHANGE = 2
_CANNOT = (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP, errno.EPERM)


def exchanged(one: Path, other: Path) -> bool:
    """Whether the two were exchanged; False where system or file system cannot. Raises OSError for other failures."""
    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None) if os.name == "posix" else None
    if rename is None:
        return False
    if rename(_AT_WORKING_FOLDER, os.fsencode(one), _AT_WORKING_FOLDER, os.fsencode(other), _EXCHANGE) == 0:
        return True
    number = ctypes.get_errno()
    if number in _CANNOT:
        return False
    raise OSError(number, os.strerror(number), str(other))
