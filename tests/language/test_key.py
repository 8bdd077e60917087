"""Equivalence keys: against brute force on all corners, and against what GRPO makes of rewards."""

from __future__ import annotations

import ast
import itertools
import operator
import random
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from derl_dsl.backends import reference
from derl_dsl.checker import check_source, prove_source
from derl_dsl.elaborate.scope import Scope, build_scope
from derl_dsl.generate.sample import EVERYTHING, FORMULAS, sample_program
from derl_dsl.graph.ir import Graph
from derl_dsl.graph.shared import shared_nodes
from derl_dsl.key import key
from derl_dsl.prove.checked import Checked
from derl_grammar.spans import Source
from tests.differential.conditional import Close
from tests.differential.programs import bound, graph_of
from tests.language import natural

NO, YES = Fraction("0.000001"), Fraction("1.000001")
CORNERS = list(itertools.product((NO, YES), repeat=4))
MIXED = {
    "a": "number[0, 1]",
    "b": "number[-2, 2]",
    "c": "number{0, 1}",
    "d": "bool",
    "f": "bool",
    "o": "number[0, 3]?",
    "xs": "list[number[-1, 2]]",
    "ys": "list[number[0, 1]]",
}

_ARITHMETIC: dict[type, Callable[[Fraction, Fraction], Fraction]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: lambda x, y: x ** int(y),
}
_COMPARED: dict[type, Callable[[Fraction, Fraction], bool]] = {
    ast.Lt: operator.lt, ast.LtE: operator.le, ast.Gt: operator.gt, ast.GtE: operator.ge,
    ast.Eq: operator.eq, ast.NotEq: operator.ne,
}  # fmt: skip


def value(node: ast.expr, names: dict[str, Fraction]) -> Fraction:
    """A formula in exact arithmetic, straight from Python's own syntax tree."""
    match node:
        case ast.Constant():
            return Fraction(repr(node.value))
        case ast.Name():
            return names[node.id]
        case ast.UnaryOp(op=ast.USub()):
            return -value(node.operand, names)
        case ast.UnaryOp(op=ast.UAdd()):
            return value(node.operand, names)
        case ast.BinOp():
            pair = (value(node.left, names), value(node.right, names))
            return _ARITHMETIC[type(node.op)](*pair)
        case ast.IfExp():
            return value(node.body if value(node.test, names) else node.orelse, names)
        case ast.Compare(left=left, ops=[op], comparators=[right]):
            return Fraction(_COMPARED[type(op)](value(left, names), value(right, names)))
        case ast.UnaryOp(op=ast.Not()):
            return 1 - value(node.operand, names)
        case ast.BoolOp():
            both = [value(v, names) for v in node.values]
            return min(both) if isinstance(node.op, ast.And) else max(both)
    raise NotImplementedError(ast.dump(node))


def table(text: str) -> tuple[Fraction, ...]:
    """The formula's values at the 16 corners, shifted and scaled to [0, 1]."""
    tree = ast.parse(text.strip(), mode="eval").body
    names = ("g1", "g2", "g3", "g4")
    values = [value(tree, dict(zip(names, corner, strict=True))) for corner in CORNERS]
    lo, hi = min(values), max(values)
    return tuple((v - lo) / (hi - lo) if hi > lo else Fraction(0) for v in values)


def accepted(texts: list[str], names: Scope) -> list[Checked]:
    found = [check_source(Source(text), names) for text in texts]
    return [c for c in found if c.ok]


def key_of(checked: Checked) -> str:
    assert checked.graph is not None
    return key(checked.graph, checked.reward)


def partition(names: list[str], marks: list[object]) -> set[frozenset[str]]:
    found: dict[object, set[str]] = {}
    for name, mark in zip(names, marks, strict=True):
        found.setdefault(mark, set()).add(name)
    return {frozenset(group) for group in found.values()}


def test_cold_start_formulas_against_brute_force(shared_data: Path) -> None:
    """Of the 130 formulas 120 are accepted; they are 82 different rewards."""
    texts = (shared_data / "derl" / "cold_start.txt").read_text().splitlines()
    found = accepted(texts, build_scope("derl-math"))
    assert (len(texts), len(found)) == (130, 120)
    names = [c.source.text for c in found]
    keys, tables = [key_of(c) for c in found], [table(text) for text in names]
    assert partition(names, list(keys)) == partition(names, list(tables))
    assert len(set(keys)) == 82


def random_formulas(count: int, seed: int) -> list[str]:
    scope = build_scope("derl-math")
    names = {name: scope.names[name] for name in ("g1", "g2", "g3", "g4")}
    bare, rng = Scope(names, {}, None, None), random.Random(seed)
    return [sample_program(bare, rng, FORMULAS) for _ in range(count)]


def test_random_formulas_against_brute_force() -> None:
    found = accepted(random_formulas(400, seed=5), build_scope("derl-math"))
    names = sorted({c.source.text for c in found})
    assert len(names) > 200
    keys = {c.source.text: key_of(c) for c in found}
    by_key = partition(names, [keys[n] for n in names])
    by_table = partition(names, [table(n) for n in names])
    assert by_key == by_table
    assert len(by_key) < len(names) - 10


def at_random_points(text: str) -> tuple[Fraction, ...]:
    """The values at 14 random points of the unit cube: polynomials that agree there are equal."""
    tree = ast.parse(text.strip(), mode="eval").body
    rng = random.Random(3)
    names = ("g1", "g2", "g3", "g4")
    points = [[Fraction(rng.randint(1, 10**6), 10**6) for _ in names] for _ in range(14)]
    values = [value(tree, dict(zip(names, point, strict=True))) for point in points]
    lo, hi = min(values), max(values)
    return tuple((v - lo) / (hi - lo) if hi > lo else Fraction(0) for v in values)


def test_cold_start_formulas_over_continuous_inputs(shared_data: Path) -> None:
    """Step scores are no corners: there the formulas are read as polynomials and quotients."""
    columns = dict.fromkeys(("g1", "g2", "g3", "g4"), "number[0, 1]")
    texts = (shared_data / "derl" / "cold_start.txt").read_text().splitlines()
    found = [
        c for c in accepted(texts, build_scope(columns=columns)) if " if " not in c.source.text
    ]
    names = [c.source.text for c in found]
    assert len(set(names)) == 95
    by_key = partition(names, [key_of(c) for c in found])
    assert by_key == partition(names, [at_random_points(text) for text in names])
    assert len(by_key) == 63


def test_random_formulas_over_continuous_inputs() -> None:
    """No two different rewards have one key; what is constant but for rounding may have many."""
    columns = dict.fromkeys(("g1", "g2", "g3", "g4"), "number[0, 1]")
    found = accepted(random_formulas(500, seed=5), build_scope(columns=columns))
    found = [c for c in found if " if " not in c.source.text]
    names = sorted({c.source.text for c in found})
    keys = {c.source.text: key_of(c) for c in found}
    tables = {name: at_random_points(name) for name in names}
    for group in partition(names, [keys[n] for n in names]):
        assert len({tables[n] for n in group}) == 1, group
    vary = [n for n in names if any(tables[n])]
    assert len(vary) > 150
    assert len({keys[n] for n in vary}) == len({tables[n] for n in vary})


# What GRPO sees


def changed(text: str, rng: random.Random) -> str:
    """The same reward up to a positive affine change, written otherwise."""
    tree = ast.parse(text, mode="exec")
    for node in ast.walk(tree):
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Mult):
            if rng.random() < 0.5:
                node.left, node.right = node.right, node.left
            inner = node.left
            if (isinstance(inner, ast.BinOp) and type(inner.op) is type(node.op)
                    and rng.random() < 0.5):  # fmt: skip
                # (x + y) + z is x + (y + z), but for rounding.
                right = ast.BinOp(inner.right, node.op, node.right)
                node.left, node.right = inner.left, right
    *parts, last = ast.unparse(tree).split("\n")
    reward = last.removeprefix("reward = ")
    factor = rng.choice(("3", "0.25", "0.7", "12"))
    offset = rng.choice(("1", "0.3", "7.5"))
    last = rng.choice(
        (
            f"{factor} * ({reward}) + {offset}",
            f"({reward}) / {factor} - {offset}",
            f"{offset} - {factor} * -({reward})",
            f"({reward}) * param({factor}) + param({offset}, min=0, max=10)",
        )
    )
    return "\n".join([*parts, f"reward = {last}"])


GROUP, ROWS = 8, 64


def advantages(values: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(r - mean) / std of each group, NaN where the reward does not apply; and the deviations.

    A group whose rewards differ by less than a thousandth of the whole batch's spread has the
    advantages that GRPO gives it, with 1e-4 added to the deviation of a reward of unit spread.
    """
    fine = values[~np.isnan(values)]
    spread = float(np.ptp(fine)) if len(fine) else 0.0
    found = np.full_like(values, np.nan)
    deviations = np.zeros(len(values) // GROUP)
    for k in range(len(deviations)):
        rows = np.arange(k * GROUP, (k + 1) * GROUP)
        rows = rows[~np.isnan(values[rows])]
        if len(rows) == 0 or spread == 0:
            found[rows] = 0.0
            continue
        centred = values[rows] - values[rows].mean()
        deviation = float(values[rows].std())
        deviations[k] = deviation / spread
        found[rows] = centred / (deviation + (0.0 if deviations[k] > 1e-3 else 1e-4 * spread))
    return found, deviations


def scored(graph: Graph, columns: dict[str, object]) -> NDArray[np.float64]:
    rng = np.random.default_rng(0)
    inputs = bound(graph, ROWS, rng, in_range=True, group=GROUP)
    mine = {
        i: columns.setdefault(f"{graph.nodes[i].op} {graph.source(i)}", v)
        for i, v in inputs.inputs.items()
    }
    inputs = type(inputs)(mine, inputs.rows, inputs.groups, inputs.live)  # type: ignore[arg-type]
    outputs = reference.emit(graph)(inputs)
    values = outputs["0.reward"]
    return np.where(outputs.get("?0.reward", np.ones(ROWS)) != 0, values, np.nan)


def alike(one: Graph, two: Graph, columns: dict[str, object]) -> bool:
    first, _ = advantages(scored(one, columns))
    second, _ = advantages(scored(two, columns))
    return bool(np.allclose(first, second, rtol=0, atol=1e-9, equal_nan=True))


def samples(count: int, seed: int) -> list[str]:
    names, rng = build_scope(columns=MIXED), random.Random(seed)
    texts = [sample_program(names, rng, EVERYTHING) for _ in range(count)]
    return [c.source.text for c in accepted(texts, names)]


def test_changes_that_grpo_does_not_see_keep_the_key_or_the_advantages() -> None:
    """Every pair made equal on purpose is alike; most have one key."""
    names, rng = build_scope(columns=MIXED), random.Random(8)
    same = pairs = 0
    for text in samples(250, seed=7):
        other = changed(text, rng)
        one, two = (graph_of([t], names) for t in (text, other))
        keys = [key(g, g.outputs["0.reward"]) for g in (one, two)]
        pairs += 1
        if keys[0] == keys[1]:
            same += 1
            assert alike(one, two, {}), (text, other)
    assert pairs > 80
    assert same > 0.9 * pairs


def unlike(texts: list[str], names: Scope) -> tuple[int, list[tuple[str, str]]]:
    """How many pairs of different texts have one key, and those with different advantages."""
    by_key: dict[str, list[str]] = {}
    for text in dict.fromkeys(texts):
        graph = graph_of([text], names)
        by_key.setdefault(key(graph, graph.outputs["0.reward"]), []).append(text)
    pairs = [pair for group in by_key.values() for pair in itertools.pairwise(group)]
    wrong = [
        (one, two)
        for one, two in pairs
        if not alike(graph_of([one], names), graph_of([two], names), {})
    ]
    return len(pairs), wrong


def test_equal_keys_of_random_programs_give_equal_advantages() -> None:
    pairs, wrong = unlike(samples(600, seed=9), build_scope(columns=MIXED))
    assert wrong == []
    assert pairs > 20


def test_equal_keys_of_formulas_give_equal_advantages() -> None:
    names = build_scope("derl-math")
    texts = [c.source.text for c in accepted(random_formulas(350, seed=12), names)]
    pairs, wrong = unlike(texts, names)
    assert wrong == []
    assert pairs > 40


@pytest.mark.parametrize("divided", ["a / (b - b)", "1 / (b - b)", "a / (0 * b)"])
def test_what_is_divided_by_zero_and_guarded_has_a_key(divided: str) -> None:
    graph = graph_of([f"guard({divided}, 0) + a"], build_scope(columns=MIXED))
    assert key(graph, graph.outputs["0.reward"])


@pytest.mark.parametrize(("text", "same"), [
    ("group_std(2000 * a) - b", True),
    ("group_std(a / 1e-06) - b", False),
    ("1000000 * group_mean(a) - b", False),
    ("group_mean(100000 * c + f) - b", False),
])  # fmt: skip
def test_what_a_group_shares_is_left_out_unless_its_rounding_shows(text: str, same: bool) -> None:
    graph = graph_of([text, "-b"], build_scope(columns=MIXED))
    one, two = (key(graph, graph.outputs[f"{k}.reward"]) for k in (0, 1))
    assert (one == two) is same


@pytest.mark.slow
def test_equal_keys_of_many_random_programs_give_equal_advantages() -> None:
    pairs, wrong = unlike(samples(10_000, seed=10), build_scope(columns=MIXED))
    assert wrong == []
    assert pairs > 400


SAME = [
    ("a + b", "b + a"),
    ("(a + b) + mean(xs)", "a + (mean(xs) + b)"),
    ("2 * a - 1", "a"),
    ("0.1 * a + 0.2 * a", "a"),
    ("a * param(0.5)", "a"),
    ("max(a + b + 0.5, 0.25)", "max(0.5 + (b + a), 0.25)"),
    ("(2 * a) * (b + 1)", "a * (3 * b + 3)"),
    ("group_std(2 * a) + b", "b + 2 * group_std(a)"),
    ("a - group_mean(a)", "a"),
    ("a + 3 * group_std(b) + 1", "2 * a"),
    ("mean(3 * xs) + a", "a + 3 * mean(xs)"),
    ("a if d else skip", "0.5 * a + 1 if d else skip"),
    ("c if d else skip", "2 * c + 1 if d == 1 else skip"),
    ("exp(c) * 3 + 1", "exp(c)"),
    ("exp(a) * 3 + 1", "exp(a)"),
    ("guard(c / (c - d), 0)", "2 * guard(c / (c - d), 0) + 1"),
    ("c + 0 * d", "c"),
    ("sqrt(a) / 4", "sqrt(a)"),
    ("a if not d else b", "b if d else a"),
    ("a * b if a > 0.5 else 0", "b * a if not (0.5 >= a) else 0"),
    ("(a + b) * mean(xs)", "mean(xs) * a + b * mean(xs)"),
    ("(a + b) / (1 + mean(ys))", "b / (mean(ys) + 1) + a / (1 + mean(ys))"),
    ("(a + d) * (a - d)", "a * a - d"),
    ("3", "c - c"),
    ("1000000 + c", "c"),
]
DIFFERENT = [
    ("a", "-a"),
    ("a", "b"),
    ("a + b", "a + 2 * b"),
    ("a if d else skip", "a"),
    ("a if d else skip", "a if f else skip"),
    ("c if d else skip", "c if f else skip"),
    # A part has the reward's value, and applies elsewhere.
    (
        "s = a if b > 0 else skip\nreward = s if d else skip",
        "s = a if b > 0 else skip\nreward = skip if d else s",
    ),
    ("group_rank(a)", "a"),
    ("a * param(0.5) + b", "a * param(0.6) + b"),
    ("mean(xs)", "mean(ys)"),
    ("default(o, 0)", "o"),
    ("group_mean(a) * b", "b"),
    # float64 keeps too few digits of the one for both to be the same.
    ("(b + 10000000000000000) - 10000000000000000", "b"),
    ("c + 100000000000000000 * c + d - 100000000000000000 * c", "c + d"),
    ("(a + 100000000) * b - 100000000 * b", "a * b"),
    # Rounding decides which side of the jump a value lies on.
    ("1 if a + 0.1 + 0.2 > 0.3 else 0", "1 if a + 0.3 > 0.3 else 0"),
]


@pytest.mark.parametrize(("one", "two"), SAME)
def test_one_key(one: str, two: str) -> None:
    names = build_scope(columns=MIXED)
    first, second = graph_of([one], names), graph_of([two], names)
    assert key(first, first.outputs["0.reward"]) == key(second, second.outputs["0.reward"])
    assert alike(first, second, {})


@pytest.mark.parametrize(("one", "two"), DIFFERENT)
def test_two_keys(one: str, two: str) -> None:
    names = build_scope(columns=MIXED)
    first, second = graph_of([one], names), graph_of([two], names)
    assert key(first, first.outputs["0.reward"]) != key(second, second.outputs["0.reward"])


def test_a_name_of_two_suites_is_two_inputs() -> None:
    math, agent = (check_source(Source("g1"), build_scope(f"derl-{s}")) for s in ("math", "agent"))
    assert key_of(math) != key_of(agent)


def test_the_key_of_a_formula_is_quick() -> None:
    """Thrice the target of 300 microseconds, in processor time: other work does not count."""
    found = accepted(random_formulas(150, seed=6), build_scope("derl-math"))
    best = []
    for _ in range(3):
        start = time.process_time()
        for checked in found:
            key_of(checked)
        best.append((time.process_time() - start) / len(found))
    assert min(best) < 900e-6


def keyed(text: str) -> str:
    return key_of(check_source(Source(text), natural.scope()))


def test_natural_pairs_have_one_key() -> None:
    apart = [pair for pair in natural.EQUAL if keyed(pair[0]) != keyed(pair[1])]
    assert len(natural.EQUAL) >= 140
    assert apart == []


def test_near_misses_have_two() -> None:
    alike = [pair for pair in natural.DIFFERENT if keyed(pair[0]) == keyed(pair[1])]
    assert len(natural.DIFFERENT) >= 60
    assert alike == []


def close(count: int, seed: int) -> list[str]:
    draw, found = Close(seed), []
    for k in range(count):
        text = draw.number(1 + k % 3)
        checked = prove_source(Source(text), natural.scope())
        if checked.certificate is not None and checked.certificate.finite and varies(checked):
            found.append(text)
    return found


def varies(checked: Checked) -> bool:
    """Whether rollouts of one group can differ; what they share is only rounded apart."""
    assert checked.graph is not None
    return checked.reward not in shared_nodes(checked.graph, checked.reward)


def test_equal_keys_of_close_programs_give_equal_advantages() -> None:
    pairs, wrong = unlike(close(900, seed=31), natural.scope())
    assert wrong == []
    assert pairs > 100


@pytest.mark.slow
def test_equal_keys_of_many_close_programs_give_equal_advantages() -> None:
    pairs, wrong = unlike(close(20_000, seed=32), natural.scope())
    assert wrong == []
    assert pairs > 2_000
