"""What every operation of the graph is: one record each, for proofs, passes and all backends.

What an operation computes stands in tables from its name to code (`scalars`, `ranges`, the
backends); what is known of it stands here. A test holds those tables to this one, and every claim
made here to what `scalars` computes.
"""

from __future__ import annotations

import math
from typing import Literal

from derl_grammar.records import record

INF = math.inf
Kind = Literal["leaf", "scalar", "reduction", "slice", "group"]


@record
class Operation:
    """What is known of one operation.

    `takes` says what its arguments are, one letter each: n a number, b a condition, x either;
    capitals are lists. A `leaf` has none, a `scalar` works on single values (on lists step by
    step), a `reduction` makes one value of a list, a `slice` cuts one, a `group` function looks at
    the rollouts of a group. `literals` is how many plain numbers are written into it, `truth` says
    that it is a condition.

    Of its values, NaN aside: `lo` and `hi` bound them; `whole` ones have no fraction, and
    `keeps_whole` makes whole numbers of whole ones; `finite` is never NaN nor infinite,
    `never_minus_zero` never -0.0; `size` says how large they get: at most 1, at most the `same` as
    the first argument, or a `count` of steps or rollouts.

    Of how it moves: `rising` never falls when its one argument rises; `among` takes its value from
    the steps or rollouts, so that it moves by no more than they do; `smooth` changes little when
    its numbers do; `scaling` has f(c * x) = c * f(x) for c > 0; `commutes` says that f(x, y) and
    f(y, x) have the same `bits`, or are equal `values` where zeros count as one.

    Of its rounding: `inexact` has no exact value at most exact arguments, and `last_bit` may differ
    between mathematical libraries. `divides` is undefined at a second argument of 0, `partial` on
    some finite arguments; `compares` means nothing of NaN.
    """

    takes: str = ""
    kind: Kind = "scalar"
    literals: int = 0
    truth: bool = False
    lo: float = -INF
    hi: float = INF
    size: Literal["one", "same", "count", ""] = ""
    whole: bool = False
    keeps_whole: bool = False
    finite: bool = False
    never_minus_zero: bool = False
    rising: bool = False
    among: bool = False
    smooth: bool = False
    scaling: bool = False
    commutes: Literal["bits", "values", ""] = ""
    inexact: bool = False
    last_bit: bool = False
    divides: bool = False
    partial: bool = False
    compares: bool = False


_LEAF = Operation(kind="leaf")
_COMPARISON = Operation("nn", truth=True, compares=True)
_EQUALITY = Operation("nn", truth=True, compares=True, commutes="bits")
_LOGIC = Operation("bb", truth=True, commutes="bits")
_OF_LIST = Operation("N", "reduction", among=True, scaling=True, size="same")
_OF_TRUTHS = Operation("B", "reduction", truth=True, among=True)
_OF_GROUP = Operation("nb", "group", among=True, scaling=True, size="same")

OPERATIONS: dict[str, Operation] = {
    "const": _LEAF,
    "param": _LEAF,
    "input": _LEAF,
    "valid": Operation(kind="leaf", truth=True),
    # Arithmetic
    "neg": Operation("n", keeps_whole=True, size="same"),
    "abs": Operation("n", lo=0.0, keeps_whole=True, never_minus_zero=True, smooth=True,
                     size="same"),
    "exp": Operation("n", lo=0.0, never_minus_zero=True, rising=True, inexact=True, last_bit=True),
    "log": Operation("n", rising=True, inexact=True, last_bit=True, partial=True),
    "sqrt": Operation("n", lo=0.0, rising=True, inexact=True, partial=True),
    "tanh": Operation("n", lo=-1.0, hi=1.0, size="one", rising=True, smooth=True, inexact=True,
                      last_bit=True),
    "sigmoid": Operation("n", lo=0.0, hi=1.0, size="one", never_minus_zero=True, rising=True,
                         smooth=True, inexact=True, last_bit=True),
    "cos": Operation("n", lo=-1.0, hi=1.0, smooth=True, inexact=True, last_bit=True),
    "floor": Operation("n", whole=True, rising=True),
    "round": Operation("n", whole=True, rising=True),
    "sign": Operation("n", lo=-1.0, hi=1.0, size="one", whole=True, never_minus_zero=True,
                      rising=True),
    "add": Operation("nn", commutes="bits", keeps_whole=True),
    "sub": Operation("nn", keeps_whole=True),
    "mul": Operation("nn", commutes="bits", keeps_whole=True),
    "div": Operation("nn", divides=True),
    "mod": Operation("nn", divides=True),
    "pow": Operation("nn", inexact=True, last_bit=True, partial=True),
    "min": Operation("nn", commutes="values", keeps_whole=True, smooth=True),
    "max": Operation("nn", commutes="values", keeps_whole=True, smooth=True),
    "guard": Operation("nn"),
    # Conditions
    "lt": _COMPARISON,
    "le": _COMPARISON,
    "eq": _EQUALITY,
    "ne": _EQUALITY,
    "and": _LOGIC,
    "or": _LOGIC,
    "not": Operation("b", truth=True),
    "num": Operation("b", lo=0.0, hi=1.0, size="one", whole=True, finite=True,
                     never_minus_zero=True, rising=True),
    "select": Operation("bxx", keeps_whole=True, smooth=True),
    # Lists
    "list_sum": Operation("N", "reduction", scaling=True, never_minus_zero=True),
    "list_mean": _OF_LIST,
    "list_min": _OF_LIST,
    "list_max": _OF_LIST,
    "list_first": _OF_LIST,
    "list_last": _OF_LIST,
    "list_count": Operation("N", "reduction", lo=0.0, size="count", whole=True, finite=True,
                            never_minus_zero=True),
    "list_any": _OF_TRUTHS,
    "list_all": _OF_TRUTHS,
    "third": Operation("X", "slice", literals=1, scaling=True, size="same"),
    "part": Operation("X", "slice", literals=2, scaling=True, size="same"),
    # Groups; the last argument says which rollouts count.
    "group_mean": _OF_GROUP,
    "group_std": Operation("nb", "group", lo=0.0, scaling=True, size="same"),
    "group_min": _OF_GROUP,
    "group_max": _OF_GROUP,
    "group_rank": Operation("nb", "group", lo=0.0, hi=1.0, size="one", never_minus_zero=True),
    "group_quantile": Operation("nb", "group", literals=1, among=True, scaling=True, size="same"),
    "group_size": Operation("b", "group", lo=0.0, size="count", whole=True, finite=True,
                            never_minus_zero=True),
}  # fmt: skip


def _of(kind: Kind) -> frozenset[str]:
    return frozenset(name for name, op in OPERATIONS.items() if op.kind == kind)


# The questions that are asked of every node of every graph, as sets.
LEAVES, SCALARS, REDUCTIONS = _of("leaf"), _of("scalar"), _of("reduction")
SLICES, GROUP = _of("slice"), _of("group")
BOOLEAN = frozenset(name for name, op in OPERATIONS.items() if op.truth)
