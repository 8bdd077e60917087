"""`derl-dsl diff`: same by proof, different by a group that shows it, else undecided."""

from __future__ import annotations

import doctest
import json
import random

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

import derl_dsl
from derl_dsl.cli.diff import diff_command
from derl_dsl.tools import diff as module
from derl_dsl.tools.diff import diff

APP = typer.Typer()
APP.command()(diff_command)
COLUMNS = {
    "ok": "bool", "box": "bool", "a": "number[0, 1]", "n": "number[0, 100000]",
    "xs": "list[number[0, 1]]", "o": "number[0, 1]?",
    "fl": "list[bool]",
}  # fmt: skip


def make(text):
    return derl_dsl.compile(text, columns=COLUMNS)


def run(*args):
    return CliRunner().invoke(APP, [str(a) for a in args], env={"COLUMNS": "80"})


PAIRS = [
    ("ok", "3 * ok + 1", "same"),
    ("ok + 0.1 * box", "ok + 0.2 * box", "same order"),
    ("ok + 0.1 * box", "ok - 0.1 * box", "different"),
    ("ok + 0.6 * box", "0.6 * ok + box", "different"),
    # Where nobody is right the small term is all there is to rank by.
    ("1e12 * ok + box", "1e12 * ok", "different"),
    ("ok + 1e-13 * box", "ok", "different"),
    (
        "0.1 * ok + 0.2 * box",
        "0.3 * (ok and box) + 0.1 * ok * (1 - box) + 0.2 * box * (1 - ok)",
        "same",
    ),
    ("0.1 * ok + 0.2 * box", "0.1 * ok + 0.3 * box - 0.05 * box", "same order"),
    ("ok - 0.1 * ramp(n, 100, 200)", "ok - 0.1 * ramp(n, 100, 210)", "different"),
    ("1 if n > 700 else 0", "1 if n >= 700 else 0", "different"),
    ("ok + a", "ok + 2 * a * a", "different"),
    ("ok + a", "ok + a * a", "undecided"),
    ("mean(xs)", "max(xs)", "different"),
    ("ok + 0.1 * mean(xs)", "ok", "different"),
    ("sum(fl)", "any(fl)", "different"),
    ("ok + any(fl)", "ok - any(fl)", "different"),
    ("group_rank(n)", "n", "undecided"),
    ("a - group_mean(a)", "a", "same"),
    ("default(o, 0)", "default(o, 1)", "different"),
    ("o", "default(o, 0)", "different"),
]


@pytest.mark.parametrize(("a", "b", "verdict"), PAIRS)
def test_verdicts(a, b, verdict):
    found = diff(make(a), make(b))
    assert found.verdict == verdict
    if found.group is not None:
        assert module._out_of_order(np.array(found.group.a), np.array(found.group.b)) is not None
        assert len(found.group.rollouts) in (2, 3)


def test_a_counterexample_is_one_when_scored_again():
    a, b = make("ok - 0.001 * min(n, 500)"), make("ok - 0.003 * min(n, 500)")
    group = diff(a, b).group
    columns = {name: [row[name] for row in group.rollouts] for name in group.rollouts[0]}
    again = [r.score(columns, group_size=len(group.rollouts)).values for r in (a, b)]
    assert again[0].tolist() == list(group.a)
    assert again[1].tolist() == list(group.b)


def test_lists_read_step_by_step_keep_one_length_in_a_counterexample():
    columns = dict.fromkeys(("p", "q", "r"), "list[number[0, 100]]") | {"ok": "bool"}
    a, b = (
        derl_dsl.compile(f"mean((0.9 ** p + 0.9 ** q) / 2 * {base} ** r) + ok", columns=columns)
        for base in (0.9, 0.99)
    )
    for seed in range(8):
        found = diff(a, b, seed)
        assert found.verdict == "different"
        for row in found.group.rollouts:
            assert len(row["p"]) == len(row["q"]) == len(row["r"])


def test_no_wrong_same_on_random_programs():
    """What is called the same ranks alike in a hundred thousand random groups."""
    rng = random.Random(0)
    terms = ["ok", "box", "a", "ramp(n, 10, 1000)", "max(a, 0.5)", "ok * a", "min(n, 500) / 500"]

    def program():
        return " + ".join(f"{rng.choice([1, 2, 0.5, -1])} * {t}" for t in rng.sample(terms, 2))

    decided = 0
    for _ in range(60):
        a, b = make(program()), make(program())
        found = diff(a, b)
        decided += found.verdict != "undecided"
        if found.verdict in ("same", "same order"):
            drawn = np.random.default_rng(1)
            columns = {
                "ok": drawn.integers(0, 2, 100_000), "box": drawn.integers(0, 2, 100_000),
                "a": drawn.random(100_000), "n": drawn.integers(0, 2000, 100_000),
            }  # fmt: skip
            used = [{k: v for k, v in columns.items() if k in r.text} for r in (a, b)]
            x, y = (r.score(u or columns).values for r, u in zip((a, b), used, strict=True))
            pairs = slice(0, None, 2), slice(1, None, 2)
            signs = [np.sign(np.round(v[pairs[0]] - v[pairs[1]], 9)) for v in (x, y)]
            assert np.array_equal(*signs), (a.text, b.text)
    assert decided >= 54


def test_groups_of_one_rollout_are_said_to_tell_nothing(tmp_path):
    data = tmp_path / "rows.jsonl"
    data.write_text("".join(f'{{"prompt": "p{k}", "ok": {k % 2}}}\n' for k in range(4)))
    result = run(
        "-e", "ok", "-e", "-ok", "-c", "ok:number[0,1]", "--data", data, "--group", "prompt"
    )
    assert "4 groups hold one rollout: there nothing is ranked" in result.stdout


def test_a_counterexample_has_numbers_no_larger_than_it_needs():
    columns = {"box": "bool", "n": "number[0, 1000000000]"}
    a, b = (
        derl_dsl.compile(f"box + {t}", columns=columns)
        for t in ("0.1 * min(n / 100, 1)", "0.0001 * n")
    )
    assert max(row["n"] for row in diff(a, b).group.rollouts) <= 100_000


def test_on_logged_groups(tmp_path):
    rows = [
        {"prompt": p, "ok": ok, "n": n}
        for p, ok, n in [("p", 1, 10), ("p", 0, 20), ("p", 0, 5), ("q", 1, 9), ("q", 1, 400)]
    ]
    data = tmp_path / "rows.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    columns = ("-c", "ok:number[0,1]", "-c", "n:number[0,1000]")
    told = (
        "-e",
        "part = 0.001 * n\nreward = ok - part",
        "-e",
        "part = 0.01 * n\nreward = ok + part",
    )
    result = run(*told, *columns, "--data", data, "--group", "prompt")
    assert result.exit_code == 1
    assert "2 of 2 groups ranked differently" in result.stdout
    assert "part differs in 100% of the rows" in result.stdout
    result = run(*told, *columns, "--data", data, "--group", "prompt", "--format", "json")
    record = json.loads(result.stdout)
    assert (record["verdict"], record["data"]["reordered"]) == ("different", 2)


def test_the_command(tmp_path):
    a, b = tmp_path / "a.derl", tmp_path / "b.derl"
    a.write_text("# suite: math\nreward = exact(completion, answer)\n")
    b.write_text("# suite: math\nreward = 2 * exact(completion, answer)\n")
    same = run(a, b)
    assert (same.exit_code, "same: equal up to a*R + b" in same.stdout) == (0, True)
    b.write_text("# suite: math\nreward = 0 - exact(completion, answer)\n")
    result = run(a, b)
    assert result.exit_code == 1
    assert "exact(completion, answer)" in result.stdout
    assert run(a).exit_code == 2
    assert run(a, tmp_path / "none.derl").exit_code == 2
    b.write_text("# suite: math\nreward = exakt(completion, answer)\n")
    assert run(a, b).exit_code == 1


def test_examples():
    assert doctest.testmod(module).failed == 0
