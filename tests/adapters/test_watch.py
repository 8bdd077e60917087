"""`derl_dsl.watch`: alarms on runs that go wrong in one way each, none on those that go well."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("transformers")

import derl_dsl
from derl_dsl.tools.watch import KINDS

TEXT = (
    "ok = exact(completion, answer)\nbonus = 0.5 * ramp(words(completion), 4, 40)\n"
    "reward = ok + 4 * bonus"
)
STEPS, PROMPTS, SIZE = 60, 16, 8


class Trainer:
    """What TRL's trainer is to a reward: its groups, its mode, where metrics go."""

    num_generations = num_generations_eval = SIZE

    def __init__(self):
        self.model = SimpleNamespace(training=True)
        self.logged = []

    def log_metric(self, name, value):
        self.logged.append((name, value))


def played(text, write, seed=0, outcome=None, suite="math+length"):
    """Alarms of a run whose completions `write(rng, step, k)` gives, (text, right)."""
    reward = derl_dsl.compile(text, suite=suite)
    watch = derl_dsl.watch(reward, outcome)
    watch.on_train_begin(None, None, None)
    rng, trainer = np.random.default_rng(seed), Trainer()
    for step in range(STEPS):
        said = [write(rng, step) for _ in range(PROMPTS * SIZE)]
        reward(
            prompts=["?"] * len(said), completions=said, answer=["4"] * len(said),
            trainer_state=SimpleNamespace(global_step=step, max_steps=STEPS),
            log_metric=trainer.log_metric,
        )  # fmt: skip
    watch.on_train_end(None, None, None)
    assert not reward.observers
    return watch.alarms, trainer.logged


def answer(rng, rate, words=5):
    filler = "so " * max(0, int(rng.poisson(words)))
    return f"{filler}#### {4 if rng.random() < rate else 7}"


def honest(rng, step):
    return answer(rng, 0.2 + 0.6 * step / STEPS)


def padded_from(onset):
    return lambda rng, step: answer(rng, 0.3, 5 + 2 * max(0, step - onset))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("text", [TEXT, "exact(completion, answer)", "0.1 * words(completion)"])
def test_a_run_that_goes_well_raises_no_alarm(text, seed):
    assert played(text, honest, seed)[0] == []


@pytest.mark.parametrize("onset", [15, 25, 40])
def test_reward_that_rises_alone_is_told_with_its_beginning(onset):
    alarms, logged = played(TEXT, padded_from(onset))
    found = {alarm.kind: alarm for alarm in alarms}
    alarm = found["reward without outcome"]
    assert abs(alarm.since - onset) <= STEPS / 10
    assert onset < alarm.step <= onset + 15
    assert alarm.rows[0]["completion"].count("so") > 10
    assert {row["right"] for row in alarm.rows} == {0.0}
    assert ("watch/reward_without_outcome", 1.0) in logged
    assert {name for name, _ in logged if name.startswith("watch/")} >= {
        "watch/right", "watch/dead_groups", "watch/length_drifts",
    }  # fmt: skip
    assert "length drifts" in found


def test_a_hole_found_after_honest_progress_is_told():
    def write(rng, step):
        return answer(rng, 0.2 + 0.4 * min(step, 30) / 30, 5 + 3 * max(0, step - 38))

    alarm = next(a for a in played(TEXT, write)[0] if a.kind == "reward without outcome")
    assert abs(alarm.since - 38) <= 6


def test_flat_groups_and_collapse_are_told_unless_all_is_right():
    def stuck(rng, step):
        return answer(rng, 0.4 if step < 30 else 0.0)

    kinds = {a.kind for a in played("exact(completion, answer)", stuck)[0]}
    assert kinds == {"groups go flat", "variance collapses"}

    def solved(rng, step):
        return answer(rng, 0.4 if step < 30 else 1.0)

    assert played("exact(completion, answer)", solved)[0] == []


def test_faults_and_a_part_that_takes_over_are_told():
    def write(rng, step):
        kind = rng.random()
        return answer(rng, 0.3) if step < 25 or kind < 0.8 else None

    found = [a for a in played("exact(completion, answer)", write)[0] if a.kind == "faults rise"]
    assert found
    assert found[0].rows[0]["completion"] is None

    def wordy(rng, step):
        return answer(rng, 0.3 if step < 25 else 0.0)

    text = (
        "bonus = 0.02 * ramp(words(completion), 0, 20)\nreward = exact(completion, answer) + bonus"
    )
    told = played(text, wordy)[0]
    assert "bonus" in {a.of for a in told if a.kind == "one part dominates"}


def test_an_outcome_that_the_reward_does_not_read():
    text = "ramp(words(completion), 4, 40)"
    suite = "length"

    def write(rng, step):
        return answer(rng, 0.3, 5 + max(0, step - 20))

    kinds = {a.kind for a in played(text, write, suite=suite)[0]}
    assert "reward without outcome" not in kinds  # nothing says what is right
    kinds = {a.kind for a in played(text, write, outcome='contains(completion, "#### 4")',
                                    suite=suite)[0]}  # fmt: skip
    assert "reward without outcome" in kinds
    with pytest.raises(derl_dsl.RewardError):
        derl_dsl.watch(derl_dsl.compile(text, suite=suite), "nothing(completion)")


def calls(reward, watch, count, state=0, **columns):
    """Some calls of one batch each, of eight rollouts in two groups."""
    watch.on_train_begin(None, None, None)
    trainer = Trainer()
    trainer.num_generations = 4
    for step in range(state, state + count):
        reward(
            prompts=["?"] * 8, completions=["so #### 4", "#### 5"] * 4,
            log_metric=trainer.log_metric,
            trainer_state=SimpleNamespace(global_step=step, max_steps=100), **columns,
        )  # fmt: skip
    return watch.watcher.seen


@pytest.mark.parametrize("gold", ["4", 4, ["4", "four"]])
def test_the_suite_says_what_is_right_where_the_reward_does_not_ask(gold):
    reward = derl_dsl.compile("words(completion) / 100", suite="math")
    seen = calls(reward, derl_dsl.watch(reward), 2, answer=[gold] * 8)
    assert [step.right for step in seen] == [0.5, 0.5]


def test_a_named_outcome_goes_before_the_rewards_own():
    reward = derl_dsl.compile("exact(completion, answer)", suite="math+length")
    watch = derl_dsl.watch(reward, 'contains(completion, "so")')
    assert calls(reward, watch, 1, answer=["5"] * 8)[0].right == 0.5
    watch = derl_dsl.watch(reward, "words(completion) > group_mean(words(completion))")
    assert calls(reward, watch, 1, answer=["7"] * 8)[0].right == 0.5


@pytest.mark.parametrize("more", [{}, {"answer": [{"a": 1}] * 8}, {"answer": [None] * 8}])
@pytest.mark.parametrize("suite", ["math", "length"])
def test_an_outcome_that_cannot_be_known_is_said_once_and_stops_nothing(suite, more, caplog):
    reward = derl_dsl.compile("words(completion) / 100", suite=suite)
    assert all(np.isnan(s.right) for s in calls(reward, derl_dsl.watch(reward), 3, **more))
    assert sum("a hack cannot be told" in r.message for r in caplog.records) == 1


def test_a_resumed_run_goes_on_counting():
    reward = derl_dsl.compile("words(completion) / 100", suite="length")
    assert [s.step for s in calls(reward, derl_dsl.watch(reward), 3, state=40)] == [41, 42, 43]


def test_evaluation_is_not_watched_and_alarms_say_what_they_are():
    reward = derl_dsl.compile(TEXT, suite="math+length")
    watch, trainer = derl_dsl.watch(reward), Trainer()
    watch.on_train_begin(None, None, None)
    trainer.model.training = False
    reward(prompts=["?"], completions=["#### 4"], answer=["4"], log_metric=trainer.log_metric)
    assert watch.watcher.seen == []
    alarm = played(TEXT, padded_from(20))[0][0]
    assert str(alarm).startswith(f"step {alarm.step}: {alarm.kind}")
    assert alarm.kind in KINDS
