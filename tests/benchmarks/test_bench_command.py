"""`derl-dsl bench`: its figures, its random rows, what it says about bad input."""

import json
import re

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

import derl_dsl
from derl_dsl.cli import bench
from derl_runtime.data import write_rows

ALL = {
    "a": "number[0, 1]",
    "b": "number{-1, 2}",
    "c": "bool",
    "d": "number",
    "o": "number[0, 3]?",
    "t": "text",
    "xs": "list[number[0, 1]]",
    "ys": "list[bool]",
}


@pytest.fixture(autouse=True)
def _short(monkeypatch):
    monkeypatch.setattr(bench, "_BUDGET_NS", 1_000_000)


def run(*args):
    app = typer.Typer()
    app.command()(bench.bench_command)
    return CliRunner().invoke(app, [str(a) for a in args])


def record(*args):
    result = run(*args, "--format", "json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_every_backend_is_timed_and_agrees():
    text = "clip((a - group_mean(a)) / (group_std(a) + 0.1), -2, 2) + mean(xs)"
    columns = [w for n in ("a", "xs") for w in ("--column", f"{n}:{ALL[n]}")]
    found = record("-e", text, *columns, "--rows", 50, "--group-size", 4)
    assert (found["rows"], found["group_size"], found["data"]) == (52, 4, None)
    names = [b["backend"] for b in found["backends"]]
    assert names == ["reference", "vm", "native", "numba", "torch"]
    for b in found["backends"]:
        if b["why"] is None:
            assert min(b["text_to_reward"], b["score"], b["kernel"]) > 0
            assert b["differs"] < 1e-9
            assert b["rows_per_second"] == pytest.approx(52 / b["kernel"])


def test_the_table_compares_with_the_reference():
    result = run("-e", "0.5 * a", "--column", "a:number[0,1]", "--backend", "vm")
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[0] == "1,024 random rows"
    assert lines[2].split()[:4] == ["backend", "text", "to", "reward"]
    assert [line.split()[0] for line in lines[3:5]] == ["reference", "vm"]
    assert lines[5] == ""
    reference, vm = (re.findall(r"([\d.]+) (µs|ms|s)\b", line) for line in lines[3:5])
    assert len(reference) == len(vm) == 3


def test_random_rows_keep_the_declared_types():
    text = "a + b + c + d + default(o, 0) + words(t) + sum(xs) + any(ys) + words(completion)"
    reward = derl_dsl.compile(f"guard({text}, 0)", suite="math", columns=ALL)
    rows = bench._random(reward.graph, 300, np.random.default_rng(1))
    assert set(rows) == {*ALL, "completion"}
    scores = reward.score(rows)
    assert scores.faults == []
    assert len(np.unique(scores.values)) > 250
    assert sum(v is None for v in rows["o"]) in range(10, 60)
    assert [len(v) for v in rows["xs"]] == [len(v) for v in rows["ys"]]
    assert {len(v) for v in rows["xs"]} == set(range(17))


def test_rows_of_a_file_are_repeated(tmp_path):
    path = tmp_path / "rows.jsonl"
    write_rows(path, {"n": [1.0, 2.0, 4.0], "unused": ["x", "y", "z"]})
    found = record("-e", "n - group_mean(n)", "--data", path, "--rows", 8, "--group-size", 2,
                   "--backend", "reference")  # fmt: skip
    assert (found["rows"], found["group_size"]) == (8, 2)
    assert found["data"] == str(path)
    assert len(found["backends"]) == 1


def test_a_backend_that_is_not_installed_says_so(monkeypatch):
    def absent():
        raise ModuleNotFoundError("No module named 'torch'", name="torch")

    monkeypatch.setitem(derl_dsl.backends.BACKENDS, "torch", absent)
    result = run("-e", "0.5 * a", "--column", "a:number[0,1]", "--backend", "torch")
    assert result.exit_code == 0, result.output
    assert "torch: torch is not installed" in result.stdout


BAD = [
    ((), 2, "give the reward either as a file or with -e TEXT"),
    (("-e", "a", "--data", "none.jsonl"), 2, "none.jsonl: no such file"),
    (("-e", "a", "--backend", "fast"), 2, "unknown backend 'fast'; one of reference"),
    (("-e", "b", "--data", "rows.jsonl"), 1, "unknown name 'b'"),
    (("-e", "exact(completion, answer)", "-s", "math", "--data", "rows.jsonl"), 2,
     "rows.jsonl: the column 'completion' (text) is missing"),
    (("-e", "a / (1 + group_mean(a))", "--data", "rows.jsonl"), 2,
     "3 rows are no whole number of groups of 8; set --rows or --group-size"),
    (("nowhere.derl",), 2, "cannot read nowhere.derl"),
]  # fmt: skip


@pytest.mark.parametrize(("args", "code", "message"), BAD)
def test_bad_input_is_one_clear_message(tmp_path, monkeypatch, args, code, message):
    monkeypatch.chdir(tmp_path)
    write_rows("rows.jsonl", {"a": [0.0, 0.5, 1.0]})
    if args and args[-1] == "fast":
        args = (*args, "--column", "a:number[0,1]")
    result = run(*args)
    assert result.exit_code == code, result.output
    assert message in result.stderr
    assert "Traceback" not in result.output
    assert result.stdout == ""


@pytest.mark.parametrize(
    ("rate", "shown"), [(950.4, "950"), (123_456.0, "0.123M"), (5e7, "50M"), (1.234e9, "1,234M")]
)
def test_rates_are_readable(rate, shown):
    assert bench._rate(rate) == shown


def test_of_a_large_file_the_first_rows_are_the_batch(tmp_path, monkeypatch):
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(f'{{"a": {k % 2}}}\n' for k in range(40)))
    monkeypatch.setattr(bench, "_MOST", 16)
    result = run("-e", "a", "--data", path, "--format", "json")
    assert json.loads(result.stdout)["rows"] == 16
    assert "the first 16 of 40 rows are the batch (--rows)" in result.stderr
    assert record("-e", "a", "--data", path, "--rows", 80)["rows"] == 80
