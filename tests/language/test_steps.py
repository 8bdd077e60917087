"""Step rewards: values, proofs, and that the lint is right about an environment with a loop."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

import derl_dsl
from derl_dsl.prove.steps import StepProof

EPISODES = {
    "solved": [True, False, True],
    "scores": [[0.0, 0.5, 1.0], [0.25, 0.0], []],
    "valid": [[True, False, True], [True, True], []],
    "actions": [["go", "go", "take"], ["look", "look"], []],
    "step_scores": [[1.0, 0.0, 1.0], [0.5, 0.5], []],
}


def listed(steps: list[np.ndarray | None] | None) -> list[list[float] | None]:
    assert steps is not None
    return [None if row is None else row.tolist() for row in steps]


def test_a_value_for_each_step() -> None:
    reward = derl_dsl.compile(
        "steps = gain(scores) - 0.25 * (not valid)\nreward = solved", suite="agent"
    )
    scores = reward.score(EPISODES)
    assert listed(scores.steps) == [[0.0, 0.25, 0.5], [0.25, -0.25], []]
    assert scores.values.tolist() == [1.0, 0.0, 1.0]
    assert "steps" not in scores.parts
    again = pickle.loads(pickle.dumps(reward)).score(EPISODES)
    assert listed(again.steps) == listed(scores.steps)


def test_without_steps_there_are_none() -> None:
    assert derl_dsl.compile("solved", suite="agent").score(EPISODES).steps is None
    number = "steps = count(actions)\nreward = solved if steps < 9 else 0"
    scores = derl_dsl.compile(number, suite="agent").score(EPISODES)
    assert scores.steps is None
    assert scores.parts["steps"].tolist() == [3.0, 2.0, 0.0]


def test_conditions_count_as_numbers_and_whole_rollouts_stand_with_every_step() -> None:
    reward = derl_dsl.compile("steps = solved and valid\nreward = solved", suite="agent")
    assert listed(reward.score(EPISODES).steps) == [[1.0, 0.0, 1.0], [0.0, 0.0], []]


def test_a_rollout_whose_steps_do_not_apply_or_are_at_fault_has_none() -> None:
    text = "steps = gain(scores) if solved else skip\nreward = 1 * solved"
    assert listed(derl_dsl.compile(text, suite="agent").score(EPISODES).steps)[1] is None
    broken = {**EPISODES, "scores": [[0.0, 7.0, 1.0], [0.25, 0.0], []]}
    scores = derl_dsl.compile("steps = gain(scores)\nreward = solved", suite="agent").score(broken)
    assert listed(scores.steps) == [None, [0.25, -0.25], []]
    assert [f.kind for f in scores.faults] == ["out_of_range"]
    assert scores.values.tolist() == [1.0, 0.0, 1.0]


def test_groups_that_are_no_neighbours() -> None:
    text = "steps = gain(scores) * group_mean(1 * solved)\nreward = solved - group_mean(1 * solved)"
    reward = derl_dsl.compile(text, suite="agent")
    columns = {
        "solved": [True, False, False, True, False],
        "scores": [[1.0], [1.0], [0.5, 1.0], [1.0], [0.0]],
    }
    found = reward.score(columns, group=["a", "b", "a", "b", "b"], uneven=True)
    third = 1 / 3
    assert listed(found.steps) == [[0.5], [third], [0.25, 0.25], [third], [0.0]]


@pytest.mark.parametrize(
    ("steps", "telescopes", "circling"),
    [
        ("gain(scores)", True, 0.0),
        ("2 * gain(scores) * solved - gain(step_scores) / 4", True, 0.0),
        ("gain(scores) - 0.1", False, -0.1),
        ("is_new(actions) * step_scores", False, 0.0),
        ("gain(scores) + 0.1 * valid", False, 0.1),
        ("gain(scores) * step_scores", False, 1.0),
        ("abs(gain(scores))", False, 1.0),
    ],
)
def test_what_going_in_circles_earns(steps: str, telescopes: bool, circling: float) -> None:
    proof = derl_dsl.compile(f"steps = {steps}\nreward = solved", suite="agent").certificate.steps
    assert proof is not None
    assert (proof.telescopes, proof.circling) == (telescopes, pytest.approx(circling))


def walk(doors: int) -> dict[str, list[object]]:
    """An agent that opens and closes a box `doors` times before it leaves: the planted loop.

    Leaving is the task; an open box counts as half of it.
    """
    actions = ["open", "close"] * doors + ["leave"]
    scores = [0.5, 0.0] * doors + [1.0]
    flags = [True] * len(actions)
    return {
        "solved": [True], "actions": [actions], "scores": [scores], "valid": [flags],
        "step_scores": [[1.0 if a == "open" else 0.0 for a in actions]],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("steps", "pays"),
    [
        ("step_scores", True),
        ("max(gain(scores), 0)", True),
        ("0.1 * valid", True),
        ("gain(scores)", False),
        ("gain(scores) - 0.01", False),
        ("is_new(actions) * step_scores", False),
        ("0.1 * step_scores - 0.2", False),
    ],
)
def test_the_lint_is_right_about_the_planted_loop(steps: str, pays: bool) -> None:
    text = f"steps = {steps}\nreward = solved"
    reward = derl_dsl.compile(text, suite="agent")
    totals = [float(np.sum(reward.score(walk(n)).steps[0])) for n in range(1, 6)]  # type: ignore[index]
    assert (totals[-1] > totals[0] + 1e-9) == pays, totals
    assert ("DRL540" in {d.code for d in derl_dsl.check(text, suite="agent")}) == pays


def test_proven_bounds_hold_on_random_steps() -> None:
    rng = np.random.default_rng(5)
    texts = [
        "gain(scores) * step_scores - 0.3 * (not valid)",
        "exp(scores) / (1 + step_scores)",
        "(scores if valid else -step_scores) ** 3",
    ]
    lengths = rng.integers(0, 12, 64)
    columns = {
        "solved": rng.random(64) < 0.5,
        "scores": [rng.random(n) for n in lengths],
        "step_scores": [rng.random(n) for n in lengths],
        "valid": [rng.random(n) < 0.5 for n in lengths],
    }
    for text in texts:
        reward = derl_dsl.compile(f"steps = {text}\nreward = solved", suite="agent")
        proof = reward.certificate.steps
        assert isinstance(proof, StepProof)
        steps = reward.score(columns).steps
        assert steps is not None
        assert [len(s) for s in steps if s is not None] == lengths.tolist()
        values = np.concatenate([s for s in steps if s is not None])
        assert proof.lo <= values.min() <= values.max() <= proof.hi


@pytest.mark.parametrize("backend", ["reference", "vm", "native", "torch"])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_the_reward_does_not_read_what_its_steps_read(backend: str, dtype: str) -> None:
    if backend == "torch":
        pytest.importorskip("torch")
    text = "steps = gain(scores) - 0.25 * (not valid)\nreward = solved"
    reward = derl_dsl.compile(text, suite="agent", backend=backend, dtype=dtype)
    # In the second episode the lists of the steps have different lengths.
    columns = {**EPISODES, "valid": [[True, False, True], [True], []]}
    scores = reward.score(columns)
    assert scores.values.tolist() == [1.0, 0.0, 1.0]
    assert listed(scores.steps) == [[0.0, 0.25, 0.5], None, []]
    assert derl_dsl.score_many([reward], columns).tolist() == [[1.0, 0.0, 1.0]]
    assert reward.bind(columns)().tolist() == [1.0, 0.0, 1.0]


def test_a_module_of_a_reward_with_steps() -> None:
    torch = pytest.importorskip("torch")
    reward = derl_dsl.compile("steps = gain(scores)\nreward = 0.5 * solved", suite="agent")
    module = reward.torch()
    assert module({"solved": torch.tensor([1.0, 0.0])}).tolist() == [0.5, 0.0]
    assert list(module.read(EPISODES)) == ["solved"]
