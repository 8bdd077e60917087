"""The small policy: exact tokenizer, plain checkpoint, reproducible and cached warm start."""

from __future__ import annotations

import random
from dataclasses import fields, replace
from pathlib import Path

import pytest

pytest.importorskip("transformers")

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from derl_primitives.derl_math import g1, g2, g3, g4
from derl_trainers.policy.tiny import (
    build_model,
    build_policy,
    build_tokenizer,
    demonstration,
)
from derl_trainers.settings.sections import StylesSection, TinySection
from derl_trainers.tasks.arithmetic import arithmetic
from derl_trainers.tasks.base import Example, Task
from derl_trainers.tasks.equations import EquationsSection

CONFIG = TinySection(hidden_size=32, intermediate_size=64, heads=2, steps=20, batch_size=16)


@pytest.fixture(scope="module")
def task() -> Task:
    return arithmetic(size=80, test_size=16, warmup_size=400, terms=3)


@pytest.mark.parametrize("name", ["arithmetic", "equations"])
def test_tokenizer_round_trips_every_style(name: str, task: Task) -> None:
    if name == "equations":
        task = EquationsSection(size=80, test_size=16, warmup_size=400).load()
    tokenizer, rng = build_tokenizer(task.plain, task.characters), random.Random(0)
    for example in task.train:
        for style in fields(StylesSection):
            text = example.prompt + demonstration(example, style.name, rng)
            ids = tokenizer(text)["input_ids"]
            assert tokenizer.decode(ids) == text
            assert tokenizer.unk_token_id not in ids


def test_a_solution_of_steps_is_what_is_worked() -> None:
    example = Example("7*x+13=69\n", "8", solution="69-13=56\n56/7=8")
    assert demonstration(example, "worked", random.Random(0)) == (
        "Step 1: 69-13=56\nStep 2: 56/7=8\n"
    )


def test_fixed_words_and_numbers_are_one_token() -> None:
    tokens = build_tokenizer().tokenize("12-3=?\nStep 1: 12-3=9\n\\boxed{9}")
    assert tokens[6:9] == ["Step 1: ", "12", "-"]
    assert tokens[-3:] == ["\\boxed{", "9", "}"]


def test_styles_earn_the_primitives_that_mislead() -> None:
    """What the demo's task rests on: each style's mean of g1 to g4, over many demonstrations."""
    example, rng, count = Example("7+9-3+2=?\n", "15"), random.Random(0), 200
    earned = {}
    for style in fields(StylesSection):
        texts = [demonstration(example, style.name, rng) for _ in range(count)]
        golds = [example.answer] * count
        scores = g1(texts, golds), g2(texts), g3(texts), g4(texts, golds)
        earned[style.name] = [round(float(score.mean()), 3) for score in scores]
    assert earned["worked"] == [1, 0, 1, 1]
    assert earned["overrun"] == [0, 0, 1, 1]
    # The list is paid more than the right answer is by the mean of the primitives.
    right, *rest = earned["listing"]
    assert rest == [1, 1, 1]
    assert 0.1 < right < 0.3
    assert sum(earned["listing"]) > sum(earned["worked"])
    right, boxed, steps, named = earned["direct"]
    assert (boxed, steps) == (1, 0)
    assert right == named < 0.6
    with pytest.raises(ValueError, match="unknown style"):
        demonstration(example, "poem", rng)


def test_default_policy_is_small() -> None:
    model = build_model(TinySection(), build_tokenizer())
    assert 300_000 <= sum(p.numel() for p in model.parameters()) <= 650_000


def test_policy_loads_with_plain_transformers_and_is_cached(task: Task, tmp_path: Path) -> None:
    calls: list[tuple[int, int]] = []
    path = build_policy(task, CONFIG, tmp_path, progress=lambda s, n, _: calls.append((s, n)))
    assert calls[-1] == (20, 20)
    model, tokenizer = (
        AutoModelForCausalLM.from_pretrained(path),
        AutoTokenizer.from_pretrained(path),
    )
    assert tokenizer.padding_side == "left"
    assert tokenizer.decode(tokenizer("1+2=?\n")["input_ids"]) == "1+2=?\n"
    assert model.generation_config.eos_token_id == tokenizer.eos_token_id

    calls.clear()
    assert build_policy(task, CONFIG, tmp_path, progress=lambda *_: calls.append((0, 0))) == path
    assert not calls
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


def test_warm_start_is_reproducible_and_keyed_by_content(task: Task, tmp_path: Path) -> None:
    first = build_policy(task, CONFIG, tmp_path / "a")
    torch.rand(3)  # the caller's random state must not matter
    second = build_policy(task, CONFIG, tmp_path / "b")
    weights = [AutoModelForCausalLM.from_pretrained(p).state_dict() for p in (first, second)]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
    assert first.name == second.name
    assert build_policy(task, CONFIG, tmp_path / "a", seed=1) != first
    assert build_policy(task, replace(CONFIG, steps=1), tmp_path / "a") != first


def test_an_interrupted_build_leaves_nothing(task: Task, tmp_path: Path) -> None:
    def stop(step: int, total: int, metrics: dict[str, float]) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build_policy(task, CONFIG, tmp_path, progress=stop)
    assert not list(tmp_path.iterdir())
