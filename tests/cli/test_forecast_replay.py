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
from derl_dsl.tools.replay import replay, told

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


@pytest.mark.parametrize(("count", "high"), [(1, 0.5), (10, 0.1), (40, 0.02), (400, 0.001)])
def test_what_few_prompts_show_is_not_taken_for_all_prompts(count, high):
    """No dead group among n: at most about three in n, and of one prompt nothing is known."""
    groups = np.repeat(np.arange(count), 8)
    values = np.tile(np.arange(8.0), count)
    found = forecast(values, groups, {}, {"n": values}, None, (8,), 8)
    assert found.dead[0].share == found.dead[0].low == 0
    assert high < found.dead[0].high < 12 * high
    assert (found.drift[0].low > 0) == (count > 1)


def test_no_rate_is_told_that_needs_prompts_of_which_no_right_rollout_is_logged():
    groups = np.repeat(np.arange(10), 4)
    ok = np.where(groups < 7, np.arange(40) % 2, 0).astype(float)
    later = dict(forecast(ok, groups, {}, {}, ok, (4,), 4).later)
    assert later[0.5] <= 1
    assert [later[rate] for rate in (0.75, 0.9, 0.97)] == [None] * 3


def test_terms_cancel_where_they_move_against_each_other_and_not_by_chance():
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(30), 8)
    large = rng.random(240)
    small = 0.01 * rng.random(240) - 0.003 * large  # hardly moves with it, and little is taken back
    taken = {c.term: c.against for c in forecast(
        large + small, groups, {"large": large, "small": small}, {}, None, (8,), 8
    ).carried}  # fmt: skip
    assert taken == {"large": None, "small": None}


def test_the_outcome_is_known_where_the_reward_does_not_ask_for_it(tmp_path):
    rows = [
        {**r, "is_right": k % 2, "completion": "so " * k + r["completion"]}
        for k, r in enumerate(ROWS)
    ]
    data = lines(tmp_path / "rows.jsonl", rows)
    told = ("-e", "words(completion) / 100", "-s", "math", "--data", data, "--group", "prompt")
    assert "once 75% of the answers are right: at most" in run(FORECAST, *told).stdout
    for outcome in ("is_right", "exact(completion, answer)"):
        assert "once 75%" in run(FORECAST, *told, "--outcome", outcome).stdout
    blind = lines(
        tmp_path / "blind.jsonl", [{k: r[k] for k in ("prompt", "completion")} for r in rows]
    )
    result = run(FORECAST, *told[:5], blind, "--group", "prompt")
    assert (result.exit_code, "no outcome is known" in result.stdout) == (0, True)
    result = run(FORECAST, *told, "--outcome", "nobody")
    assert (result.exit_code, "the outcome 'nobody' cannot be used" in result.stderr) == (2, True)


def test_rows_without_a_reward_are_counted_and_the_smallest_size_is_that_asked_for(tmp_path):
    rows = [
        {**r, "completion": None if k in (1, 6) else "so " * k + r["completion"]}
        for k, r in enumerate(ROWS)
    ]
    told = ("-e", "exact(completion, answer)", "-s", "math", "--group", "prompt", "--data")
    result = run(FORECAST, *told, lines(tmp_path / "rows.jsonl", rows), "--most-dead", "0.1")
    assert "6 rollouts of 2 prompts; 2 others have no reward" in result.stdout
    assert "length of the completion" in result.stdout
    assert "smallest size with at most 10% of the groups dead: 8" in result.stdout
    none = lines(tmp_path / "none.jsonl", [{**r, "completion": None} for r in ROWS])
    assert "no rollout has a reward" in run(FORECAST, *told, none).stdout


def test_groups_of_other_sizes_are_not_known_with_group_functions(tmp_path):
    data = lines(tmp_path / "rows.jsonl", ROWS)
    text = "ok = exact(completion, answer)\nreward = ok - 0.5 * group_mean(ok)"
    told = ("-e", text, "-s", "math", "--data", data, "--group", "prompt", "--format", "json")
    assert [d["size"] for d in json.loads(run(FORECAST, *told).stdout)["dead"]] == [4]


def test_replay_finds_where_a_reward_rises_alone():
    steps = np.repeat(np.arange(40), 4)
    outcome = np.tile([1.0, 0, 1, 0], 40) * (steps < 25)
    honest, hacked = outcome, outcome + 0.2 * np.maximum(0, steps - 20) * np.tile([1, 0.5], 80)
    found = replay({"honest": honest, "hacked": hacked}, steps.tolist(), steps, outcome)
    assert found.onset["honest"] is None
    assert abs(found.onset["hacked"] - 21) <= 4
    assert len(found.curves[0].means) == 40
    assert found.apart["hacked"] is None  # it pays more, and ranks alike where the outcome speaks
    turned = replay({"a": outcome, "b": -outcome}, steps.tolist(), steps, outcome)
    assert turned.apart["b"] == 0
    short = replay({"hacked": hacked[:40]}, steps[:40].tolist(), steps[:40], outcome[:40])
    assert "cannot be told" in told(short)[-1]


@pytest.mark.parametrize("seed", range(5))
def test_chance_is_no_reward_that_rises_alone(seed):
    """Nothing is learnt: rewards and outcomes are drawn alike at every step."""
    rng = np.random.default_rng(seed)
    steps = np.repeat(np.arange(30), 32)
    outcome = (rng.random(960) < 0.4).astype(float)
    rewards = {"length": rng.random(960), "mixed": outcome + 0.3 * rng.random(960)}
    found = replay(rewards, steps.tolist(), np.arange(960) // 8, outcome)
    assert set(found.onset.values()) == {None}


def test_replay_reads_the_folder_of_a_run_and_says_what_is_missing(tmp_path):
    rows = [{**row, "step": 1, "worth": k % 2} for k, row in enumerate(ROWS)]
    (tmp_path / "metrics.json").write_text("{}")
    for folder in ("rollouts", "completions"):
        (tmp_path / "run" / folder).mkdir(parents=True)
    lines(tmp_path / "run" / "rollouts" / "1.jsonl", rows)
    told = ("-e", "words(completion) / 100", "-s", "math", "--run", tmp_path / "run")
    assert (
        "│ 0.5 " in run(REPLAY, *told).stdout
    )  # of the suite's outcome, which the reward does not read
    assert "│ 0.5 " in run(REPLAY, *told, "--outcome", "worth").stdout
    for wrong, message in [
        (("--group", "nobody"), "the column 'nobody' is missing; the data has: prompt, answer"),
        (("-e", "1 * g1", "-c", "g1:bool"), "the column 'g1' (bool) is missing; the data has: ans"),
        (("--outcome", "nobody"), "the outcome 'nobody' cannot be used"),
    ]:
        result = run(REPLAY, *told, *wrong)
        assert (result.exit_code, len(result.stderr.splitlines())) == (2, 1), result.output
        assert message in result.stderr
    result = run(REPLAY, *told[:-1], tmp_path / "nowhere")
    assert (result.exit_code, "nowhere: no such file" in result.stderr) == (2, True)


def test_one_reward_named_twice_is_two_curves(tmp_path):
    rows = lines(tmp_path / "rows.jsonl", [{**row, "step": 1} for row in ROWS])
    file = tmp_path / "r.derl"
    file.write_text("# suite: math\nexact(completion, answer)\n")
    found = run(REPLAY, file, file, "--run", rows, "--format", "json").stdout
    assert [c["name"] for c in json.loads(found)["curves"]] == [str(file), f"{file} #2"]


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
