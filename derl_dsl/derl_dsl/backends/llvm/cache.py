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
_MAGIC = b"derl-dsl object 1\n"
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
        found = folder.stat()
    except OSError:
        return None
    if hasattr(os, "getuid"):
        others = stat.S_IWGRP | stat.S_IWOTH
        if found.st_uid != os.getuid() or found.st_mode & others:
            return None
    return folder


def folder() -> Path | None:
    """Where objects are kept: DERL_CACHE (`off` for nowhere), or the user's cache folder."""
    default = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return _folder(os.environ.get("DERL_CACHE", f"{default}/derl-dsl/objects"))


def read(name: str) -> bytes | None:
    """The code of an entry, or None; a broken one is removed."""
    where = folder()
    if where is None:
        return None
    try:
        data = (where / name).read_bytes()
    except OSError:
        return None
    start = len(_MAGIC) + _DIGEST
    code = data[start:]
    whole = data.startswith(_MAGIC) and len(data) > start
    if whole and hashlib.sha256(code).digest() == data[len(_MAGIC) : start]:
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
                file.write(_MAGIC + hashlib.sha256(code).digest() + code)
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
