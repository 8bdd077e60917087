"""Groups in a trainer's call: right, or an error that says what to set; never a guess."""

from __future__ import annotations

import pickle
from types import SimpleNamespace

import pytest

import derl_dsl
from derl_dsl.score.reward import ColumnError

REWARD = derl_dsl.compile("x - group_mean(x)", columns={"x": "number[0, 9]"})
X = [1.0, 0.0, 0.0, 1.0, 4.0, 2.0, 2.0, 0.0]
RIGHT = [0.5, -0.5, -0.5, 0.5, 2.0, 0.0, 0.0, -2.0]


class Trainer:
    """What a trainer of TRL says about its groups, and its bound `log_metric`."""

    def __init__(self, train: int, evaluate: int, training: bool = True) -> None:
        self.num_generations, self.num_generations_eval = train, evaluate
        self.model = SimpleNamespace(training=training)
        self.logged: dict[str, float] = {}

    def log_metric(self, name: str, value: float) -> None:
        self.logged[name] = value


class Image:
    """Its repr holds its address: equal images have different ones."""


def call(reward=REWARD, prompts=None, x=X, **more):
    prompts = ["p"] * len(x) if prompts is None else prompts
    return reward(prompts=prompts, completions=["c"] * len(x), completion_ids=None, x=x, **more)


@pytest.mark.parametrize(
    "prompts",
    [
        ["p"] * 4 + ["q"] * 4,
        ["p"] * 8,  # two neighbouring groups with equal prompts
        [[{"role": "user", "content": [{"type": "image", "image": Image()}]}] for _ in X],
        list("pqpqpqpq"),  # a trainer that says 4 neighbours are a group has said so
    ],
    ids=["plain", "equal prompts", "images", "prompts do not count"],
)
def test_the_trainer_says_what_a_group_is(prompts):
    trainer = Trainer(4, 2)
    assert call(prompts=prompts, log_metric=trainer.log_metric) == RIGHT
    assert call(REWARD.with_groups(4), prompts=prompts) == RIGHT


def test_evaluation_has_groups_of_its_own():
    trainer = Trainer(4, 2, training=False)
    assert call(log_metric=trainer.log_metric) == [0.5, -0.5, -0.5, 0.5, 1.0, -1.0, 1.0, -1.0]


def test_interleaved_groups_need_ids():
    ids = list("pqpqpqpq")
    x = [X[0], X[4], X[1], X[5], X[2], X[6], X[3], X[7]]
    right = [RIGHT[k] for k in (0, 4, 1, 5, 2, 6, 3, 7)]
    assert call(REWARD.with_groups("problem"), x=x, problem=ids) == right
    with pytest.raises(ColumnError, match="the group column 'problem' is missing"):
        call(REWARD.with_groups("problem"), x=x)
    with pytest.raises(ColumnError, match=r"groups of different sizes \(\[2, 6\]\)"):
        call(REWARD.with_groups("problem"), x=x, problem=list("ppqqqqqq"))


def test_a_call_of_a_whole_group():
    assert call(REWARD.with_groups("*"), x=X[:4]) == RIGHT[:4]


@pytest.mark.parametrize("prompts", [["p"] * 8, ["p"] * 4 + ["q"] * 4, list("pqpqpqpq")])
def test_without_a_word_there_is_no_guess(prompts):
    with pytest.raises(ColumnError, match=r"say it once: reward.with_groups\(num_generations\)"):
        call(prompts=prompts)
    with pytest.raises(ColumnError, match="does not say which completions are a group"):
        call(prompts=prompts, log_metric=lambda name, value: None)


def test_a_cut_group_is_an_error():
    trainer = Trainer(3, 3)
    with pytest.raises(ColumnError, match="8 completions are no whole number of groups of 3"):
        call(log_metric=trainer.log_metric)


def test_what_a_group_is_travels():
    again = pickle.loads(pickle.dumps(REWARD.with_groups(4)))
    assert call(again) == RIGHT
    assert REWARD.groups is None
    with pytest.raises(ValueError, match="1 rollout or more"):
        REWARD.with_groups(0)


def test_rewards_without_groups_need_no_word():
    reward = derl_dsl.compile("2 * x", columns={"x": "number[0, 9]"})
    assert call(reward) == [2 * x for x in X]
