"""Linear forms hold every float64 value of what they are forms of."""

from __future__ import annotations

import random

import pytest

from derl_dsl.checker import prove_source
from derl_dsl.elaborate.scope import build_scope
from derl_dsl.prove.analyse import Analysis
from derl_dsl.prove.linear import Linear
from derl_grammar.spans import Source

_LOWS = (0.0, 1.0, -3.0, 1e-9, 100.0, 1e6, -1e-3, 5e-324, 1e12)
_WIDTHS = (1.0, 1e-12, 50.0, 1e9)


def formula(rng: random.Random, depth: int) -> str:
    if depth == 0:
        return rng.choice(["a", "b", "c", "0.1", "2", "7.5", "100000"])
    inside = [formula(rng, depth - 1) for _ in range(2)]
    factor = rng.choice([2, 0.5, 0.1, 3, 1.7, 1e-3, 1e7])
    return rng.choice([
        f"({inside[0]} + {inside[1]})", f"({inside[0]} - {inside[1]})",
        f"({inside[0]} - {inside[1]})", f"({factor} * {inside[0]})",
        f"({inside[0]} / {factor})", f"(-{inside[0]})",
    ])  # fmt: skip


def ranges(rng: random.Random) -> dict[str, tuple[float, float]]:
    lows = {name: rng.choice(_LOWS) for name in "abc"}
    return {name: (lo, max(lo + rng.choice(_WIDTHS), lo + 1e-3)) for name, lo in lows.items()}


def drawn(rng: random.Random, lo: float, hi: float) -> float:
    return rng.choice([lo, hi, min(hi, max(lo, rng.uniform(lo, hi)))])


def outside(count: int, seed: int) -> tuple[list[str], int]:
    """Formulas with a value outside their form's bounds, and how many bounds were the tighter."""
    rng, wrong, tighter = random.Random(seed), [], 0
    for _ in range(count):
        text, box = formula(rng, rng.choice([2, 3, 4])), ranges(rng)
        columns = {name: f"number[{lo!r}, {hi!r}]" for name, (lo, hi) in box.items()}
        graph = prove_source(Source(text), build_scope("length", columns)).graph
        assert graph is not None
        root = graph.outputs["reward"]
        plain = Analysis(graph, [root])
        found = Linear(graph, plain.ranges, lambda node: node).bounds(root)
        tighter += found.lo > plain[root].lo
        for _ in range(40):
            row = {name: drawn(rng, *ends) for name, ends in box.items()}
            if not found.lo <= eval(text, {}, row) <= found.hi:
                wrong.append(f"{text} at {row}")
    return wrong, tighter


def test_no_value_lies_outside_a_form() -> None:
    wrong, tighter = outside(400, seed=5)
    assert wrong == []
    assert tighter > 20


@pytest.mark.slow
def test_no_value_lies_outside_ten_thousand_forms() -> None:
    assert outside(10_000, seed=6)[0] == []
