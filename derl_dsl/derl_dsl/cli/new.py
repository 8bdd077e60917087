"""`derl-dsl new`: a reward to start from, its tests, and the settings that both are read with."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Annotated

import typer

from derl_dsl.cli.inputs import fail
from derl_dsl.tools.project import ProjectError, find_project
from derl_grammar.near import suggestion

# What is rewarded: `KIND.derl` and `KIND.test.derl` lie in this folder, each a whole example.
STARTERS = Path(__file__).parents[1] / "starters"
_PROJECT = "pyproject.toml"


def kinds() -> dict[str, str]:
    """The starters by name, and what the first comment of each says."""
    files = sorted(STARTERS.glob("*.derl"))
    return {
        file.stem: file.read_text("utf-8").partition("\n")[0].removeprefix("# ")
        for file in files
        if not file.name.endswith(".test.derl")
    }


def new_command(
    name: Annotated[
        str | None, typer.Argument(help="Name of the reward, perhaps with a folder before it.")
    ] = None,
    kind: Annotated[
        str | None,
        typer.Option("--for", help="What is rewarded: math, code, tools, json, format or agent."),
    ] = None,
    config: Annotated[
        bool,
        typer.Option(
            help="Name the suite in pyproject.toml too, in its table tool.derl, if none has it."
        ),
    ] = True,
) -> None:
    """Write a reward to start from, with its tests and settings; asks for what is not given.

    Nothing that exists is overwritten.

    Exits 0, 2 when something is missing or stands in the way.
    """
    known = kinds()
    if kind is None:
        kind = _ask_kind(known)
    elif kind not in known:
        fail(f"no starter {kind!r}{suggestion(kind, known)}; one of {', '.join(known)}")
    if name is None:
        name = _ask("Name of the reward", "reward")
    path = Path(name.removesuffix(".derl") + ".derl")
    if not re.fullmatch(r"\w[\w.-]*", path.stem):
        fail(f"{path.stem!r} is no name for a file: use letters, digits, _ and -")
    tests = path.with_name(f"{path.stem}.test.derl")
    for file in (path, tests):
        if file.exists():
            fail(f"{file} exists already; give another name, or delete it first")
    text = (STARTERS / f"{kind}.derl").read_text("utf-8")
    path.parent.mkdir(parents=True, exist_ok=True)
    _write(path, text)
    _write(tests, (STARTERS / f"{kind}.test.derl").read_text("utf-8"))
    if config:
        _configure(path, text)
    typer.echo(f"next: derl-dsl check {path}; derl-dsl test {path}; derl-dsl explain {path}")


def _ask_kind(known: dict[str, str]) -> str:
    if not sys.stdin.isatty():
        fail(f"say what is rewarded: --for {', '.join(known)}")
    for kind, what in known.items():
        typer.echo(f"  {kind:8}{what}")
    while (kind := _ask("What is rewarded", "math")) not in known:
        typer.echo(f"no starter {kind!r}{suggestion(kind, known)}")
    return kind


def _ask(question: str, default: str) -> str:
    if not sys.stdin.isatty():
        fail(f"{question.lower()}: name it on the command line")
    answer: str = typer.prompt(question, default=default)
    return answer


def _write(path: Path, text: str) -> None:
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        fail(f"cannot write {path}: {error.strerror}")
    typer.echo(f"wrote {path}")


def _configure(path: Path, text: str) -> None:
    """Add [tool.derl] with the reward's suite to the nearest pyproject.toml that may have it."""
    folder = path.absolute().parent
    try:
        if find_project(folder) is not None:
            return
    except ProjectError as error:
        fail(str(error))
    file = next(
        (p for at in (folder, *folder.parents) if (p := at / _PROJECT).exists()), Path(_PROJECT)
    )
    suite = re.search(r"^# suite: (\S+)$", text, re.M)
    assert suite is not None
    table = f'[tool.derl]\nsuite = "{suite[1]}"\n'
    old = file.read_text("utf-8") if file.exists() else ""
    gap = "" if not old else "\n" if old.endswith("\n") else "\n\n"
    try:
        with file.open("a", encoding="utf-8") as out:
            out.write(gap + table)
    except OSError as error:
        fail(f"cannot write {file}: {error.strerror}")
    typer.echo(f"{'wrote' if not old else 'added [tool.derl] to'} {file}")
