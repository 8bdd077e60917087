"""The version of a trainer that a file is made for, and the one that is here."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import re
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def made_for(title: str, version: str, package: str | None, module: str) -> Iterator[None]:
    """The imports of an exported file: one that fails says which trainer it wants.

    >>> with made_for("verl", "0.9", "verl", "no_such_module"):
    ...     import no_such_module
    Traceback (most recent call last):
    ImportError: this file is for verl 0.9, which is not installed here: pip install 'verl>=0.9'
    """
    try:
        yield
    except ImportError as error:
        wanted = f"{package}>={version}" if package else ""
        told = f"pip install '{wanted}'" if wanted else "it is installed from its source"
        if importlib.util.find_spec(module) is None:
            why = f"which is not installed here: {told}"
        elif compared(package, version) == "older":
            why = f"and {package} {installed(package)} is here: {told}"
        else:
            why = f"and what is installed here cannot be imported ({error}): {told}"
        raise ImportError(f"this file is for {title} {version}, {why}") from error


def installed(package: str | None) -> str | None:
    """The version of a package that is here."""
    try:
        return importlib.metadata.version(package) if package else None
    except importlib.metadata.PackageNotFoundError:
        return None


def compared(package: str | None, version: str) -> str | None:
    """Whether the package here is "older" or "newer" than a version, as exactly as that is given.

    None where it is the same, or not here.
    """
    wanted = _numbers(version)
    found = _numbers(installed(package) or "")[: len(wanted)]
    if not found or found == wanted:
        return None
    return "older" if found < wanted else "newer"


def _numbers(version: str) -> list[int]:
    return [int(n) for n in re.match(r"[\d.]*", version)[0].split(".") if n]  # type: ignore[index]
