"""The tree that fmt lays out: pieces with their comments, chains of operators, brackets."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

from derl_grammar.machine import Machine, Token, load
from derl_grammar.records import record

Comments = tuple[str, ...]


class Noted(Token):
    """A token with the comments on lines before it and the one at the end of its line."""

    __slots__ = ("after", "before")

    before: Comments
    after: Comments

    @classmethod
    def of(cls, token: Token, before: Comments) -> Noted:
        """The token with what precedes it."""
        noted = cls(token)
        noted.type, noted.start_pos, noted.end_pos = token.type, token.start_pos, token.end_pos
        noted.before, noted.after = before, ()
        return noted


@record
class Atom:
    """A literal or a name."""

    flat: str


@record
class Prefix:
    """`-x`, `not x`, `name=x`; `op` has its space."""

    op: str
    operand: Node
    flat: str | None


@record
class Chain:
    """Operands with the operators between them, all of one strength."""

    level: str
    ops: tuple[str, ...]
    pieces: tuple[Piece, ...]
    flat: str | None


@record
class Bracket:
    """A call, whose head is `name(`, or brackets round one expression.

    `opening` are comments behind the opening bracket, `closing` those before the closing one.
    """

    head: str
    pieces: tuple[Piece, ...]
    opening: Comments
    closing: Comments
    flat: str | None

    @property
    def plain(self) -> bool:
        """Whether these are mere brackets, without comments of their own."""
        if self.head != "(" or self.opening or self.closing:
            return False
        return not (self.pieces[0].before or self.pieces[0].after)


Node = Atom | Prefix | Chain | Bracket


@record
class Piece:
    """A node with the comments on lines before it and those at the end of its line.

    Comments rise from the ends of a node to the piece round it, so that where a comment goes does
    not depend on how deep the token next to it is.
    """

    node: Node
    before: Comments = ()
    after: Comments = ()

    @property
    def flat(self) -> str | None:
        """The text in one line; None when a comment breaks it."""
        return None if self.before or self.after else self.node.flat


def bracket(
    head: str, pieces: tuple[Piece, ...], opening: Comments = (), closing: Comments = ()
) -> Bracket:
    """A call or brackets, with the text in one line when there is one."""
    texts = [p.flat for p in pieces if p.flat is not None]
    broken = opening or closing or len(texts) < len(pieces)
    return Bracket(
        head, pieces, opening, closing, None if broken else head + ", ".join(texts) + ")"
    )


def _prefix(op: str, operand: Node) -> Prefix:
    return Prefix(op, operand, None if operand.flat is None else op + operand.flat)


def _chain(level: str, ops: tuple[str, ...], pieces: tuple[Piece, ...]) -> Piece:
    """A chain, with the comments at its ends risen to its piece."""
    first, last = pieces[0], pieces[-1]
    inner = (Piece(first.node, (), first.after), *pieces[1:-1], Piece(last.node, last.before))
    texts = [p.flat for p in inner if p.flat is not None]
    flat = None
    if len(texts) == len(inner):
        flat = texts[0] + "".join(f" {op} {t}" for op, t in zip(ops, texts[1:], strict=True))
    return Piece(Chain(level, ops, inner, flat), first.before, last.after)


def _spread(piece: Piece, level: str) -> tuple[tuple[str, ...], tuple[Piece, ...]]:
    """The operators and operands of a piece that is a chain of this level, or itself alone."""
    node = piece.node
    if not isinstance(node, Chain) or node.level != level:
        return (), (piece,)
    first, *middle, last = node.pieces
    first = Piece(first.node, piece.before, first.after)
    return node.ops, (first, *middle, Piece(last.node, last.before, piece.after))


_LEVELS = {"+": "+", "-": "+", "*": "*", "/": "*", "%": "*"}


def _number(text: str) -> str:
    """`.5`, `5.` and `1E6` as 0.5, 5.0 and 1e6."""
    whole, point, rest = text.lower().partition(".")
    if not point:
        return whole
    digits, e, exponent = rest.partition("e")
    return f"{whole or '0'}.{digits or '0'}{e}{exponent}"


def _string(text: str) -> str:
    """Double quotes, where the text has neither quotes nor backslashes."""
    return re.sub(r"^(r?)'([^'\"\\]*)'$", r'\1"\2"', text)


def _atom(token: Noted, text: str) -> Piece:
    return Piece(Atom(text), token.before, token.after)


class _Layout:
    """What each production becomes; the names are those of the grammar."""

    def number(self, items: list[Noted]) -> Piece:
        return _atom(items[0], _number(items[0]))

    def string(self, items: list[Noted]) -> Piece:
        return _atom(items[0], _string(items[0]))

    def name(self, items: list[Noted]) -> Piece:
        return _atom(items[0], str(items[0]))

    boolean = name

    # Statements and what passes through

    def assignment(self, items: list[Any]) -> tuple[str, Piece]:
        return f"{items[0]} = ", items[2]

    def bare(self, items: list[Any]) -> tuple[str, Piece]:
        return "", items[0]

    def positional(self, items: list[Any]) -> Piece:
        piece: Piece = items[0]
        return piece

    # Operators

    def _joined(self, items: list[Any], level: str, merge: int | None) -> Piece:
        """Operands and operators in turn; the first (0) or last (-1) operand may be the chain's."""
        pieces: list[Piece] = items[0::2]
        ops = [str(op) for op in items[1::2]]
        for at, token in enumerate(items[1::2]):
            left, right = pieces[at], pieces[at + 1]
            pieces[at] = Piece(left.node, left.before, left.after + token.after)
            pieces[at + 1] = Piece(right.node, token.before + right.before, right.after)
        if merge is not None:
            inner, spread = _spread(pieces[merge], level)
            ops = [*inner, *ops] if merge == 0 else [*ops, *inner]
            pieces = [*spread, *pieces[1:]] if merge == 0 else [*pieces[:-1], *spread]
        return _chain(level, tuple(ops), tuple(pieces))

    def binary(self, items: list[Any]) -> Piece:
        op = str(items[1])
        if op == "**":
            return self._joined(items, "**", -1)
        return self._joined(items, _LEVELS[op], 0)

    def or_(self, items: list[Any]) -> Piece:
        return self._joined(items, "or", 0)

    def and_(self, items: list[Any]) -> Piece:
        return self._joined(items, "and", 0)

    def compare(self, items: list[Any]) -> Piece:
        return self._joined(items, "<", None)

    def conditional(self, items: list[Any]) -> Piece:
        return self._joined(items, "if", -1)

    def _prefixed(self, op: str, tokens: list[Noted], operand: Piece) -> Piece:
        before, after = operand.before, operand.after
        for token in reversed(tokens):
            before, after = token.before + before, token.after + after
        return Piece(_prefix(op, operand.node), before, after)

    def unary(self, items: list[Any]) -> Piece:
        return self._prefixed(str(items[0]), items[:1], items[1])

    def not_(self, items: list[Any]) -> Piece:
        return self._prefixed("not ", items[:1], items[1])

    # Brackets

    def keyword(self, items: list[Any]) -> Piece:
        return self._prefixed(f"{items[0]}=", items[:2], items[2])

    def call(self, items: list[Any]) -> Piece:
        name, opened, *inner, closed = items
        pieces: list[Piece] = []
        waiting: Comments = ()
        for item in inner:
            if isinstance(item, Piece):
                pieces.append(Piece(item.node, waiting + item.before, item.after))
                waiting = ()
            else:
                last = pieces[-1]
                pieces[-1] = Piece(last.node, last.before, last.after + item.after)
                waiting = item.before
        if len(pieces) == 1 and isinstance(only := pieces[0].node, Bracket) and only.plain:
            pieces = [Piece(only.pieces[0].node, pieces[0].before, pieces[0].after)]
        opening = name.after + opened.after
        closing = waiting + closed.before
        node = bracket(f"{name}(", tuple(pieces), opening, closing)
        return Piece(node, name.before + opened.before, closed.after)

    def group(self, items: list[Any]) -> Piece:
        opened, piece, closed = items
        node = piece.node
        found = bracket("(", (piece,), opened.after, closed.before)
        if isinstance(node, Bracket) and node.plain:
            inner = Piece(node.pieces[0].node, piece.before, piece.after)
            found = bracket("(", (inner,), found.opening, found.closing)
        elif found.plain and isinstance(node, Atom | Bracket):
            return Piece(node, opened.before, closed.after)
        return Piece(found, opened.before, closed.after)


@cache
def _machine() -> Machine:
    made = _Layout()
    return load({name: getattr(made, name) for name in dir(made) if name[0] != "_"}, True)


def layout(tokens: list[Noted]) -> tuple[str, Piece]:
    """The head (`name = `, or nothing) and the value of a statement."""
    found: tuple[str, Piece] = _machine().parse(list(tokens))
    return found
