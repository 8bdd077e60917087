"""The benchmarks' harness: what it measures, compares and reports; and the kernels, once each."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from benchmarks import plots, report, targets
from benchmarks.kernels import peers
from benchmarks.kernels.latency import formulas
from benchmarks.kernels.programs import SHAPES
from benchmarks.run import Benchmark, Contender, find, measure

ROOT = Path(__file__).parents[2]


def sleeper(seconds):
    return Contender(f"{seconds}", lambda: time.sleep(seconds), "sleeps")


def test_medians_are_of_one_call():
    record = measure(Benchmark("b", "B", (sleeper(0.002),), rounds=5, calls=2))
    (row,) = record["contenders"]
    assert row["runs"] == 5
    assert 0.001 <= row["low"] <= row["median"] <= row["high"] < 0.02


def test_a_sample_lasts_as_long_as_it_should():
    calls = []
    contender = Contender("c", lambda: calls.append(1), "counts")
    measure(Benchmark("b", "B", (contender,), rounds=4, sample=1e-3))
    assert len(calls) > 4 * 500


def test_contenders_take_turns_until_their_budget_is_used():
    order = []
    slow = Contender("slow", lambda: (order.append("slow"), time.sleep(0.005)), "")
    fast = Contender("fast", lambda: order.append("fast"), "")
    record = measure(Benchmark("b", "B", lambda: (slow, fast), rounds=8, budget=0.001))
    rounds = [tuple(order[k : k + 2]) for k in range(2, 8, 2)]
    assert set(rounds) == {("slow", "fast"), ("fast", "slow")}, "each once a round, in any order"
    assert [row["runs"] for row in record["contenders"]] == [3, 8]


def test_unequal_results_are_refused():
    one = Contender("one", lambda: np.array([1.0, np.nan]), "")
    off = Contender("off", lambda: np.array([1.0 + 1e-6, np.nan]), "")
    with pytest.raises(SystemExit, match="off is not equal to one: off by 1e-06"):
        measure(Benchmark("b", "B", (one, off), rounds=1, same=True))
    near = Contender("near", off.run, "", tolerance=1e-5)
    other = Contender("other", lambda: np.zeros(3), "", compared=False)
    measure(Benchmark("b", "B", (one, near, other), rounds=1, same=True))


def test_who_cannot_do_it_is_listed_with_the_reason():
    cannot = Contender("cannot", None, "has no lists")
    record = measure(Benchmark("b", "A title", (sleeper(0), cannot), rounds=1))
    record["machine"] = {**record["machine"], "cpu": "Some CPU"}
    assert "| cannot | – | – | has no lists |" in report.tables([record])


def test_a_table_names_the_machine_and_the_target():
    record = measure(Benchmark("b", "Sleep", (sleeper(0),), rounds=1, unit="naps/s", amount=1.0,
                               target=5.0))  # fmt: skip
    shown = report.tables([record])
    assert "### Sleep" in shown
    assert "naps/s" in shown
    assert "Target: 5 naps/s." in shown
    assert record["machine"]["cpu"] in shown


def test_the_page_is_made_from_the_results(tmp_path):
    page = tmp_path / "README.md"
    page.write_text("before\n<!-- results -->\nstale\n<!-- end of results -->\nafter\n")
    results = tmp_path / "results"
    results.mkdir()
    for case, seconds in (("B = 1,024", 2e-3), ("B = 64", 1.5e-6)):
        contenders = (Contender("one", None, "cannot"), sleeper(0))
        made = measure(Benchmark(case, case, contenders, rounds=1, table="Shape", case=case))
        made["contenders"][1]["median"] = seconds
        (results / f"{case}.json").write_text(json.dumps(made))
    report.write_page(results, tmp_path)
    text = page.read_text()
    assert "stale" not in text
    assert text.startswith("before\n<!-- results -->")
    assert text.endswith("<!-- end of results -->\nafter\n")
    assert "|  | B = 64 | B = 1,024 | what it does |" in text
    assert "| 0 | 1.5 µs | 2 ms | sleeps |" in text
    assert "| one | – | – | cannot |" in text
    judged = json.loads((tmp_path / "targets.json").read_text())
    assert {row["holds"] for row in judged} == {None}


def test_an_unknown_name_lists_what_there_is():
    with pytest.raises(SystemExit, match=r"unknown benchmark 'nope'; one of .*check, .*kernels"):
        find(["nope"])
    assert {b.name for b in find(["check"])} >= {"check-throughput", "check-start-up"}
    assert [b.name for b in find(["kernels-linear-64"])] == ["kernels-linear-64"]


def record(name, **medians):
    rows = [{"name": k.replace("_", " "), "median": v, "does": ""} for k, v in medians.items()]
    return {"name": name, "contenders": rows}


def lines(records):
    return {row["line"]: row for row in targets.judge(records)}


def test_targets_take_the_worst_shape_and_miss_what_is_not_there():
    native, vm = "derl-dsl native", "derl-dsl vm"
    fast = {"name": "kernels-linear-64", "contenders": [
        {"name": native, "median": 1e-6}, {"name": vm, "median": 3e-6}]}  # fmt: skip
    slow = {**fast, "name": "kernels-conditional-64"}
    slow["contenders"] = [{"name": native, "median": 1.5e-6}, {"name": vm, "median": 1e-6}]
    one = "B = 64, elementwise: one call"
    assert lines([fast])[one]["holds"] is None
    row = lines([fast, slow])[one]
    assert (row["figure"], row["vm"], row["holds"]) == (pytest.approx(1.5), pytest.approx(3), True)
    slow["contenders"][0] = {"name": native, "median": 2.1e-6}
    assert lines([fast, slow])[one]["holds"] is False
    assert f"| {one} | ≤ 2 µs | 2.1 µs | **no** | 3 µs |" in targets.table(
        targets.judge([fast, slow])
    )


@pytest.mark.parametrize("shape", SHAPES, ids=lambda s: s.name)
def test_peers_give_the_numbers_of_the_reference(shape):
    import derl_dsl

    data = shape.draw(64, np.random.default_rng(3))
    reward = derl_dsl.compile(shape.text, columns=shape.types, backend="reference")
    columns = data.given if data.values is None else {"xs": data.lists}
    expected = reward.score(columns, group_size=8 if shape.grouped else None).values
    makers = [peers.numpy_, peers.python_text, peers.python_code]
    for make in makers:
        assert np.allclose(make(shape, data)(), expected, rtol=1e-12, atol=1e-12)


def test_formulas_differ_and_check():
    import derl_dsl

    found = [text for text, _ in zip(formulas(), range(50), strict=False)]
    assert len(set(found)) == 50
    for text, _ in found:
        assert (
            derl_dsl.check(text, columns=dict.fromkeys(("g1", "g2", "g3", "g4"), "number[0,1]"))
            == []
        )


def test_plots_are_the_same_for_the_same_results(tmp_path):
    rows = record("kernels-new-formula", derl_dsl=1e-3, numba_njit=0.1)
    shown = plots.draw([rows], tmp_path)
    assert shown == ["![From the text of a new formula to 1,024 rewards](plots/new-formula.svg)"]
    first = (tmp_path / "new-formula.svg").read_bytes()
    plots.draw([rows], tmp_path)
    assert (tmp_path / "new-formula.svg").read_bytes() == first
    assert b"numba njit" in first
    assert len(first) < 40_000


def test_the_kernels_run_in_quick_mode(tmp_path):
    command = [sys.executable, "-m", "benchmarks.run", "--quick", "--results", str(tmp_path)]
    names = ["kernels-linear-64", "kernels-ragged-64", "kernels-group-64", "kernels-new-formula"]
    done = subprocess.run(
        [*command, *names], cwd=ROOT, capture_output=True, text=True, env=os.environ, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "### What must be reached" in done.stdout
    assert "| derl-dsl native |" in done.stdout
    found = {p.stem: json.loads(p.read_text()) for p in tmp_path.glob("*.json")}
    assert set(found) == set(names)
    assert not (ROOT / "benchmarks" / "results" / "kernels-quick.json").exists()


def test_one_interrupted_call_does_not_shorten_a_sample():
    calls = []

    def hiccup():
        calls.append(1)
        if len(calls) == 2:
            time.sleep(0.02)

    measure(Benchmark("b", "B", (Contender("c", hiccup, ""),), rounds=4, sample=1e-3))
    assert len(calls) > 4 * 500
