"""What is in a file or a folder, as one word: results are found again by it, wherever it lies."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path

_PART = 1 << 20  # bytes of each end of a large file that count
_LARGE = 64 << 20


def content(name: str) -> str | None:
    """The digest of a file, or of all files of a folder with their names; None where nothing lies.

    An empty name names nothing.

    Of a file above 64 MB its size and both ends count: weights of gigabytes differ there, too.
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
    stamps = tuple((file.stat().st_mtime_ns, file.stat().st_size) for _, file in files)
    return _read(files, stamps)


@lru_cache(maxsize=64)
def _read(files: tuple[tuple[str, Path], ...], stamps: tuple[tuple[int, int], ...]) -> str:
    found = hashlib.sha256()
    single = len(files) == 1
    for (name, path), (_, size) in zip(files, stamps, strict=True):
        # A file alone counts by what is in it, whatever it is called.
        found.update(f"{'' if single else name}\0{size}\0".encode())
        with path.open("rb") as file:
            if size <= _LARGE:
                found.update(file.read())
            else:
                found.update(file.read(_PART))
                file.seek(size - _PART)
                found.update(file.read())
    return found.hexdigest()[:24]
