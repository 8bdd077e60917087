"""What several commands read: reward files, `-`, `-e TEXT`, column types; and what all print."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from derl_dsl.tools.project import Settings, settings_of
from derl_grammar.limits import LIMITS
from derl_grammar.spans import Source
from derl_runtime.files import read_regular, write_whole

# Bytes of a file that a command reads: far more than any program may have.
_LARGEST_TEXT = 64 << 20

OneReward = Annotated[str | None, typer.Argument(help="Reward file; - reads from stdin.")]
Suite = Annotated[
    str | None,
    typer.Option("--suite", "-s", help="Suite of names, such as math or derl-math+math."),
]
Columns = Annotated[
    list[str] | None, typer.Option("--column", "-c", help="Type an input by hand: name:type.")
]
Outcome = Annotated[
    str | None, typer.Option("--outcome", help="The input that says a rollout was right.")
]
Expression = Annotated[
    str | None, typer.Option("--expression", "-e", help="The reward as text instead of a file.")
]


class Format(StrEnum):
    """How the result is shown."""

    text = "text"
    json = "json"


AsFormat = Annotated[Format, typer.Option("--format", help="text or json.")]


def fail(message: str) -> NoReturn:
    """End with one clear message and exit code 2: usage or unreadable input."""
    typer.echo(f"derl-dsl: {message}", err=True)
    raise typer.Exit(2)


class InputError(ValueError):
    """An input that cannot be used; the message names it and what to do."""


def load_text(path: str) -> str:
    """The text of a file, or of the standard input for `-`; raises InputError."""
    if path == "-":
        try:
            return sys.stdin.buffer.read().decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise InputError(f"standard input is not UTF-8 (byte {error.start})") from None
    try:
        return read_regular(Path(path), _LARGEST_TEXT).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        wrong = f"{path} is not UTF-8 (byte {error.start}); save it as UTF-8"
        raise InputError(wrong) from None
    except IsADirectoryError:
        raise InputError(f"{path} is a directory; name the files in it") from None
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from None


def read_text(path: str) -> str:
    """The text of a file, or of the standard input for `-`; ends the command when it cannot."""
    try:
        return load_text(path)
    except InputError as error:
        fail(str(error))


def replace_file(path: str, text: str) -> None:
    """Write a file anew: beside it first, so that a full disk or a crash leaves it as it was."""
    try:
        write_whole(path, text)
    except OSError as error:
        fail(f"cannot write {path}: {error.strerror}")


def read_sources(files: Iterable[str], expression: str | None) -> list[Source]:
    """The texts that a command names, in order; files of tests among them are left out."""
    named = list(files)
    files = [path for path in named if not path.endswith(".test.derl")]
    if named and not files:
        fail(f"{named[0]} holds tests, no reward; run them: derl-dsl test {named[0]}")
    if not files and expression is None:
        fail("name a reward file, - for standard input, or give the text with -e")
    sources = [Source(read_text(path), "<stdin>" if path == "-" else path) for path in files]
    for source in sources:
        if not source.text.strip():
            fail(f"{source.path} is empty; write a reward into it: reward = …")
    if expression is not None:
        sources.append(Source(expression, "<expression>"))
    return sources


def one_source(reward: str | None, expression: str | None) -> Source:
    """The one reward that a command is given, as a file or as text."""
    if (reward is None) == (expression is None):
        fail("give the reward either as a file or with -e TEXT")
    (source,) = read_sources([] if reward is None else [reward], expression)
    return source


def by_line(source: Source) -> list[Source]:
    """Each line of a text as a program of its own."""
    return [
        Source(line, f"{source.path}:{number}")
        for number, line in enumerate(source.text.splitlines(), 1)
        if line.strip()
    ]


def show_no_logs() -> None:
    """Keep faults of rewards off the terminal: the command shows them in what it prints."""
    import logging  # 10 ms that `check` should not cost

    logging.getLogger("derl_runtime").addHandler(logging.NullHandler())


def versioned(command: str, record: Mapping[str, Any]) -> dict[str, Any]:
    """The JSON of a command with its schema, which counts up when a field changes its meaning."""
    return {"schema": f"derl-dsl/{command}/1", **record}


def show_json(command: str, record: Mapping[str, Any]) -> None:
    """The result of a command as JSON."""
    typer.echo(json.dumps(versioned(command, record), ensure_ascii=False))


def say(note: str) -> None:
    """A note on the standard error, beside what the command prints."""
    typer.echo(f"derl-dsl: {note}", err=True)


def read_columns(columns: list[str] | None) -> dict[str, str]:
    """The types that --column gives, by name."""
    typed: dict[str, str] = {}
    for column in columns or []:
        name, colon, kind = column.partition(":")
        if not colon or not name.isidentifier():
            fail(f"--column {column}: write name:type, such as 'g1:number[0,1]'")
        typed[name] = kind
    return typed


def load_settings(
    source: Source,
    suite: str | None = None,
    columns: list[str] | None = None,
    outcome: str | None = None,
    limits: str | None = None,
) -> Settings:
    """The settings of one source: flags over the file's header over the project's.

    Raises ValueError for a mistake in a file.
    """
    typed = read_columns(columns)
    if limits is not None and limits not in LIMITS:
        fail(f"unknown limits {limits!r}; one of {', '.join(LIMITS)}")
    flags = {"suite": suite, "outcome": outcome, "limits": limits}
    found = settings_of(source.path, source.text)
    found = found.over({k: v for k, v in flags.items() if v is not None})
    found = replace(found, columns={**found.columns, **typed}) if typed else found
    found.scope()
    return found


def read_settings(
    source: Source,
    suite: str | None = None,
    columns: list[str] | None = None,
    outcome: str | None = None,
    limits: str | None = None,
) -> Settings:
    """The settings as `load_settings` finds them; a mistake ends the command."""
    try:
        return load_settings(source, suite, columns, outcome, limits)
    except ValueError as error:
        fail(str(error))
