"""A cache of object code on disk, for many processes at once.

An entry is a digest and the code: what is cut off, changed or of another version is dropped and
built again. Writers replace whole files, so a reader sees all of an entry or nothing. The folder
must belong to the user alone, since what lies in it is run.
"""

from __future__ import annotations

import hashlib
import os
import stat
import tempfile
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

from derl_dsl.version import __version__

# Objects are a few kB: room for some thousands.
LARGEST_BYTES = 64 * 2**20
_MAGIC = b"derl-dsl object 2\n"
_DIGEST = hashlib.sha256().digest_size
_WRITES_BETWEEN_SWEEPS = 64
_writes = 0


def name_of(key: str, machine: str) -> str:
    """The name of the entry for a program on a machine."""
    return hashlib.sha256(f"{__version__}\n{machine}\n{key}".encode()).hexdigest()


@lru_cache(maxsize=8)
def _folder(wanted: str) -> Path | None:
    """The folder, made if need be; None where there is none that is the user's alone."""
    if wanted in ("", "0", "off"):
        return None
    folder = Path(wanted).expanduser()
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        safe = _alone(folder.stat()) and all(
            _safe_parent(p.stat()) for p in folder.resolve().parents
        )
    except OSError:
        return None
    return folder if safe else None


def folder() -> Path | None:
    """Where objects are kept: DERL_CACHE (`off` for nowhere), or the user's cache folder."""
    default = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return _folder(os.environ.get("DERL_CACHE", f"{default}/derl-dsl/objects"))


def _digest(name: str, code: bytes) -> bytes:
    """The digest of an entry with its name: the entry of another program is none of this one."""
    return hashlib.sha256(name.encode() + b"\n" + code).digest()


def _own_file(path: Path) -> bytes:
    """The bytes of a regular file that is the user's alone; raises OSError for any other."""
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    with os.fdopen(os.open(path, flags), "rb") as file:
        found = os.fstat(file.fileno())
        if not stat.S_ISREG(found.st_mode) or found.st_size > LARGEST_BYTES or not _alone(found):
            raise PermissionError
        return file.read(LARGEST_BYTES)


def _alone(found: os.stat_result) -> bool:
    """Whether a file or folder is this user's, and no other's to write."""
    if not hasattr(os, "getuid"):
        return True
    others = stat.S_IWGRP | stat.S_IWOTH
    return found.st_uid == os.getuid() and not found.st_mode & others


def _safe_parent(found: os.stat_result) -> bool:
    """Whether nobody else can put another folder in the place of one below this."""
    if not hasattr(os, "getuid"):
        return True
    others = found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    return found.st_uid in (0, os.getuid()) and (not others or bool(found.st_mode & stat.S_ISVTX))


def read(name: str) -> bytes | None:
    """The code of an entry, or None; a broken one is removed."""
    where = folder()
    if where is None:
        return None
    try:
        data = _own_file(where / name)
    except OSError:
        return None
    start = len(_MAGIC) + _DIGEST
    code = data[start:]
    whole = data.startswith(_MAGIC) and len(data) > start
    if whole and _digest(name, code) == data[len(_MAGIC) : start]:
        return code
    drop(name)
    return None


def write(name: str, code: bytes) -> None:
    """Keep code; a full or read-only disk only costs the next process its time."""
    where = folder()
    if where is None:
        return
    with suppress(OSError):
        handle, path = tempfile.mkstemp(dir=where, prefix="new-")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(_MAGIC + _digest(name, code) + code)
            os.replace(path, where / name)
        except OSError:
            Path(path).unlink(missing_ok=True)
            raise
    global _writes
    _writes += 1
    if _writes % _WRITES_BETWEEN_SWEEPS == 0:
        sweep(where)


def drop(name: str) -> None:
    """Remove an entry."""
    where = folder()
    if where is not None:
        with suppress(OSError):
            (where / name).unlink(missing_ok=True)


def sweep(where: Path, largest: int = LARGEST_BYTES) -> None:
    """Remove the oldest entries until the rest fits."""
    found = []
    for path in where.iterdir():
        with suppress(OSError):
            info = path.stat()
            found.append((info.st_mtime, info.st_size, path))
    total = sum(size for _, size, _ in found)
    for _, size, path in sorted(found):
        if total <= largest:
            break
        with suppress(OSError):
            path.unlink(missing_ok=True)
        total -= size
