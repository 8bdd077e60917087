"""Files that somebody else may have put there: regular ones only, and only so much of them."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

# A device without end would fill the memory, a pipe that nobody writes to would never answer.
_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)


def read_regular(path: str | Path, most: int) -> bytes:
    """The bytes of a regular file of at most `most`; raises OSError, its `strerror` says why."""
    descriptor = os.open(path, _FLAGS)
    with os.fdopen(descriptor, "rb") as file:
        mode = os.fstat(descriptor).st_mode
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        if not stat.S_ISREG(mode):
            raise OSError(errno.EINVAL, "it is no regular file", str(path))
        data = file.read(most + 1)
    if len(data) > most:
        raise OSError(errno.EFBIG, f"it has more than {most:,} bytes", str(path))
    return data
