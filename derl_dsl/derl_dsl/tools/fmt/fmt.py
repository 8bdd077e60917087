"""fmt: one style for reward files; comments stay, the meaning stays, twice is the same as once."""

from __future__ import annotations

import re
from collections.abc import Iterator

from derl_dsl.tools.fmt.tree import (
    Atom,
    Bracket,
    Chain,
    Node,
    Noted,
    Piece,
    Prefix,
    bracket,
    layout,
)
from derl_grammar.diagnostics import Diagnostic, Report
from derl_grammar.limits import WIDE, Limits
from derl_grammar.machine import Token
from derl_grammar.parser import statements
from derl_grammar.records import record
from derl_grammar.spans import Source

WIDTH = 88
_INDENT = 4


@record
class Formatted:
    """A text in the one style, or None and the syntax errors that stood in the way."""

    text: str | None
    diagnostics: tuple[Diagnostic, ...]


def format_source(source: Source, limits: Limits = WIDE) -> Formatted:
    """Format a program, or any statements that parse one by one.

    >>> format_source(Source("a=max( g1,g2 ) #best\\nreward=((a))")).text
    'a = max(g1, g2)  # best\\nreward = a\\n'
    """
    report = Report(source)
    chunks = statements(source.text, report, limits)
    if not chunks and (report.failed or "#" not in source.text):
        return Formatted(None if report.failed else "", tuple(report.sorted()))
    lines = _collapsed(_lines_of(source.text, chunks))
    newline = "\r\n" if "\r\n" in source.text else "\n"
    return Formatted("".join(line + newline for line in lines), tuple(report.sorted()))


def _collapsed(lines: Iterator[str]) -> list[str]:
    """The lines with no blank ones at the ends and at most one between others."""
    out: list[str] = []
    for line in lines:
        if line or (out and out[-1]):
            out.append(line)
    while out and not out[-1]:
        out.pop()
    return out


def _lines_of(text: str, chunks: list[list[Token]]) -> Iterator[str]:
    """The formatted statements with the comments and blank lines between them."""
    noted: list[list[Noted]] = []
    between: list[list[str]] = []
    last: Noted | None = None
    for chunk in chunks:
        noted.append([])
        for token in chunk:
            own = _gap(text[last.end_pos if last else 0 : token.start_pos], last)
            if token is chunk[0]:
                between.append(own)
                own = []
            last = Noted.of(token, tuple(comment for comment in own if comment))
            noted[-1].append(last)
    between.append(_gap(text[last.end_pos if last else 0 :], last))
    for own, tokens in zip(between, noted, strict=False):
        yield from own
        yield from _statement(tokens)
    yield from between[-1]


def _gap(gap: str, last: Noted | None) -> list[str]:
    """The comments ("" for a blank line) on lines of their own between two tokens.

    A comment on the line of the `last` token goes to that token.
    """
    if "\n" not in gap and "#" not in gap:
        return []
    first, *own = (_comment(line.strip()) for line in gap.split("\n"))
    if own and not own[-1]:
        own.pop()  # the indentation of the next token
    if last is None:
        return [first, *own]
    if first:
        last.after = (first,)
    return own


def _comment(text: str) -> str:
    return re.sub(r"^#(?=[^\s#!:])", "# ", text)


def _statement(tokens: list[Noted]) -> list[str]:
    head, piece = layout(tokens)
    node = piece.node
    if isinstance(node, Bracket) and node.plain:
        node = node.pieces[0].node
    if node.flat is not None and piece.after and piece.after[0].startswith("# derl:"):
        lines = [node.flat]  # such a comment is about its line
    elif isinstance(node, Chain | Prefix) and not _fits(node, len(head), 0):
        lines = _broken(bracket("(", (Piece(node),)), 0, len(head), 0)
    else:
        lines = _broken(node, 0, len(head), 0)
    lines[0] = head + lines[0]
    _end_of_line(lines, piece.after, 0)
    return lines


# Rendering: the first line goes on where the caller is, the others come with their indentation.


def _fits(node: Node, used: int, after: int) -> bool:
    return node.flat is not None and used + len(node.flat) + after <= WIDTH


def _end_of_line(lines: list[str], comments: tuple[str, ...], indent: int) -> None:
    """Puts the first comment behind the last line; each further one has a line of its own."""
    if comments:
        lines[-1] += "  " + comments[0]
        lines += [" " * indent + comment for comment in comments[1:]]


def _broken(node: Node, indent: int, used: int, after: int) -> list[str]:
    """The lines of a node that starts in column `used` and is followed by `after` characters."""
    solid = isinstance(node, Atom) or (isinstance(node, Bracket) and not node.pieces)
    if node.flat is not None and (solid or _fits(node, used, after)):
        return [node.flat]
    match node:
        case Prefix(op=op, operand=operand):
            lines = _operand(operand, indent, used + len(op), after)
            return [op + lines[0], *lines[1:]]
        case Chain():
            return _broken_chain(node, indent, used, after)
        case Bracket():
            return _broken_bracket(node, indent)
    raise AssertionError(node)


def _operand(node: Node, indent: int, used: int, after: int) -> list[str]:
    """A tighter chain inside a chain is indented, so that its operators stand apart."""
    deeper = indent + _INDENT if isinstance(node, Chain) else indent
    return _broken(node, deeper, used, after)


def _broken_chain(chain: Chain, indent: int, used: int, after: int) -> list[str]:
    pad, last = " " * indent, chain.pieces[-1]
    first = chain.pieces[0]
    lines = _operand(first.node, indent, used, 0)
    _end_of_line(lines, first.after, indent)
    for op, piece in zip(chain.ops, chain.pieces[1:], strict=True):
        lines += [pad + comment for comment in piece.before]
        start = pad + op + " "
        head, *others = _operand(piece.node, indent, len(start), after if piece is last else 0)
        lines += [start + head, *others]
        _end_of_line(lines, piece.after, indent)
    return lines


def _broken_bracket(node: Bracket, indent: int) -> list[str]:
    inner = indent + _INDENT
    pad = " " * inner
    comma = "" if node.head == "(" else ","
    lines = [node.head]
    _end_of_line(lines, node.opening, inner)
    for piece in node.pieces:
        lines += [pad + comment for comment in piece.before]
        head, *others = _broken(piece.node, inner, inner, len(comma))
        lines += [pad + head, *others]
        lines[-1] += comma
        _end_of_line(lines, piece.after, inner)
    lines += [pad + comment for comment in node.closing]
    return [*lines, " " * indent + ")"]
