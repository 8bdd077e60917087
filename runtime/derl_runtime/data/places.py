"""Where rows lie: files by the kind that their names tell, folders, patterns, standard input."""

from __future__ import annotations

import glob
import os
import re
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import IO, Any

import pyarrow as pa

from derl_grammar.records import record
from derl_runtime.data.problems import failed, reason

JSON_SUFFIXES = (".jsonl", ".ndjson", ".json")
PARQUET_SUFFIXES = (".parquet", ".pq")
CSV_SUFFIXES = (".csv",)
ARROW_SUFFIXES = (".arrow", ".feather", ".ipc")
SUFFIXES = JSON_SUFFIXES + PARQUET_SUFFIXES + CSV_SUFFIXES + ARROW_SUFFIXES
PACKED = {".gz": "gzip", ".zst": "zstd"}
KINDS = (
    "use a .jsonl file (one JSON object a line), .json (an array of objects), .csv, .parquet or "
    ".arrow, the first three also as .gz or .zst"
)
STDIN = "-"
_MAGIC = ((b"PAR1", ".parquet"), (b"ARROW1", ".arrow"), (b"\xff\xff\xff\xff", ".arrow"))
_PACKED_MAGIC = ((b"\x1f\x8b", "gzip"), (b"\x28\xb5\x2f\xfd", "zstd"))


@record
class Place:
    """One file of rows: where it lies, how it is called in messages, what it holds (a suffix), how
    it is packed, and its size in bytes as it lies there."""

    path: Path
    name: str
    kind: str
    packed: str | None
    size: int


def places_of(given: Iterable[str | os.PathLike[str]]) -> list[Place]:
    """The files that paths, folders, patterns (`*`, `?`, `[…]`, `**`) and `-` name, in order.

    A folder is the data files right in it, in the order of their numbers. Raises DataError for what
    names no data file.
    """
    found: list[Place] = []
    for one in given:
        name = os.fspath(one)
        if name == STDIN:
            found.append(_standard_input())
        elif os.path.isdir(name):
            found += map(_file, _of_folder(Path(name)))
        elif glob.has_magic(name) and not os.path.exists(name):
            found += map(_file, _of_pattern(name))
        else:
            found.append(_file(Path(name)))
    return found


def _of_folder(folder: Path) -> list[Path]:
    found = [f for f in folder.iterdir() if _kind(f)[0] in SUFFIXES and f.is_file()]
    if not found:
        raise failed(folder, "is a folder without data files", KINDS)
    return sorted(found, key=_numbered)


def _of_pattern(pattern: str) -> list[Path]:
    named = map(Path, glob.iglob(pattern, recursive=True))
    found = [f for f in named if f.is_file() and _kind(f)[0] in SUFFIXES]
    if not found:
        raise failed(pattern, "no data file is named so", "check the pattern")
    return sorted(found, key=_numbered)


def _numbered(file: Path) -> tuple[Any, ...]:
    """A key that puts files in the order that their trainer numbered them."""
    return str(file.parent), [int(n) for n in re.findall(r"[0-9]+", file.stem)], file.name


def _kind(path: Path) -> tuple[str, str | None]:
    """The suffix that tells what a file holds, and how it is packed."""
    packed = PACKED.get(path.suffix.lower())
    return Path(path.stem if packed else path.name).suffix.lower(), packed


def _file(path: Path) -> Place:
    kind, packed = _kind(path)
    if path.is_dir():
        raise failed(path, "is a directory", KINDS)
    with os_errors(path):
        seen = path.stat()
    if kind not in SUFFIXES or (packed and kind in PARQUET_SUFFIXES + ARROW_SUFFIXES):
        raise failed(path, f"unknown kind of data file {path.suffix!r}", KINDS)
    if not stat.S_ISREG(seen.st_mode):
        raise failed(path, "is no regular file", f"pipe it in as standard input, named {STDIN}")
    return Place(path, str(path), kind, packed, seen.st_size)


@cache
def _standard_input() -> Place:
    """Standard input, kept in a file that goes with the process: rows are read more than once."""
    folder = tempfile.TemporaryDirectory(prefix="derl-rows-")
    _KEPT.append(folder)
    path = Path(folder.name) / "rows"
    with path.open("wb") as file:
        shutil.copyfileobj(sys.stdin.buffer, file)
    with path.open("rb") as file:
        head = file.read(4096)
    packed = next((name for magic, name in _PACKED_MAGIC if head.startswith(magic)), None)
    place = Place(path, "<stdin>", "", packed, path.stat().st_size)
    if packed:
        with opened(place) as unpacked:
            head = unpacked.file.read(4096)
    kind = next((kind for magic, kind in _MAGIC if head.startswith(magic)), None)
    if kind is None and head.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] in (b"{", b"[", b""):
        kind = ".json"
    if kind is None or (packed and kind != ".json"):
        hint = "give JSON lines, a JSON array, Parquet or Arrow; CSV only as a file named .csv"
        raise failed(place.name, "its first bytes are none of a kind that is known", hint)
    return Place(path, place.name, kind, packed, place.size)


_KEPT: list[Any] = []


@record
class Opened:
    """A file opened for reading, unpacked, and how it lies there."""

    file: Any
    raw: IO[bytes]
    size: int

    @property
    def share(self) -> float:
        """The share of the file that has been read."""
        return min(1.0, self.raw.tell() / self.size) if self.size else 1.0


@contextmanager
def opened(place: Place) -> Iterator[Opened]:
    """A file opened for reading from its start, unpacked; raises DataError."""
    with os_errors(place.name), place.path.open("rb") as raw:
        if place.packed is None:
            yield Opened(raw, raw, place.size)
            return
        try:
            packed = pa.PythonFile(raw, "r")
            yield Opened(pa.CompressedInputStream(packed, place.packed), raw, place.size)
        except (pa.ArrowException, OSError) as error:
            message = f"not readable as {place.packed}: {str(error).splitlines()[0]}"
            raise failed(place.name, message, "pack the file again") from error


@contextmanager
def os_errors(name: object) -> Iterator[None]:
    """What the system refuses as a DataError."""
    try:
        yield
    except FileNotFoundError as error:
        raise failed(name, "no such file", "check the path") from error
    except OSError as error:
        raise failed(name, reason(error), "check that the file can be read") from error


def shown(given: Sequence[str | os.PathLike[str]]) -> str:
    """The paths that a command was given, as a message names them."""
    names = ["<stdin>" if os.fspath(one) == STDIN else os.fspath(one) for one in given]
    return ", ".join(names[:3]) + (f", … ({len(names)} in all)" if len(names) > 3 else "")
