"""What a command prints: foreign text in it reaches no terminal, log or CI service as a command.

The standard streams of a command are strict: whatever is written to them is made harmless. Styled
output goes past them, through `derl_dsl.tools.console.Console`, which does the same to its texts.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO

import typer

from derl_grammar.visible import harmless, without_commands


class _Styled:
    """A stream for texts that are harmless but for commands of a CI service."""

    def __init__(self, plain: io.TextIOWrapper) -> None:
        self._plain = plain
        self._first = True

    def write(self, text: str) -> int:
        self._plain.write(without_commands(text, self._first))
        self._first = text.endswith("\n")
        return len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._plain, name)


class Harmless(io.TextIOWrapper):
    """A text stream over the bytes of another one, `plain`; consoles write to `styled`."""

    def __init__(self, plain: io.TextIOWrapper) -> None:
        plain.flush()
        encoding = "utf-8" if plain.encoding.lower() in ("ascii", "us-ascii") else plain.encoding
        super().__init__(
            plain.buffer,
            encoding,
            "backslashreplace",
            write_through=True,
            line_buffering=plain.line_buffering,
        )
        self.plain = plain
        self.styled = _Styled(plain)
        self._first = True  # the next character begins a line

    def write(self, text: str) -> int:
        """Write the text with what does not show as escapes."""
        if not isinstance(text, str):
            raise TypeError(f"a text stream takes text, not {type(text).__name__}")
        if text:
            super().write(harmless(text, self._first))
            self._first = text.endswith("\n")
        return len(text)


@contextmanager
def strict_streams() -> Iterator[None]:
    """Within it, standard output and standard error are harmless."""
    before = sys.stdout, sys.stderr
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if isinstance(stream, io.TextIOWrapper) and not isinstance(stream, Harmless):
            setattr(sys, name, Harmless(stream))
    try:
        yield
    finally:
        strict = sys.stdout, sys.stderr
        sys.stdout, sys.stderr = before
        for stream in strict:
            # The language server closes what it has served over.
            if isinstance(stream, Harmless) and not stream.closed:
                stream.flush()
                stream.detach()


def plain(stream: TextIO) -> TextIO:
    """The stream behind a strict one: for what is made harmless before it is written."""
    return stream.plain if isinstance(stream, Harmless) else stream


def echo_data(text: str, nl: bool = False) -> None:
    """Print what is a file's content: as it is into a pipe or a file, harmless on a terminal."""
    whole = text + "\n" * nl
    typer.echo(whole if sys.stdout.isatty() else whole.encode(), nl=False)
