"""What is refused before a run begins, what is right, and what a run is told to cost."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("trl")


import derl_dsl
from derl_trainers.inner.loop import train_inner
from derl_trainers.inner.outcome import exactly, scorer_for
from derl_trainers.outer.plan import plan
from derl_trainers.runs.jobs import check_task
from derl_trainers.settings.run import (
    ConfigError,
    RunConfig,
    load_config,
    load_custom,
    parse_config,
)
from derl_trainers.tasks.base import Example, Task
from tests.trainers.test_meta import MINI
from tests.trainers.toys import GROUP, math_reward, rows

pytestmark = pytest.mark.xdist_group("training")


def test_too_few_problems_and_an_outcome_of_the_rows_are_refused(
    tmp_path: Path, policy: Path, task: Task
) -> None:
    data, test = rows(tmp_path / "a.jsonl", 4, solved=True), rows(tmp_path / "t.jsonl", 9, 100)
    table: dict[str, Any] = {
        "suite": "math",
        "policy": {"model": str(policy)},
        "task": {"name": "rows", "data": data, "test": test},
        "inner": {"prompts": 4, "num_generations": 2, "updates": 1},
    }
    with pytest.raises(ConfigError, match="a step takes 4 problems, and the task has 3"):
        check_task(parse_config(table))
    with pytest.raises(ConfigError, match="the outcome of 'derl-agent', g1, is what came of a"):
        check_task(parse_config({**table, "suite": "derl-agent"}))
    with pytest.raises(ValueError, match="1 training problems are fewer than"):
        train_inner(math_reward("g1"), policy, task.train[:1], task.validation, GROUP)


def test_what_is_right_is_what_the_suite_or_the_task_says(task: Task) -> None:
    half = [Example("p", "0.5"), Example("q", "0.5"), Example("r", "7")]
    said = ["The answer is 1/2", r"\boxed{0.5}", "no idea"]
    # A suite's outcome, in which 1/2 is 0.5; derl-math adds 1e-6 to its own, right or wrong.
    for suite in ("math", "derl-math"):
        assert scorer_for(task, suite)(said, half).tolist() == [True, True, False]
    # Of an algebraic answer `exact` knows no other form, and the suite does.
    power, other = [Example("p", "(x+1)^2")], [r"\boxed{x^2+2x+1}"]
    assert (scorer_for(task, "math")(other, power)[0], exactly(other, power)[0]) == (True, False)
    judged = replace(task, scorer=lambda texts, _: np.ones(len(texts), dtype=bool))
    assert scorer_for(judged, "math")(said, half).tolist() == [True] * 3


def test_any_family_of_reasoning_gym_is_a_task(policy: Path) -> None:
    table: dict[str, Any] = {
        "suite": "math",
        "policy": {"model": str(policy)},
        "task": {
            "name": "reasoning-gym",
            "reasoning_gym": {
                "family": "spell_backward", "size": 20, "test_size": 4, "template": "{question}",
                "config": {"max_word_len": 5},
            },
        },
        "inner": {"prompts": 4, "num_generations": 2, "updates": 1},
    }  # fmt: skip
    config = parse_config(table)
    check_task(config)
    found = config.task.load()
    assert (len(found.train), len(found.validation), len(found.test)) == (16, 4, 4)
    one = found.train[0]
    scorer = scorer_for(found, "math")
    texts = [one.answer, rf"so \boxed{{{one.answer}}}", one.answer[::-1] + "x"]
    assert scorer(texts, [one] * 3).tolist() == [True, True, False]
    try:
        load_custom(config)
        reward = derl_dsl.compile("gym_score(completion, answer)", suite="math")
        score = reward.score({"completion": texts, "answer": [one.answer] * 3}).values
        assert score[0] == score[1] == 1
        assert 0 <= score[2] < 1
    finally:
        derl_dsl.elaborate.custom.REGISTRY.clear()
    wrong = {**table, "task": {"name": "reasoning-gym", "reasoning_gym": {"family": "spell"}}}
    with pytest.raises(ConfigError, match="reasoning-gym has no family 'spell'"):
        check_task(parse_config(wrong))


def test_two_sets_train_together_and_are_scored_apart(tmp_path: Path, policy: Path) -> None:
    from derl_trainers.runs.jobs import _scores

    gsm = [{"question": f"{i}?", "answer": f"#### {i}"} for i in range(20)]
    hard = [{"problem": f"x{i}", "solution": rf"\boxed{{{i}}}"} for i in range(10)]
    for name, lines in (("g", gsm), ("m", hard)):
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(r) + "\n" for r in lines))
    parts = {"gsm8k": {"data": "g.jsonl", "test": "g.jsonl"}, "math": {"data": "m.jsonl"}}
    (tmp_path / "c.toml").write_text(
        f'[policy]\nmodel = "{policy}"\n[task]\nname = "gsm8k-math"\n'
        + "".join(
            f"[task.gsm8k_math.{name}]\n" + "".join(f'{k} = "{v}"\n' for k, v in part.items())
            for name, part in parts.items()
        )
    )
    task = load_config(tmp_path / "c.toml").task
    assert not task.remote
    with pytest.raises(Exception, match="0 distinct problems"):
        task.load()  # all of its problems are those of the test set
    (tmp_path / "g.jsonl").write_text("".join(json.dumps(r) + "\n" for r in gsm[:15]))
    (tmp_path / "t.jsonl").write_text("".join(json.dumps(r) + "\n" for r in gsm[15:]))
    apart = replace(task.gsm8k_math.gsm8k, test=str(tmp_path / "t.jsonl"))
    own = replace(task.gsm8k_math, gsm8k=apart)
    found = own.load()
    assert [e.source for e in found.validation] == ["gsm8k"] * 3 + ["math"] * 2
    scores = _scores([True, True, False, False, False], found.validation)
    assert scores["apart"] == {"gsm8k": pytest.approx(2 / 3), "math": 0}
    assert scores["pass_at_1"] == pytest.approx(1 / 3)
    assert scores["right"] == "11000"


def planned(config: RunConfig) -> tuple[str, tuple[str, ...]]:
    """What is told of a run before it begins, and what would be refused."""
    lines: list[str] = []
    refused = plan(config, lines.append, lambda what: lines.append(f"waits: {what}"))
    return "\n".join(lines), refused


def test_the_plan_of_a_run_is_told_without_beginning_it() -> None:
    text, refused = planned(parse_config({**MINI, "executor": {"kind": "inprocess"}}))
    assert not refused
    assert "at most 29 inner runs: 3 baselines, 12 formulas, about 6 to confirm" in text
    assert "an inner step takes" in text
    assert "64 to train on" in text
    assert (
        text.index("64 to train on") < text.index("waits: timing two") < text.index("an inner st")
    )
    meta = {**MINI["meta"], "max_tokens": 1}
    assert "100% of cold-start" in planned(parse_config({**MINI, "meta": meta}))[0]
    short = parse_config({**MINI, "inner": {**MINI["inner"], "max_completion_length": 255}})
    assert "longer than the policy's context of 256" in planned(short)[1][0]
    wrong = parse_config({**MINI, "trl": {"loss_type": "foo"}})
    assert "[trl] loss_type: expected one of" in planned(wrong)[1][0]
    text, refused = planned(load_config("paper-math"))
    assert not refused
    assert "Qwen/Qwen2.5-3B: not here" in text


def test_a_step_is_timed_before_problems_of_the_hub_are_read(policy: Path) -> None:
    inner = {"prompts": 4, "num_generations": 2, "updates": 2, "max_completion_length": 12}
    table = {**MINI, "task": {"name": "gsm8k"}, "policy": {"model": str(policy)}, "inner": inner}
    text, refused = planned(parse_config(table))
    assert not refused
    assert "problems of gsm8k: read from the hub when the run begins, not now" in text
    assert "by 2 timed ones of 2 completions to made-up problems with one worker" in text
    assert "memory of a worker: about" in text
    assert "worker hours of inner steps" in text
