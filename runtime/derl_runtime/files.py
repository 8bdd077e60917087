"""Files: those of somebody else are regular and read up to a size; ours are written whole."""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress

# A device without end would fill the memory, a pipe that nobody writes to would never answer.
_FRESH = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)
_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)


def read_regular(path: str | os.PathLike[str], most: int) -> bytes:
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


def write_whole(path: str | os.PathLike[str], text: str) -> None:
    """Write a file beside its place and move it there: it is whole, or as it was. Raises OSError.

    A link is followed to the file that it names, whose rights stay. What is there and is no regular
    file (a pipe, a terminal) is written to. A lone surrogate, which has no UTF-8, becomes `?`.
    """
    data = text.encode("utf-8", "replace")
    folder, name = os.path.split(os.path.realpath(path))
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        mode = None
    if mode is not None and not stat.S_ISREG(mode):
        with open(path, "wb") as file:
            file.write(data)
        return
    unfinished = os.path.join(folder, f".{name[:200]}.{os.getpid()}.part")
    _remove(unfinished)
    try:
        # Made by this call alone: a link that somebody put there is not followed.
        with open(os.open(unfinished, _FRESH, 0o666), "wb") as file:
            file.write(data)
        if mode is not None:
            os.chmod(unfinished, stat.S_IMODE(mode))
        os.replace(unfinished, os.path.join(folder, name))
    finally:
        _remove(unfinished)


def _remove(path: str) -> None:
    with suppress(FileNotFoundError):
        os.unlink(path)
