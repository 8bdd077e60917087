"""The inner loop end to end: a tiny policy, two steps of GRPO, greedy evaluation, clear faults."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("trl")

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from derl_primitives.correctness import exact
from derl_trainers.inner.loop import InnerResult, train_inner
from derl_trainers.inner.outcome import exactly
from derl_trainers.inner.reward import Diverged, RewardFault
from derl_trainers.policy.answers import greedy_right
from derl_trainers.settings.sections import BudgetSection, InnerSection, Training
from derl_trainers.tasks.base import Task

INNER = InnerSection(steps=2, prompts=4, num_generations=4, updates=2)
CONFIG = Training(inner=INNER, budget=BudgetSection(flat_steps=0))


def outcome(completions: list[str], answer: list[str], **_: object) -> list[float | None]:
    return [float(right) for right in exact(completion=completions, answer=answer)]


def right(model: object, tokenizer: object, task: Task, **changes: object) -> list[bool]:
    training = replace(CONFIG, **changes)  # type: ignore[arg-type]
    return greedy_right(model, tokenizer, task.validation, exactly, training).tolist()  # type: ignore[arg-type]


def run(reward: object, task: Task, policy: Path, **changes: object) -> InnerResult:
    return train_inner(reward, policy, task.train, task.validation, CONFIG, **changes)  # type: ignore[arg-type]


def test_two_steps_report_progress_and_times(
    task: Task,
    policy: Path,
    capfd: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    seen: list[dict[str, object]] = []

    def lengths(completions: list[str], **columns: object) -> list[float | None]:
        seen.append(columns)
        return [float(len(text)) for text in completions]

    calls: list[tuple[int, int]] = []
    result = run(lengths, task, policy, progress=lambda s, n, _: calls.append((s, n)))

    assert calls == [(1, 2), (2, 2)]
    assert [record.step for record in result.history] == [1, 2]
    assert all(math.isfinite(record.reward_mean) for record in result.history)
    assert 0 <= result.pass_at_1 <= 1
    parts = result.generate_seconds + result.reward_seconds + result.update_seconds
    assert 0 < parts + result.eval_seconds <= result.seconds
    assert all(len(columns["answer"]) == INNER.completions for columns in seen)  # type: ignore[arg-type]
    assert all({"prompts", "completion_ids"} <= columns.keys() for columns in seen)
    assert capfd.readouterr() == ("", "")
    assert not list(tmp_path.iterdir())


def test_equal_seeds_give_equal_runs(task: Task, policy: Path) -> None:
    first, second, other = (run(outcome, task, policy, seed=seed) for seed in (3, 3, 4))
    assert first.history == second.history
    assert first.pass_at_1 == second.pass_at_1
    assert first.history != other.history


def test_training_changes_the_policy_and_saves_it_where_asked(
    task: Task, policy: Path, tmp_path: Path
) -> None:
    def lengths(completions: list[str], **_: object) -> list[float | None]:
        return [float(len(text)) for text in completions]

    out = tmp_path / "trained"
    result = run(lengths, task, policy, output_dir=out)
    before = AutoModelForCausalLM.from_pretrained(policy).state_dict()
    model, tokenizer = AutoModelForCausalLM.from_pretrained(out), AutoTokenizer.from_pretrained(out)
    assert any(not torch.equal(before[name], weight) for name, weight in model.state_dict().items())
    assert right(model, tokenizer, task) == list(result.right)
    assert sum(result.right) / len(task.validation) == result.pass_at_1


def test_components_logged_by_a_reward_reach_the_history(task: Task, policy: Path) -> None:
    def reward(completions: list[str], log_metric: object, **_: object) -> list[float | None]:
        log_metric("parts/length", 7.0)  # type: ignore[operator]
        return [float(len(text)) for text in completions]

    assert all(record.components == {"length": 7.0} for record in run(reward, task, policy).history)


def test_greedy_evaluation_ignores_and_keeps_train_mode(task: Task, policy: Path) -> None:
    model, tokenizer = (
        AutoModelForCausalLM.from_pretrained(policy),
        AutoTokenizer.from_pretrained(policy),
    )
    in_eval = right(model.eval(), tokenizer, task)
    in_train = right(model.train(), tokenizer, task)
    assert in_eval == in_train
    assert model.training
    assert right(model, tokenizer, task, eval_batch=5) == in_eval


def test_greedy_evaluation_needs_examples(policy: Path) -> None:
    with pytest.raises(ValueError, match="at least one example"):
        greedy_right(None, None, [], exactly, CONFIG)  # type: ignore[arg-type]


def _raises(**_: object) -> list[float | None]:
    raise ZeroDivisionError("1/0 in the reward")


@pytest.mark.parametrize(
    ("reward", "message"),
    [
        (lambda completions, **_: [None] * len(completions), "None .* for all 16 completions"),
        (lambda completions, **_: [1.0], "1 scores for 16 completions"),
        (lambda completions, **_: [math.nan] * len(completions), "gave nan for 16 completions"),
        (_raises, "_raises raised ZeroDivisionError"),
    ],
    ids=["all None", "too few", "nan", "raises"],
)
def test_a_reward_that_cannot_train_is_a_clear_fault(
    task: Task, policy: Path, reward: object, message: str
) -> None:
    with pytest.raises(RewardFault, match=message):
        run(reward, task, policy)


def test_a_policy_that_diverges_on_the_way_is_named(task: Task, policy: Path) -> None:
    """Its weights are numbers still, and its logits none: nothing can be sampled."""

    def lengths(completions: list[str], **_: object) -> list[float | None]:
        return [float(len(text)) for text in completions]

    config = replace(CONFIG, inner=replace(CONFIG.inner, steps=4, learning_rate=1e30))
    with pytest.raises(Diverged, match=r"^training diverged: "):
        train_inner(lengths, policy, task.train, task.validation, config)


def test_some_none_is_fine(task: Task, policy: Path) -> None:
    def half(completions: list[str], **_: object) -> list[float | None]:
        return [None if i % 2 else float(len(text)) for i, text in enumerate(completions)]

    assert len(run(half, task, policy).history) == 2


def test_updates_must_divide_the_completions(task: Task, policy: Path) -> None:
    config = Training(inner=InnerSection(steps=1, prompts=3, num_generations=3, updates=2))
    with pytest.raises(ValueError, match="updates=2 does not divide the 9 completions"):
        train_inner(outcome, policy, task.train, task.validation, config)
