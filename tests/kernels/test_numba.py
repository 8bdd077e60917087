"""The numba backend: its source as Python on many programs, compiled on some, and as printed."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import derl_dsl
from derl_dsl.backends import auto, reference, threads
from derl_dsl.backends.kernel import Bound, Ragged
from derl_dsl.backends.loops import loops
from derl_dsl.backends.numba import helpers, source
from derl_dsl.backends.vm import kernel_of
from derl_dsl.cli import app as cli
from derl_dsl.graph import scalars
from derl_dsl.graph.ir import Graph
from derl_dsl.graph.ops import GROUP, REDUCTIONS, SCALARS
from derl_dsl.passes import lower
from tests.differential.programs import bound, graph_of, scope, texts
from tests.differential.test_backends import bits
from tests.kernels.test_direct import TYPES, batch, same

AS_PYTHON = "njit = lambda **_: lambda function: function"


def interpreted(text: str) -> Any:
    """The function of a source, run by Python as it stands."""
    made: dict[str, Any] = {}
    exec(text.replace("from numba import njit", AS_PYTHON), made)
    return made["rewards"]


def by_source(graph: Graph, data: Bound, dtype: str) -> dict[str, Any]:
    names = {**graph.outputs, **{f"?{name}": i for name, i in graph.valids.items()}}
    written = source.Source(graph, list(names.values()), dtype)
    function = interpreted(written.text())
    out = np.empty((len(names), data.rows), dtype)
    given: list[Any] = []
    for i in written.plan.inputs:
        value = data.inputs[i]
        if isinstance(value, Ragged):
            given += [value.values.astype(dtype), value.offsets]
        else:
            given.append(np.asarray(value, dtype))
    stop = len(data.groups) - 1 if written.plan.grouped else data.rows
    with np.errstate(all="ignore"):
        function(0, stop, data.groups, data.live, *given, out)
    return dict(zip(names, out.astype(np.float64), strict=True))


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_the_source_computes_what_the_reference_does(dtype: str) -> None:
    names, rng = scope(), np.random.default_rng(5)
    for start in range(0, 150, 25):
        graph = graph_of(texts(25, 5_000_000 + start, names), names)
        with np.errstate(over="ignore"):
            data = bound(graph, 24, rng, in_range=False, group=8)
            if start % 50:
                data = replace(data, live=np.ones(24, dtype=bool))
            expected, found = reference.emit(graph, dtype)(data), by_source(graph, data, dtype)
        assert {n for n, v in expected.items() if bits(v) != bits(found[n])} == set()


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_compiled_it_computes_what_the_reference_does(dtype: str) -> None:
    agrees(2, 1, dtype)


# Each operation, on a number, on a condition, and in lists.
EVERY = [
    "abs(a) + sign(a) + floor(4 * a) + round(3 * a) - -a",
    "sign(d) + abs(d) + exp(d) + sqrt(d) + floor(d) + round(d) - d",
    "exp(-a) + log(1 + a) + sqrt(a) + tanh(b) + sigmoid(b) + cos(b)",
    "a + (a if d and not f or a != b else b) + (1 if a < b else 0) + (a <= b) + (a == b)",
    "b % 0.3 + d % 2 + b ** 2 + b ** 3 + (1 + a) ** b + b / (1 + a) + a * b",
    "min(a, b) + max(d, b)",
    "sum(xs) + mean(xs) + min(xs) + max(xs) + first(xs) + last(xs) + count(xs) + any(cs) + all(cs)",
    "mean(sign(xs)) + mean(abs(xs - 0.5)) + sum(floor(3 * xs)) + mean(third(xs, 2))",
    "g = group_mean(a) + group_std(a) + group_min(a) + group_max(a) + group_size()\n"
    "reward = g + group_rank(b) + group_quantile(b, 0.3, where=d) + group_mean(b, where=d)",
]


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_compiled_every_operation_computes_what_the_reference_does(dtype: str) -> None:
    names, rng = scope(), np.random.default_rng(3)
    graph = graph_of(EVERY, names)
    used = {node.op for node in graph.nodes}
    assert (SCALARS | REDUCTIONS | GROUP) - used == {"guard"}  # made by a pass
    data = bound(graph, 64, rng, in_range=True, group=8)
    expected, found = reference.emit(graph, dtype)(data), loops().emit(graph, dtype)(data)
    assert {n for n, v in expected.items() if bits(v) != bits(found[n])} == set()


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2, 12))
def test_compiled_it_agrees_on_a_hundred_programs(seed: int) -> None:
    agrees(10, seed, "float64" if seed % 2 else "float32")


def agrees(count: int, seed: int, dtype: str) -> None:
    names, rng = scope(), np.random.default_rng(seed)
    graph = graph_of(texts(count, seed * 1_000_003, names), names)
    data = bound(graph, 64, rng, in_range=False, group=8)
    expected, found = reference.emit(graph, dtype)(data), loops().emit(graph, dtype)(data)
    assert {n for n, v in expected.items() if bits(v) != bits(found[n])} == set()


def test_its_tables_know_all_operations() -> None:
    # What has no form of its own is a function in Python that numba can be given.
    assert source.OPS.keys() <= SCALARS
    assert all(hasattr(scalars, scalars.OPS[name].__name__) for name in SCALARS - source.OPS.keys())
    assert set(source.REDUCTIONS) == REDUCTIONS
    assert all(callable(getattr(helpers, name)) for name in GROUP)


REWARD = "m = mean(xs)\ng = group_mean(a)\nreward = (a - g) * exp(-abs(b)) + 0.2 * m * ok + b ** 2"


def test_score_bind_and_shares_of_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    columns = batch(4096)
    expected = derl_dsl.compile(REWARD, columns=TYPES, backend="reference").score(columns, 4)
    reward = derl_dsl.compile(REWARD, columns=TYPES, backend="numba")
    monkeypatch.setattr(threads, "cores", lambda: 1)
    same(reward.score(columns, group_size=4), expected)
    monkeypatch.setattr(threads, "cores", lambda: 3)
    monkeypatch.setattr(threads, "_ROWS_OF_LISTS", 64)
    same(reward.score(columns, group_size=4), expected)
    assert reward.bind(columns, group_size=4)().tobytes() == expected.values.tobytes()
    bad = {**columns, "a": np.where(np.arange(4096) == 5, np.nan, columns["a"])}
    broken = reward.score(bad, group_size=4)
    same(broken, derl_dsl.compile(REWARD, columns=TYPES, backend="reference").score(bad, 4))
    assert math.isnan(broken.values[5])


def test_the_printed_source_stands_for_itself(tmp_path: Path) -> None:
    file = tmp_path / "r.derl"
    file.write_text("# column: a: number[0, 1]\nhalf = 0.5 * a\nreward = half + sigmoid(a)\n")
    cli.register(cli.app, cli.COMMANDS)
    printed = CliRunner().invoke(cli.app, ["explain", "--numba", str(file)])
    assert printed.exit_code == 0
    assert "from numba import njit" in printed.stdout
    assert "# The rows of out: half, reward" in printed.stdout
    a, out = np.array([0.0, 0.25, 1.0]), np.empty((2, 3))
    interpreted(printed.stdout)(0, 3, np.arange(4), np.ones(3, dtype=bool), a, out)
    scores = derl_dsl.load(file).score({"a": a})
    assert out.tolist() == [scores.parts["half"].tolist(), scores.values.tolist()]


@pytest.mark.parametrize("faster", ["native", "numba"])
def test_auto_takes_the_faster_of_the_two(faster: str, monkeypatch: pytest.MonkeyPatch) -> None:
    graph = derl_dsl.compile("0.5 * a", columns=TYPES).graph
    tiers = auto.Tiers(graph, "float64", hot=10, measured=20)
    turns = iter(range(100))
    slow = 0 if faster == "numba" else 1
    monkeypatch.setattr(auto, "seconds", lambda run: 2.0 if next(turns) % 2 == slow else 1.0)
    tiers.code(10)
    assert tiers._building is not None
    native_code = tiers._building.result()
    tiers.code(10)
    chosen = tiers._building.result()
    assert (chosen is native_code) == (faster == "native")
    data = Bound({graph.inputs(graph.roots())[0]: np.array([0.5, 1.0])}, 2, np.arange(3),
                 np.ones(2, dtype=bool))  # fmt: skip
    assert kernel_of(graph, "float64", lambda rows: chosen)(data)["reward"].tolist() == [0.25, 0.5]
    assert lower(graph).outputs.keys() == graph.outputs.keys()
