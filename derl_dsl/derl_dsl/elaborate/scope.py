"""What a program may name: columns, primitives and bound names of a suite, the outcome."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field

from derl_dsl.elaborate.custom import REGISTRY
from derl_grammar.near import did_you_mean
from derl_grammar.records import record
from derl_grammar.types import Number, Type, parse_type
from derl_primitives.primitive import Primitive
from derl_primitives.text import TEXT_FUNCTIONS
from derl_runtime.sources import Apply, Column, Source

# The share of training that is done; known to every program.
PROGRESS = Column("progress", Number(0.0, 1.0))
# Words that begin a type: no column is renamed to one.
TYPES = ("number", "bool", "text", "list")


@record
class Scope:
    """The names of one program.

    `outcome` is the text of the expression that says it was right; `outcomes` are others that say
    so: of a program that uses one of them and not `outcome`, that one is the outcome. `renamed`
    has the data's name of columns that the program calls otherwise.
    """

    names: Mapping[str, Column | Apply]
    primitives: Mapping[str, Primitive]
    outcome: str | None
    suite: str | None
    outcomes: tuple[str, ...] = ()
    renamed: Mapping[str, str] = field(default_factory=dict)

    def spelled(self, source: Source) -> str:
        """An input as the program spells it, whatever its columns are called in the data."""
        if isinstance(source, Column):
            return next((k for k, v in self.renamed.items() if v == source.name), source.name)
        if isinstance(source, Apply) and source.name is None:
            args = ", ".join(map(self.spelled, source.args))
            return f"{source.primitive.name}({args})"
        return str(source)


def build_scope(
    suite: str | None = None,
    columns: Mapping[str, str | Type] | None = None,
    outcome: str | None = None,
) -> Scope:
    """The scope of a suite (or `a+b`) with columns typed by hand added.

    A column whose type is the name of another one stands for it: `{"solution": "answer"}` reads
    the data's `solution` where the program says `answer`. Custom primitives come with every scope.
    Raises ValueError for an unknown suite, an unreadable type, and a custom primitive whose name
    the scope has already.
    """
    names: dict[str, Column | Apply] = {PROGRESS.name: PROGRESS}
    typed, renamed = _typed(columns or {})
    primitives: dict[str, Primitive] = dict(TEXT_FUNCTIONS)
    outcomes: tuple[str, ...] = ()
    if suite is not None:
        # A process that has none starts 12 ms sooner without them.
        from derl_primitives.suites import find_suite

        found = find_suite(suite)
        primitives.update(found.primitives)
        for name, kind in found.columns.items():
            names[name] = Column(renamed.get(name, name), kind)
        for name, binding in found.bindings.items():
            args = tuple(names[c] for c in binding.columns)
            names[name] = Apply(binding.primitive, args, name)
        if outcome is None:
            outcome, outcomes = found.outcome, found.outcomes
    names.update({name: Column(renamed.get(name, name), kind) for name, kind in typed.items()})
    _check_renamed(renamed, names)
    for name, entry in REGISTRY.items():
        if name in names or name in primitives:
            what = "a column or a name of the suite" if name in names else "one of the suite's"
            raise ValueError(f"{entry.origin}: the primitive {name!r} is {what}; rename it")
        primitives[name] = entry.primitive
    return Scope(names, primitives, outcome, suite, outcomes, renamed)


def _typed(columns: Mapping[str, str | Type]) -> tuple[dict[str, Type], dict[str, str]]:
    """The columns that have a type, and for names of the program the data's column."""
    typed: dict[str, Type] = {}
    renamed: dict[str, str] = {}
    for name, given in columns.items():
        if not isinstance(given, str):
            typed[name] = given
        elif given.isidentifier() and given not in TYPES:
            if given in renamed:
                raise ValueError(
                    f"the columns {renamed[given]!r} and {name!r} both stand for {given!r}"
                )
            renamed[given] = name
        else:
            typed[name] = parse_type(given)
    return typed, renamed


def _check_renamed(renamed: Mapping[str, str], names: Mapping[str, Column | Apply]) -> None:
    for name, stored in renamed.items():
        if not isinstance(names.get(name), Column):
            known = [k for k, v in names.items() if isinstance(v, Column)]
            raise ValueError(
                f"cannot read type {name!r} of the column {stored!r}: unknown type {name!r}, and "
                f"neither a column of the program; {did_you_mean(name, [*known, *TYPES])}"
            )
