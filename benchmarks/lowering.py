"""How long a formula takes between its proof and its kernel: lowering, and the equivalence key."""

from __future__ import annotations

from benchmarks.check import formulas
from benchmarks.run import Benchmark, Contender
from derl_dsl.checker import check_source
from derl_dsl.elaborate.scope import build_scope
from derl_dsl.key import key
from derl_dsl.passes import lower
from derl_dsl.prove.checked import Checked
from derl_grammar.spans import Source

# What `formulas` gives.
COUNT = 200


def _graphs() -> list[Checked]:
    scope = build_scope("derl-math")
    found = [check_source(Source(text), scope) for text in formulas()]
    assert len(found) == COUNT
    return found


def _contenders() -> tuple[Contender, ...]:
    found = _graphs()

    def lower_all() -> None:
        for one in found:
            if one.graph is not None:
                lower(one.graph)

    def key_all() -> None:
        for one in found:
            if one.graph is not None:
                key(one.graph, one.reward)

    return (
        Contender("lower", lower_all, "all passes"),
        Contender("key", key_all, "the table of exact values at 16 corners", compared=False),
    )


def lowering() -> Benchmark:
    """Formulas lowered, and their keys made, each from the graph of a checked formula."""
    return Benchmark(
        "lowering",
        f"Formulas lowered and keyed in one process ({COUNT} of 11 nodes on average)",
        _contenders,
        rounds=15,
        unit="formulas/s",
        amount=COUNT,
        # 60 microseconds a formula; the key is meant to stay under 300.
        target=1 / 60e-6,
    )


def benchmarks() -> list[Benchmark]:
    """The benchmarks of this file."""
    return [lowering()]
