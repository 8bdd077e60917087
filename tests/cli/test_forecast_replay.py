"""`derl-dsl forecast` and `replay`: against counting by hand, and what cannot be known is said."""

from __future__ import annotations

import doctest
import itertools
import json

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from derl_dsl.cli.forecast import forecast_command
from derl_dsl.cli.replay import replay_command
from derl_dsl.tools import forecast as module
from derl_dsl.tools.forecast import flat, forecast, smallest
from derl_dsl.tools.replay import replay

FORECAST, REPLAY = typer.Typer(), typer.Typer()
FORECAST.command()(forecast_command)
REPLAY.command()(replay_command)


def run(app, *args):
    return CliRunner().invoke(app, [str(a) for a in args], env={"COLUMNS": "100"})


def lines(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.mark.parametrize("values", [[1, 1, 0, 0, 0], [2, 2, 2], [1, 2, 3, 4], [1, 1, 1, 0]])
@pytest.mark.parametrize("size", [2, 3])
def test_dead_groups_are_counted_as_by_hand(values, size):
    drawn = list(itertools.combinations(values, size))
    assert flat(values, size) == pytest.approx(np.mean([len(set(d)) == 1 for d in drawn]))


def test_dead_groups_by_sampling():
    rng = np.random.default_rng(0)
    values = rng.choice([0.0, 1.0, 2.0], 30, p=[0.7, 0.2, 0.1])
    trials = [len(set(rng.choice(values, 4, replace=False))) == 1 for _ in range(20_000)]
    found = forecast(values, np.zeros(30, dtype=int), {}, {}, None, (4,), 4)
    assert found.dead[0].share == pytest.approx(np.mean(trials), abs=0.015)
    assert found.dead[0].exact
    assert smallest(found.dead, 1.0) == 4
    assert smallest(found.dead, 0.0) is None


def test_what_carries_the_gradient_and_what_cancels():
    rng = np.random.default_rng(1)
    groups = np.repeat(np.arange(50), 8)
    ok = rng.integers(0, 2, 400).astype(float)
    short = -0.9 * ok + 0.01 * rng.random(400)
    found = forecast(ok + short, groups, {"ok": ok, "short": short}, {"n": ok}, ok, (8,), 8)
    shares = {c.term: c for c in found.carried}
    assert sum(c.share for c in found.carried) == pytest.approx(1)
    assert shares["short"].against == "ok"
    assert found.drift[0].low > 0
    assert all(0 <= share <= 1 for _, share in found.later)


def test_a_small_term_is_all_there_is_where_nobody_is_right():
    """TRL divides by each group's deviation: half of the groups have no right answer."""
    groups = np.repeat(np.arange(20), 8)
    ok = np.where(groups < 10, np.arange(160) % 2, 0).astype(float)
    small = np.where(groups < 10, 0, 0.01 * (np.arange(160) % 4 == 0))
    found = forecast(ok + small, groups, {"ok": ok, "small": small}, {}, ok, (8,), 8)
    assert {c.term: round(c.share, 6) for c in found.carried} == {"ok": 0.5, "small": 0.5}


ROWS = [
    {"prompt": p, "answer": "4", "completion": f"#### {c}"}
    for p in ("a", "b") for c in ("4", "5", "4", "6")
]  # fmt: skip


def test_the_command(tmp_path):
    data = lines(tmp_path / "rows.jsonl", ROWS)
    told = ("-e", "exact(completion, answer)", "-s", "math", "--data", data, "--group", "prompt")
    result = run(FORECAST, *told)
    assert result.exit_code == 0, result.output
    assert "8 rollouts of 2 prompts" in result.stdout
    record = json.loads(run(FORECAST, *told, "--format", "json", "--group-size", "2").stdout)
    assert record["dead"][0]["share"] == pytest.approx(1 / 3)
    assert run(FORECAST, *told, "--most-dead", "0.0001", "--group-size", "2").exit_code == 1
    assert run(FORECAST, *told[:-1], "nobody").exit_code == 2
    alone = lines(tmp_path / "one.jsonl", [{**r, "prompt": str(k)} for k, r in enumerate(ROWS)])
    result = run(FORECAST, *told[:5], alone, "--group", "prompt")
    assert "cannot be known" in result.stdout
    assert run(FORECAST, "-e", "exakt(completion)", *told[2:]).exit_code == 1


def test_groups_of_other_sizes_are_not_known_with_group_functions(tmp_path):
    data = lines(tmp_path / "rows.jsonl", ROWS)
    text = "ok = exact(completion, answer)\nreward = ok - 0.5 * group_mean(ok)"
    told = ("-e", text, "-s", "math", "--data", data, "--group", "prompt", "--format", "json")
    assert [d["size"] for d in json.loads(run(FORECAST, *told).stdout)["dead"]] == [4]


def test_replay_finds_where_a_reward_rises_alone():
    steps = np.repeat(np.arange(20), 4)
    outcome = (np.tile([1.0, 0, 1, 0], 20)) * (steps < 10)
    hacked = outcome + 0.05 * steps * np.tile([1, 0.5, 1, 0.5], 20)
    honest = outcome
    found = replay({"honest": honest, "hacked": hacked}, steps.tolist(), steps, outcome)
    assert found.onset["honest"] is None
    assert found.onset["hacked"] is not None
    assert len(found.curves[0].means) == 20
    assert found.apart["hacked"] is None  # it pays more, and ranks alike where the outcome speaks
    turned = replay({"a": outcome, "b": -outcome}, steps.tolist(), steps, outcome)
    assert turned.apart["b"] == 0


def test_replay_of_a_folder_of_verl(tmp_path):
    for step in (1, 2, 10):
        lines(tmp_path / f"{step}.jsonl", [
            {"input": "2+2", "output": f"#### {c}" + " word" * step * 20, "gts": "4",
             "score": 1.0, "step": step} for c in ("4", "5")
        ])  # fmt: skip
    long = "exact(completion, answer) + 0.01 * min(words(completion), 200)"
    result = run(REPLAY, "--run", tmp_path, "-e", "exact(completion, answer)", "-e", long,
                 "-s", "math")  # fmt: skip
    assert result.exit_code == 0, result.output
    assert "6 rollouts of 3 steps" in result.stdout
    assert "would have trained another way" in result.stdout
    result = run(REPLAY, "--run", lines(tmp_path / "x.jsonl", ROWS), "-e", "1 * boxed(completion)",
                 "-s", "math")  # fmt: skip
    assert (result.exit_code, "no column says the step" in result.stderr) == (2, True)


def test_examples():
    assert doctest.testmod(module).failed == 0
