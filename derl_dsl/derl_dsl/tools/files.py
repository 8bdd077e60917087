"""Reward files below a folder, without what git ignores."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pathspec

from derl_runtime.files import read_regular

ENDING, TESTS = ".derl", ".test.derl"
_IGNORE = ".gitignore"
# Bytes of a .gitignore.
_LARGEST = 1 << 20

# The patterns of a .gitignore and the folder that they are relative to, from the top down.
_Patterns = tuple[tuple[Path, pathspec.GitIgnoreSpec], ...]


def rewards_below(folder: Path) -> Iterator[Path]:
    """The reward files of a folder and of all below it, in order of their names.

    Left out are files of tests, what a .gitignore leaves out (those above the folder, up to the top
    of its git repository, count too), names that begin with a dot, and folders behind a link.
    Raises OSError when the folder cannot be read; folders below it that cannot are passed over.
    """
    names = sorted(os.scandir(folder), key=lambda entry: entry.name)
    yield from _walk(folder, names, _above(folder.resolve()))


def _walk(folder: Path, names: list[os.DirEntry[str]], above: _Patterns) -> Iterator[Path]:
    patterns = _with_own(folder.resolve(), above)
    for entry in names:
        path = folder / entry.name
        is_folder = entry.is_dir(follow_symlinks=False)
        if entry.name.startswith(".") or _ignored(path, is_folder, patterns):
            continue
        if is_folder:
            try:
                below = sorted(os.scandir(path), key=lambda entry: entry.name)
            except PermissionError:
                continue
            yield from _walk(path, below, patterns)
        elif entry.name.endswith(ENDING) and not entry.name.endswith(TESTS):
            yield path


def _above(folder: Path) -> _Patterns:
    """The patterns of the folders above, up to the top of the git repository; none outside one."""
    above = list(folder.parents)
    top = next((k for k, at in enumerate([folder, *above]) if (at / ".git").exists()), None)
    patterns: _Patterns = ()
    for at in reversed(above[: top or 0]):
        patterns = _with_own(at, patterns)
    return patterns


def _with_own(folder: Path, above: _Patterns) -> _Patterns:
    try:
        lines = read_regular(folder / _IGNORE, _LARGEST).decode("utf-8", "replace").splitlines()
    except OSError:
        return above
    return (*above, (folder, pathspec.GitIgnoreSpec.from_lines(lines)))


def _ignored(path: Path, is_folder: bool, patterns: _Patterns) -> bool:
    """Whether the lowest .gitignore that says something of a path leaves it out."""
    whole = path.parent.resolve() / path.name
    for folder, spec in reversed(patterns):
        name = whole.relative_to(folder).as_posix() + ("/" if is_folder else "")
        said = spec.check_file(name).include
        if said is not None:
            return said
    return False
