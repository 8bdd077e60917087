"""Places in a source text: offsets, lines and columns."""

from __future__ import annotations

from bisect import bisect_right

from derl_grammar.records import record


@record
class Span:
    """A stretch of source text, `start` included, `end` not; lines and columns count from 1."""

    start: int
    end: int
    line: int
    column: int
    end_line: int
    end_column: int


class Source:
    """A program's text with its name (a path, `-` or `<text>`) and line starts."""

    def __init__(self, text: str, path: str = "<text>") -> None:
        self.text = text
        self.path = path
        self._starts = [0]
        at = text.find("\n")
        while at >= 0:
            self._starts.append(at + 1)
            at = text.find("\n", at + 1)

    def line_column(self, offset: int) -> tuple[int, int]:
        """Line and column of a character offset, from 1."""
        line = bisect_right(self._starts, offset)
        return line, offset - self._starts[line - 1] + 1

    def span(self, start: int, end: int) -> Span:
        """The span between two character offsets."""
        return Span(start, end, *self.line_column(start), *self.line_column(end))

    def line(self, number: int) -> str:
        """The text of a line, without its line break."""
        start = self._starts[number - 1]
        end = self._starts[number] - 1 if number < len(self._starts) else len(self.text)
        return self.text[start:end].rstrip("\r")
