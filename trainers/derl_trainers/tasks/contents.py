"""What is in a file or a folder, as one word: results are found again by it, wherever it lies."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path

_PART = 1 << 20  # bytes read at once
_Stamp = tuple[int, ...]


def content(name: str) -> str | None:
    """The digest of a file, or of all files of a folder with their names; None where nothing lies.

    An empty name names nothing. All bytes count, of weights as well: adapters that were merged may
    leave both ends of a file as they were. A process reads a file again when it is written anew.
    """
    path = Path(name).expanduser()
    if not name:
        return None
    if path.is_file():
        return _digest(((path.name, path),))
    if path.is_dir():
        files = sorted(file for file in path.rglob("*") if file.is_file())
        return _digest(tuple((str(file.relative_to(path)), file) for file in files))
    return None


def _digest(files: tuple[tuple[str, Path], ...]) -> str:
    return _read(files, tuple(_stamp(file) for _, file in files))


def _stamp(file: Path) -> _Stamp:
    """Which file it is, in which state: whoever sets its times back changes st_ctime by that."""
    found = file.stat()
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino


@lru_cache(maxsize=64)
def _read(files: tuple[tuple[str, Path], ...], stamps: tuple[_Stamp, ...]) -> str:
    found = hashlib.sha256()
    single = len(files) == 1
    for (name, path), (size, *_) in zip(files, stamps, strict=True):
        # A file alone counts by what is in it, whatever it is called.
        found.update(f"{'' if single else name}\0{size}\0".encode())
        with path.open("rb") as file:
            while part := file.read(_PART):
                found.update(part)
    return found.hexdigest()[:24]
