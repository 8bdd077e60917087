"""Where an exported file may lie: its trainer imports it, and it must hide no module from it."""

from __future__ import annotations

import importlib.util
import keyword
import os
import re
import shlex
import sys
from pathlib import Path

from derl_dsl.adapters.targets import Target

_OPENS = "# A reward for "
# What Hydra reads as itself in a value that no quotes surround.
_PLAIN = re.compile(r"[\w./+@~ -]+")


def unfit(file: Path, target: Target) -> str | None:
    """Why a file cannot be written there, and what to do instead; None where it can."""
    stem = file.stem
    made = re.sub(r"\W+", "_", stem).strip("_") or "reward"
    made = f"reward_{made}" if not made.isidentifier() or keyword.iskeyword(made) else made
    where = os.path.abspath(file)
    if not where.isprintable() or "," in where:
        return "its path has characters that no setting can name; write it somewhere else"
    if file.is_dir():
        return f"it is a folder; name the file in it: {file / 'reward.py'}"
    if made != stem or not file.name.endswith(".py"):
        return f"{target.title} imports the file, so its name is one of Python: {made}.py"
    if _taken(stem, target):
        return f"it would hide the module {stem!r} from {target.title}: {stem}_reward.py"
    if file.exists() and not os.access(file, os.W_OK):
        return "it is read-only; take another name, or allow writing it"
    if file.is_file() and file.stat().st_size:
        with file.open("rb") as there:
            if there.read(len(_OPENS)) != _OPENS.encode():
                return "it is there and is no exported reward; take another name, or delete it"
    return None


def _taken(stem: str, target: Target) -> bool:
    """Whether a module of Python, of the trainer or of a package that is here has the name."""
    if stem in {*sys.stdlib_module_names, target.module, "derl_dsl"}:
        return True
    spec = importlib.util.find_spec(stem)
    return spec is not None and "site-packages" in Path(spec.origin or "").parts


def quoted(path: str, kind: str) -> str:
    """A path as a setting has it: of a shell, of TOML, or of Hydra on a shell's line.

    >>> quoted("/my files/a.py", "shell"), quoted("a.py", "hydra"), quoted("a=b.py", "hydra")
    ("'/my files/a.py'", 'a.py', '\\'"a=b.py"\\'')
    """
    inside = path.replace("\\", "\\\\").replace('"', '\\"')
    if kind == "toml":
        return inside
    if kind == "hydra" and not _PLAIN.fullmatch(path):
        return shlex.quote(f'"{inside}"')
    return shlex.quote(path)
