"""What an expression stands for while it is elaborated, and words for it in messages."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from derl_grammar.near import nearest
from derl_runtime.sources import Source


class Value(NamedTuple):
    """What an expression stands for.

    `kind` is number, bool, text, skip (not applicable) or broken (after an error); `node` its node
    of the graph (none for texts), `source` the input or literal it is, `valid` the condition under
    which it applies (None: always), and `many` whether it has one value per step. `choice` is a
    text that depends on a condition: what reads it is computed of both texts, and then chosen.
    """

    kind: str
    node: int | None = None
    source: Source | None = None
    valid: int | None = None
    many: bool = False
    choice: Choice | None = None

    @property
    def cases(self) -> int:
        """The number of texts that a text may be."""
        return 1 if self.choice is None else self.choice.then.cases + self.choice.other.cases

    @property
    def words(self) -> str:
        """Its type in words."""
        if self.many:
            return {"bool": "a list of conditions"}.get(self.kind, f"a list of {self.kind}s")
        return {"bool": "a condition", "skip": "skip"}.get(self.kind, f"a {self.kind}")


class Choice(NamedTuple):
    """`then if test else other` of texts."""

    test: Value
    then: Value
    other: Value


BROKEN = Value("broken")
SKIP = Value("skip")


def closest(name: str, known: Iterable[str]) -> tuple[str, ...]:
    """A did-you-mean hint, when a known name is near."""
    near = nearest(name, known)
    return () if near is None else (f"did you mean {near!r}?",)
