"""Every link and every path named in READMEs, generated pages, docstrings and messages exists."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT

ROOMS = {
    "grammar": "derl_grammar",
    "primitives": "derl_primitives",
    "runtime": "derl_runtime",
    "derl_dsl": "derl_dsl",
    "trainers": "derl_trainers",
}
SKIPPED = {
    ".pytest_cache",
    ".venv",
    ".git",
    ".conformance",
    ".benchmarks",
    ".hypothesis",
    ".lowest",
    ".site",
    "node_modules",
    "runs",
    "data",
}
LINK = re.compile(r"\[[^\]\n]*\]\(([^)\s]+)\)")
CODE = re.compile(r"`([^`\n]+)`")
# A path of this project: our code or pages, and data in a named folder; other data is a reader's.
PATH = re.compile(
    r"(?:[\w.-]+/)*[\w-]+\.(?:py|md|css|lark)|(?:[\w.-]+/)+[\w-]+\.(?:derl|toml|jsonl?)"
)
# What a reader makes.
THEIRS = re.compile(
    r"(?:^|/)(?:my|mine|your|good|other|file|name|primitives|politeness|untrusted|reward)[\w-]*\.py$"
    r"|^(?:rewards|my|your|runs|data|tests)/"
)
# Groups of entry points are named like modules.
GROUPS = set(re.findall(r'entry-points\."([\w.]+)"', (ROOT / "pyproject.toml").read_text("utf-8")))
MODULE = re.compile(r"(?<![\w.])(derl_(?:grammar|primitives|runtime|dsl|trainers)(?:\.\w+)+)")


def pages() -> list[Path]:
    found = [p for p in ROOT.rglob("*.md") if not SKIPPED & set(p.relative_to(ROOT).parts)]
    return sorted(found)


def modules() -> list[Path]:
    return sorted(p for room in ROOMS for p in (ROOT / room).rglob("*.py"))


def anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", page.read_text("utf-8"), re.M)
    plain = [re.sub(r"[^\w\- ]", "", h.lower()).strip().replace(" ", "-") for h in headings]
    return set(plain)


def known_files() -> set[str]:
    files = [p for p in ROOT.rglob("*") if not SKIPPED - {"data"} & set(p.relative_to(ROOT).parts)]
    return {p.relative_to(ROOT).as_posix() for p in files if p.is_file()}


FILES = known_files()


def exists(path: str, beside: Path) -> bool:
    """Whether a path is one of the project: from its top, from a page, or by its last parts."""
    wanted = path.removeprefix("./")
    near = (beside.parent / wanted).resolve()
    return near.exists() or any(f == wanted or f.endswith(f"/{wanted}") for f in FILES)


@pytest.mark.parametrize("page", pages(), ids=lambda p: str(p.relative_to(ROOT)))
def test_links_of_a_page(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text("utf-8"), flags=re.S)
    broken = []
    for link in LINK.findall(text):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    assert broken == []


@pytest.mark.parametrize("page", pages(), ids=lambda p: str(p.relative_to(ROOT)))
def test_paths_that_a_page_names(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text("utf-8"), flags=re.S)
    named = {p for code in CODE.findall(text) for p in paths(code)}
    assert sorted(p for p in named if not exists(p, page)) == []


def paths(text: str) -> Iterator[str]:
    """The paths of this project in a stretch of code: one word, no name of a reader's own file."""
    if PATH.fullmatch(text) and not THEIRS.search(text):
        yield text


def texts(tree: ast.AST) -> Iterator[str]:
    """Docstrings and messages: all texts of a module."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


@pytest.mark.parametrize("room", ROOMS)
def test_paths_and_modules_named_in_code(room: str) -> None:
    missing = []
    for file in modules():
        if file.relative_to(ROOT).parts[0] != room:
            continue
        for text in texts(ast.parse(file.read_text("utf-8"))):
            named = [p for code in CODE.findall(text) for p in paths(code)]
            missing += [f"{file.name}: {p}" for p in named if not exists(p, file)]
            missing += [f"{file.name}: {m}" for m in MODULE.findall(text) if not known(m)]
    assert missing == []


@pytest.mark.parametrize("page", pages(), ids=lambda p: str(p.relative_to(ROOT)))
def test_modules_that_a_page_names(page: Path) -> None:
    named = set(MODULE.findall(page.read_text("utf-8")))
    assert sorted(m for m in named if not known(m)) == []


def known(dotted: str) -> bool:
    """Whether a dotted name begins with a module that is there, followed by a name it has."""
    if dotted in GROUPS:
        return True
    room = next(r for r, package in ROOMS.items() if dotted.split(".")[0] == package)
    at, rest = ROOT / room / dotted.split(".")[0], dotted.split(".")[1:]
    while rest:
        if (at / rest[0]).is_dir():
            at, rest = at / rest[0], rest[1:]
        elif (at / f"{rest[0]}.py").is_file():
            at, rest = at / f"{rest[0]}.py", rest[1:]
            break
        else:
            break
    source = at if at.is_file() else at / "__init__.py"
    if not rest:
        return source.exists()
    return source.is_file() and re.search(rf"\b{rest[0]}\b", source.read_text("utf-8")) is not None
