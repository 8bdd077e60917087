"""The syntax tree of a reward program; every node knows its place in the text."""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter
from typing import Any

from derl_grammar.records import record

Place = tuple[int, int]


@record
class NumberLiteral:
    """`0.5`, `1e-6`."""

    value: float
    place: Place


@record
class TextLiteral:
    """`"####"`."""

    value: str
    place: Place


@record
class BoolLiteral:
    """`True`, `False`."""

    value: bool
    place: Place


@record
class Name:
    """A column, a part defined earlier, or a name of the suite."""

    name: str
    place: Place


@record
class Unary:
    """`-x`, `+x`, `not x`."""

    op: str
    operand: Expr
    place: Place


@record
class Binary:
    """`+ - * / % **` of two numbers, `and or` of two conditions."""

    op: str
    left: Expr
    right: Expr
    place: Place


@record
class Compare:
    """`a < b <= c`: operators between neighbouring operands."""

    ops: tuple[str, ...]
    operands: tuple[Expr, ...]
    place: Place


@record
class Conditional:
    """`then if test else other`."""

    then: Expr
    test: Expr
    other: Expr
    place: Place


@record
class Keyword:
    """`name=value` inside a call."""

    name: str
    value: Expr
    place: Place


@record
class Call:
    """A function of the language or a primitive of the suite."""

    name: str
    args: tuple[Expr, ...]
    keywords: tuple[Keyword, ...]
    name_place: Place
    place: Place


Expr = (
    NumberLiteral | TextLiteral | BoolLiteral | Name | Unary | Binary | Compare | Conditional | Call
)


@record
class Assignment:
    """`name = value`."""

    name: str
    value: Expr
    name_place: Place
    place: Place


@record
class Program:
    """The named parts in order, and the reward."""

    parts: tuple[Assignment, ...]
    reward: Expr
    place: Place


_BELOW: dict[type, Callable[[Any], tuple[Expr, ...]]] = {
    Binary: attrgetter("left", "right"),
    Unary: lambda node: (node.operand,),
    Compare: attrgetter("operands"),
    Conditional: attrgetter("test", "then", "other"),
    Call: lambda node: (*node.args, *(k.value for k in node.keywords)),
}


def children(node: Expr) -> tuple[Expr, ...]:
    """The operands of a node, in the order of the text's meaning."""
    below = _BELOW.get(type(node))
    return below(node) if below else ()


def postorder(root: Expr) -> list[Expr]:
    """Every node below `root`, operands before the node that uses them; without recursion."""
    found: list[Expr] = []
    stack = [root]
    while stack:
        node = stack.pop()
        found.append(node)
        below = _BELOW.get(type(node))
        if below:
            stack.extend(below(node))
    # Users first and the last operand before the first: the wanted order, backwards.
    found.reverse()
    return found
