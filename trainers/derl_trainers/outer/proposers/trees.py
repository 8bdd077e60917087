"""Syntax trees varied: subtrees replaced or exchanged where the type fits, numbers, operators.

A place takes a number or a condition. What is put there was grown for, or stood at, a place of the
same type, so that types stay right; ranges may not, which the checker says.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from derl_dsl.elaborate.scope import Scope
from derl_dsl.generate.sample import FORMULAS, Sampler
from derl_grammar import nodes as n

Kind = Literal["number", "condition"]
Path = tuple[int, ...]

_FRESH = 4  # the most names and numbers of a subtree that is grown into a tree
_LARGEST = 31  # nodes of a tree; what grows beyond is not taken
_JITTER = 0.4  # standard deviation of the log of a number that is moved
_SWAPS = ("+-*/", ("<", "<=", ">", ">="), ("and", "or"))


@dataclass(frozen=True, slots=True)
class Place:
    """A subtree, the way to it by children's numbers, and the type that stands there."""

    path: Path
    node: n.Expr
    kind: Kind


def places(root: n.Expr, kind: Kind = "number", path: Path = ()) -> list[Place]:
    """Every place of a tree, the root first; calls are taken as a whole."""
    found = [Place(path, root, kind)]
    if isinstance(root, n.Call):
        return found
    for k, child in enumerate(n.children(root)):
        found += places(child, _wanted(root, k, kind), (*path, k))
    return found


def _wanted(node: n.Expr, k: int, kind: Kind) -> Kind:
    """The type of a node's child `k`, where the node itself stands for `kind`."""
    match node:
        case n.Unary(op="not") | n.Binary(op="and" | "or"):
            return "condition"
        case n.Conditional():
            return "condition" if k == 0 else kind
    return "number"


def replaced(root: n.Expr, path: Path, new: n.Expr) -> n.Expr:
    """The tree with `new` at a place."""
    if not path:
        return new
    below = list(n.children(root))
    below[path[0]] = replaced(below[path[0]], path[1:], new)
    match root:
        case n.Unary():
            return replace(root, operand=below[0])
        case n.Binary():
            return replace(root, left=below[0], right=below[1])
        case n.Compare():
            return replace(root, operands=tuple(below))
        case n.Conditional():
            return replace(root, test=below[0], then=below[1], other=below[2])
    raise AssertionError(f"{type(root).__name__} has no place below it")


class Trees:
    """Draws reward expressions over the names of a scope."""

    def __init__(self, scope: Scope, rng: random.Random) -> None:
        self.rng = rng
        self.sampler = Sampler(scope, rng, FORMULAS)

    def fresh(self) -> n.Expr:
        """An expression as the grammar draws them."""
        return self.sampler.number(self.rng.randint(2, FORMULAS.terms))

    def crossed(self, one: n.Expr, other: n.Expr) -> n.Expr | None:
        """The first tree with a subtree of the second; None where types or size do not fit."""
        at = self.rng.choice(places(one))
        donors = [p for p in places(other) if p.kind == at.kind]
        return _fitting(replaced(one, at.path, self.rng.choice(donors).node)) if donors else None

    def mutated(self, tree: n.Expr) -> n.Expr | None:
        """The tree with one change; None where the change drawn has no place in it."""
        change = self.rng.choice((self._regrown, self._jittered, self._swapped, self._shrunk))
        at_all = places(tree)
        found = change(at_all)
        return _fitting(replaced(tree, *found)) if found is not None else None

    def _regrown(self, among: Sequence[Place]) -> tuple[Path, n.Expr]:
        """A fresh subtree of the same type."""
        at, terms = self.rng.choice(among), self.rng.randint(1, _FRESH)
        grow = self.sampler.number if at.kind == "number" else self.sampler.condition
        return at.path, grow(terms)

    def _jittered(self, among: Sequence[Place]) -> tuple[Path, n.Expr] | None:
        """Another number, near by, to three digits."""
        at = self._one(among, lambda node: isinstance(node, n.NumberLiteral) and node.value != 0)
        if at is None or not isinstance(at.node, n.NumberLiteral):
            return None
        moved = at.node.value * math.exp(self.rng.gauss(0, _JITTER))
        return at.path, replace(at.node, value=float(f"{moved:.3g}"))

    def _swapped(self, among: Sequence[Place]) -> tuple[Path, n.Expr] | None:
        """Another operator with the same types."""
        at = self._one(among, lambda node: bool(_peers(node)))
        if at is None:
            return None
        op = self.rng.choice(_peers(at.node))
        if isinstance(at.node, n.Compare):
            return at.path, replace(at.node, ops=(op,))
        assert isinstance(at.node, n.Binary)
        return at.path, replace(at.node, op=op)

    def _shrunk(self, among: Sequence[Place]) -> tuple[Path, n.Expr] | None:
        """One of a subtree's own operands in its place: what else is to make trees smaller?"""
        inner = {p.path[:-1] for p in among if p.path}
        at = self._one([p for p in among if p.path in inner], lambda _: True)
        if at is None:
            return None
        below = [p for p in among if p.path[:-1] == at.path and p.path and p.kind == at.kind]
        return (at.path, self.rng.choice(below).node) if below else None

    def _one(self, among: Sequence[Place], which: Callable[[n.Expr], bool]) -> Place | None:
        able = [p for p in among if which(p.node)]
        return self.rng.choice(able) if able else None


def _peers(node: n.Expr) -> list[str]:
    """The operators that may stand for a node's own."""
    match node:
        case n.Binary(op=op) | n.Compare(ops=(op,)):
            return [other for row in _SWAPS if op in row for other in row if other != op]
    return []


def _fitting(tree: n.Expr) -> n.Expr | None:
    return tree if len(n.postorder(tree)) <= _LARGEST else None
