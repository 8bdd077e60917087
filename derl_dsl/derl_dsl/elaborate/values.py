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


# What Python calls otherwise, by the name that it is looked for under.
HABITS = {
    "len": "write count(xs) of a list, chars(text) or words(text) of a text",
    "float": "numbers are float64 already; a condition counts as 1 or 0",
    "int": "write floor(x) or round(x)",
    "bool": "compare: x > 0",
    "str": "texts and numbers do not become one another",
    "pow": "write x ** y",
    "avg": "write mean(xs), or (a + b) / 2",
    "average": "write mean(xs), or (a + b) / 2",
    "sorted": "the language has no sorting: min, max, group_rank, group_quantile",
    "range": "the language has no loops; functions work on whole lists",
    "zip": "lists go step by step: xs * ys",
    "isinstance": "types are known before a program runs",
    "print": "each named part is logged",
    "where": "write a if condition else b",
    "ifelse": "write a if condition else b",
    "map": "functions work on whole lists",
    "filter": "what does not count is 0: sum(xs * condition)",
    "relu": "write max(x, 0)",
    "ceil": "write -floor(-x)",
    "trunc": "write floor(x)",
    "clamp": "write clip(x, lo, hi)",
    "square": "write x ** 2",
    "ln": "write log(x)",
    "log1p": "write log(1 + x)",
    "expm1": "write exp(x) - 1",
    "sin": "write cos(x - 1.570796)",
    "softmax": "sigmoid(x) lies between 0 and 1",
    "isnan": "guard(x, default) ends what is not finite, default(x, value) what is missing",
    "isfinite": "guard(x, default) ends what is not finite, default(x, value) what is missing",
    "isclose": "write abs(x - y) < 0.000001",
    "dot": "write sum(xs * ys)",
    "size": "write count(xs) of a list, chars(text) or words(text) of a text",
    "length": "write count(xs) of a list, chars(text) or words(text) of a text",
    "cumsum": "the language has no running sums: sum(xs), or sum(part(xs, 0, 0.5)) up to a share",
    "argmax": "the language has no places in lists: max(xs), first(xs), last(xs)",
    "argmin": "the language has no places in lists: min(xs), first(xs), last(xs)",
    "log10": "write log(x) / 2.302585",
    "log2": "write log(x) / 0.693147",
    "std": "over the rollouts of a group: group_std(x); of a list: sqrt(var), with var = "
    "max(0, mean(xs * xs) - mean(xs) ** 2)",
    "var": "over the rollouts of a group: group_std(x) ** 2; of a list: "
    "max(0, mean(xs * xs) - mean(xs) ** 2)",
    "median": "over the rollouts of a group: group_quantile(x, 0.5)",
}
# Arguments that Python has, and the language has not.
EXTRA = {
    "log": "to another base: log(x) / log(b)",
    "round": "to two digits: round(100 * x) / 100",
    "sum": "of numbers: a + b",
    "mean": "of two numbers: (a + b) / 2",
}
WORDS = {"true": "True", "false": "False", "null": "skip", "none": "skip", "nan": "skip"}
