"""What a program may name: columns, primitives and bound names of a suite, the outcome."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from derl_dsl.elaborate.custom import REGISTRY
from derl_grammar.types import Number, Type, parse_type
from derl_primitives.primitive import Primitive
from derl_primitives.text import TEXT_FUNCTIONS
from derl_runtime.sources import Apply, Column

# The share of training that is done; known to every program.
PROGRESS = Column("progress", Number(0.0, 1.0))


@dataclass(frozen=True, slots=True)
class Scope:
    """The names of one program.

    `outcome` is the text of the expression that says it was right; `outcomes` are others that say
    so: of a program that uses one of them and not `outcome`, that one is the outcome.
    """

    names: Mapping[str, Column | Apply]
    primitives: Mapping[str, Primitive]
    outcome: str | None
    suite: str | None
    outcomes: tuple[str, ...] = ()


def build_scope(
    suite: str | None = None,
    columns: Mapping[str, str | Type] | None = None,
    outcome: str | None = None,
) -> Scope:
    """The scope of a suite (or `a+b`) with columns typed by hand added.

    Custom primitives come with every scope. Raises ValueError for an unknown suite, an unreadable
    type, and a custom primitive whose name the scope has already.
    """
    names: dict[str, Column | Apply] = {PROGRESS.name: PROGRESS}
    primitives: dict[str, Primitive] = dict(TEXT_FUNCTIONS)
    outcomes: tuple[str, ...] = ()
    if suite is not None:
        # A process that has none starts 12 ms sooner without them.
        from derl_primitives.suites import find_suite

        found = find_suite(suite)
        primitives.update(found.primitives)
        for name, kind in found.columns.items():
            names[name] = Column(name, kind)
        for name, binding in found.bindings.items():
            args = tuple(Column(c, found.columns[c]) for c in binding.columns)
            names[name] = Apply(binding.primitive, args, name)
        if outcome is None:
            outcome, outcomes = found.outcome, found.outcomes
    for name, given in (columns or {}).items():
        names[name] = Column(name, parse_type(given) if isinstance(given, str) else given)
    for name, entry in REGISTRY.items():
        if name in names or name in primitives:
            what = "a column or a name of the suite" if name in names else "one of the suite's"
            raise ValueError(f"{entry.origin}: the primitive {name!r} is {what}; rename it")
        primitives[name] = entry.primitive
    return Scope(names, primitives, outcome, suite, outcomes)
