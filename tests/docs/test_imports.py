"""Imports: no circle of files in any package, and the few imports inside functions, each with why.

import-linter holds the order of the rooms and of the stages (pyproject.toml); this holds what it
does not say: that no file needs one that needs it, however late it is imported.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import grimp
import pytest

from tests.conftest import ROOT

ROOMS = {
    "grammar": "derl_grammar",
    "primitives": "derl_primitives",
    "runtime": "derl_runtime",
    "derl_dsl": "derl_dsl",
    "trainers": "derl_trainers",
}
MOST_LATE = 118
START = "start-up: `derl-dsl check` starts in under 0.3 s and does without"
# What may be imported inside a function, by how its name begins, and why not at the top.
LATE = {
    # Heavy packages
    "numpy": f"{START}; suites and the checker are loaded by every check",
    "pyarrow": f"{START}; only columns of Arrow, files of Parquet and patterns need it",
    "rapidfuzz": f"{START}; only similarity needs it",
    "torch": "seconds; mistakes in settings are reported before it is loaded",
    "reasoning_gym": "seconds; only the embedded tasks need it",
    "ray": "an extra, and seconds; only inner runs on a cluster need it",
    # Extras that not everyone has
    "accelerate": "comes with training only",
    "alfworld": "an extra, and seconds; only its games need it",
    "py4j": "an extra; only ScienceWorld needs it",
    "scienceworld": "an extra; only its games need it",
    "textworld": "an extra, and seconds; only ALFWorld's own engine needs it",
    "datasets": "an extra; only tasks of a hub need it",
    "jsonschema": "an extra; only the suite json needs it",
    "math_verify": "an extra, loaded in the verifier's own processes",
    "peft": "an extra; only adapters need it",
    "pygls": "an extra; the command says how to get it",
    # The standard library's slow ones
    "concurrent.futures": "2 ms that a batch of ordinary size saves",
    "ctypes": "the sandbox's zygote imports nothing it may not need",
    "difflib": "5 ms that only a mistake should cost",
    "hashlib": "only files of primitives need it",
    "importlib.metadata": "15 ms that the commands themselves save",
    "logging": "3 ms that only commands over data need",
    "pathlib": "3 ms on Python 3.11 that only files of primitives should cost",
    "random": "5 ms that only sampling costs",
    "resource": "not on every system",
    "tomllib": "5 ms that only a project with settings should cost",
    "unicodedata": "loaded before the sandbox's walls go up, for what runs behind them",
    # Our own
    "derl_primitives.suites": "12 ms that a program without a suite saves",
    "derl_primitives.verdict": f"{START}; tables of words and units that only `correct` reads",
    "derl_primitives.verification": "processes of its own; only equality by math-verify needs them",
    "derl_runtime.sandbox": "processes of its own; only untrusted primitives need them",
    "derl_runtime.untrusted": "NumPy and the sandbox; only untrusted primitives need them",
    "derl_dsl.lint": "compiling a reward needs no lints",
    "derl_dsl.key": "exact arithmetic, which scoring has no use for",
    "derl_dsl.backends": "each backend is loaded when it is first used: LLVM, torch",
    "derl_dsl.score.tensors": "torch",
    "derl_dsl.cli.against": f"{START}; only `check --data` reads rows",
    "derl_dsl.cli.folders": "50 ms of processes and patterns that a few files do without",
    "derl_dsl.tools.fixes": "40 ms of exact arithmetic that only `check --fix` needs",
    "derl_dsl.tools.catalogue": "loads every file of codes, for a mistake in settings",
    "derl_dsl.tools.lsp": "pygls, an extra",
    "derl_trainers.outer.meta": "torch",
    "derl_trainers.outer.plan": "torch",
    "derl_trainers.inner": "torch",
    "derl_trainers.policy": "torch, transformers",
    "derl_trainers.runs.executors.ray": "an extra",
}  # fmt: skip


def imports(package: str) -> dict[str, set[str]]:
    """For every file of a package the files of the package that it imports, anywhere in it."""
    graph = grimp.build_graph(package, cache_dir=None)
    return {m: graph.find_modules_directly_imported_by(m) & graph.modules for m in graph.modules}


def circles(graph: dict[str, set[str]]) -> list[list[str]]:
    """The files that need one another, in groups: none are left when leaves are taken off."""
    left = {m: set(below) for m, below in graph.items()}
    while True:
        free = {m for m, below in left.items() if not below & left.keys()}
        used = set().union(*left.values()) if left else set()
        free |= {m for m in left if m not in used}
        if not free:
            return [sorted(left)] if left else []
        left = {m: below - free for m, below in left.items() if m not in free}


def late_imports(room: str) -> Iterator[tuple[Path, str]]:
    """The imports inside functions of a room: file and module."""
    for file in sorted((ROOT / room).rglob("*.py")):
        tree = ast.parse(file.read_text("utf-8"))
        functions = [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef)]
        inside = {id(n): n for f in functions for n in ast.walk(f)}
        package = ".".join(file.relative_to(ROOT / room).parent.parts)
        for node in inside.values():
            if isinstance(node, ast.Import):
                yield from ((file, alias.name) for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                module = f"{package}.{node.module or ''}" if node.level else node.module or ""
                names = [f"{module}.{alias.name}" for alias in node.names]
                yield file, names[0] if len(names) == 1 else module


def reason(module: str) -> str | None:
    """What in the list covers an import."""
    covering = [name for name in LATE if f"{module}.".startswith(f"{name}.")]
    return max(covering, key=len, default=None)


@pytest.mark.parametrize("package", ROOMS.values())
def test_no_file_needs_one_that_needs_it(package: str) -> None:
    graph = imports(package)
    assert len(graph) > 5
    assert circles(graph) == []


def test_circles_are_found() -> None:
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": {"a"}}) == [["b", "c"]]
    assert circles({"a": {"b"}, "b": {"c"}, "c": set()}) == []


def test_imports_inside_functions_have_a_reason() -> None:
    found = [(file, module) for room in ROOMS for file, module in late_imports(room)]
    reasons = {(file.relative_to(ROOT), module): reason(module) for file, module in found}
    unknown = [f"{file}: {module}" for (file, module), why in reasons.items() if why is None]
    assert unknown == [], "import these at the top, or say in LATE why not"
    assert len(found) <= MOST_LATE
