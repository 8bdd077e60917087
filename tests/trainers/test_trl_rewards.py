"""Which rewards are equal to TRL, and how their scores reach it."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("trl")


import derl_dsl
from derl_trainers.inner.grpo import invariance
from derl_trainers.inner.loop import train_inner
from derl_trainers.inner.reward import (
    RewardFault,
    TimedReward,
    _least,
    narrowed,
    shares,
    unit_of,
)
from derl_trainers.outer.judge import judge, run_key
from derl_trainers.tasks.base import Task
from tests.trainers.toys import GROUP, math_reward, training

pytestmark = pytest.mark.xdist_group("training")


@pytest.mark.parametrize(("scale", "offset"), [("0.001", ""), ("1000000", ""), ("1", " + 1e9")])
def test_equal_rewards_train_alike_beside_a_kl_term(
    task: Task, policy: Path, scale: str, offset: str
) -> None:
    base = "(g3 + 0.01 * chars(completion) / 100)"
    config = training(GROUP, beta=0.05, learning_rate=1e-3)
    plain, scaled = (
        train_inner(math_reward(text), policy, task.train, task.validation, config)
        for text in (base, f"{scale} * {base}{offset}")
    )
    for one, other in zip(plain.history, scaled.history, strict=True):
        assert one.completion_length == other.completion_length
        assert one.zero_std_share == other.zero_std_share
    assert plain.right == scaled.right
    assert plain.tokens == scaled.tokens


def test_scores_are_scaled_by_what_is_proven_and_only_then() -> None:
    tiny = derl_dsl.compile("1e-8 * g1 + 3", columns={"g1": "number[0,1]"})
    timed = TimedReward(lambda **_: [3.0, 3.00000001], unit_of(tiny))
    assert unit_of(tiny) is not None
    found = timed(completions=["a", "b"], completion_ids=[[1], [1]])
    # TRL calls a group flat whose deviation is within 1e-8 of 0.
    assert found == [0, pytest.approx(1)]
    assert unit_of(lambda **_: [1.0]) is None
    raw = TimedReward(lambda **_: [1e39], None)
    with pytest.raises(RewardFault, match="float32, which TRL computes in, has no such number"):
        raw(completions=["a"], completion_ids=[[1]])


def test_a_length_is_no_less_than_what_else_a_batch_differs_by() -> None:
    texts = ["7", "It is 8.", "I think that it is 9"]
    batch: dict[str, Any] = {"completion_ids": [[1]] * 3, "prompts": ["p"] * 3, "answer": ["7"] * 3}
    # Of 1000 million characters at most, proven, a text has a few.
    for sign in "+-":
        reward = derl_dsl.compile(
            f"exact(completion, answer) {sign} 0.001 * chars(completion)", suite="math+length"
        )
        timed = TimedReward(reward, unit_of(reward))
        wrong = timed(completions=[texts[1], texts[2], texts[1]], **batch)
        assert sorted(np.float32(wrong)) in ([0, 0, 1], [0, 1, 1])
        assert timed.differed
        found = timed(completions=texts, **batch)
        lo, spread = timed.used
        shown = [lo + spread * score for score in found if score is not None]
        given = reward.score({"completion": texts, "answer": ["7"] * 3}).values
        assert shown == pytest.approx(given.tolist())
    # What rounding alone makes is no difference.
    assert narrowed((0.0, 2.0), 0.3, 0.1 + 0.2) == (0.0, 2.0)


@pytest.mark.parametrize("text", ["-g1", "0.5 * g2 - g3", "g1 + g2", "0.2 - g2 / 0.175"])
def test_a_batch_that_all_reaches_an_end_of_what_is_proven_is_one_score(text: str) -> None:
    reward = derl_dsl.compile(text, suite="derl-math")
    for end in (reward.certificate.lo, reward.certificate.hi):
        timed = TimedReward(lambda end=end, **_: [end] * 4, unit_of(reward))
        found = timed(completions=["a"] * 4, completion_ids=[[1]] * 4)
        assert len(set(found)) == 1
        assert found[0] == pytest.approx(float(end > reward.certificate.lo))


SHARED = ["g1 - group_mean(g1)", "g1 + 5000 * group_mean(g2)", "0.3 * g1 - 900 * progress"]


def test_what_a_group_shares_hides_nothing_that_it_differs_by() -> None:
    completions = [r"\boxed{7}", "so 7", "no", r"\boxed{8}", "7", "no", "8", "9"]
    batch: dict[str, Any] = {
        "completions": completions, "completion_ids": [[1]] * 8, "answer": ["7"] * 8,
        "prompts": ["p"] * 4 + ["q"] * 4, "progress": 0.3,
    }  # fmt: skip
    plain = derl_dsl.compile("g1", suite="derl-math")
    expected = np.float32(TimedReward(plain, unit_of(plain))(**batch))  # type: ignore[arg-type]
    for text in SHARED:
        reward = derl_dsl.compile(text, suite="derl-math").with_groups(4)
        assert reward.key == plain.key, text
        assert shares(reward)
        timed = TimedReward(reward, unit_of(reward), 4)
        found = timed(**batch)
        assert np.float32(found) == pytest.approx(expected, abs=1e-6), text  # type: ignore[arg-type]
        # What is shown of it is the reward's own mean, with what went.
        lo, spread = timed.used
        given = np.asarray(list(reward(**batch)))
        assert lo + spread * np.mean(found) == pytest.approx(given.mean()), text  # type: ignore[arg-type]
    assert not shares(plain)
    assert not shares(lambda **_: [1.0])


def test_a_group_over_two_processes_has_one_least(monkeypatch: pytest.MonkeyPatch) -> None:
    every = [3.0, 1.0, math.inf, 5.0, 4.0, 6.0]
    monkeypatch.setattr(
        "derl_trainers.inner.reward._of_all", lambda own: (every, every.index(own[0]))
    )
    assert _least([3.0, 1.0], 3) == [1.0, 1.0]
    assert _least([None, 5.0], 3) == [1.0, 4.0]
    assert _least([None, None], 2) == [0.0, 0.0]


def test_a_part_that_groups_share_does_not_reach_trl(
    task: Task, policy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[float | None] = []
    real = TimedReward.__call__

    def kept(self: TimedReward, **columns: Any) -> list[float | None]:
        found = real(self, **columns)
        seen.extend(found)
        return found

    monkeypatch.setattr(TimedReward, "__call__", kept)
    long = "1 * (chars(completion) > 6)"
    train_inner(
        math_reward(f"{long} + 5000 * group_mean({long})"),
        policy, task.train, task.validation, GROUP,
    )  # fmt: skip
    assert {round(score or 0.0, 6) for score in seen} == {0.0, 1.0}


def test_what_is_equal_follows_from_the_settings_of_trl() -> None:
    assert invariance(training()) == "group"
    assert invariance(training(trl={"scale_rewards": "batch"})) == "affine"
    assert invariance(training(trl={"scale_rewards": "none"})) == "text"
    assert invariance(training(trl={"scale_rewards": False}, beta=0.1)) == "text"
    assert invariance(training(rewards="raw")) == "text"
    length = "chars(completion)"
    shared = [math_reward(t) for t in (length, f"{length} - group_mean({length})")]
    assert run_key(shared[0]) == run_key(shared[1])
    assert run_key(shared[0], "affine") != run_key(shared[1], "affine")


@pytest.mark.parametrize("formula", ["g1 + g2 - g2 - g1", "g3 + (g4 - (g4 + g3))"])
def test_a_constant_but_for_rounding_is_degenerate(formula: str) -> None:
    found = judge(formula, "derl-math")
    assert (found.stage, found.penalty, found.key) == ("degenerate", -0.2, None)
    assert [d.code for d in found.diagnostics] == ["DRL304"]
    assert judge("g1 + 1e-9 * g2 - g1", "derl-math").key is not None
