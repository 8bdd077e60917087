"""The embedded tasks: deterministic, disjoint, with gold answers that are right."""

from __future__ import annotations

import re

import pytest

pytest.importorskip("reasoning_gym")

from derl_trainers.tasks.arithmetic import arithmetic, worked_steps
from derl_trainers.tasks.base import Example, TaskError
from derl_trainers.tasks.equations import EquationsSection, solved_steps

SMALL = {"size": 200, "test_size": 50, "warmup_size": 300}


def test_splits_are_disjoint_and_sized() -> None:
    task = arithmetic(**SMALL)
    splits = [task.warmup, task.train, task.validation, task.test]
    assert [len(split) for split in splits] == [300, 160, 40, 50]
    prompts = [example.prompt for split in splits for example in split]
    assert len(set(prompts)) == len(prompts)


def test_default_sizes_keep_noise_small() -> None:
    task = arithmetic()
    assert len(task.validation) == len(task.test) == 512
    assert len(task.train) == 2048


def test_same_seed_same_task_other_seed_another() -> None:
    assert arithmetic(seed=1, **SMALL) == arithmetic(seed=1, **SMALL)
    assert arithmetic(seed=1, **SMALL).train != arithmetic(seed=2, **SMALL).train


def test_test_set_does_not_depend_on_the_pool() -> None:
    assert arithmetic(**SMALL).test == arithmetic(**{**SMALL, "size": 100}).test


def test_gold_answers_are_right() -> None:
    for example in arithmetic(**SMALL).train:
        assert str(eval(example.prompt.removesuffix("=?\n"))) == example.answer
        assert worked_steps(example)[-1].endswith(f"={example.answer}")


def test_worked_steps_carry_the_running_total() -> None:
    assert worked_steps(Example("3-7+2-9=?\n", "-11")) == ["3-7=-4", "-4+2=-2", "-2-9=-11"]


def test_too_few_problems_is_an_error() -> None:
    with pytest.raises(ValueError, match="distinct sums of 2 terms"):
        arithmetic(size=1000, test_size=10, warmup_size=10, terms=2)


def test_equations_are_distinct_and_their_answers_solve_them() -> None:
    section = EquationsSection(size=200, test_size=50, warmup_size=300)
    task = section.load()
    splits = [task.warmup, task.train, task.validation, task.test]
    assert [len(split) for split in splits] == [300, 160, 40, 50]
    every = [example for split in splits for example in split]
    assert len({example.prompt for example in every}) == len(every)
    for example in every:
        left, right = example.prompt.strip().split("=")
        assert eval(left, {"x": int(example.answer)}) == int(right)
        for step in example.solution.splitlines():
            does, gives = step.split("=")
            assert eval(does) == int(gives)
        assert example.solution.endswith(f"={example.answer}")
        assert len(example.solution.splitlines()) == 2
        assert 1 <= int(example.answer) <= section.most
    # Among them are ones that fall with x, that have x alone, and that have no number beside it.
    for kind in (r"-?\d*-\d+\*x", r"-?x[+-]", r"-?\d+\*x="):
        assert any(re.match(kind, example.prompt) for example in every), kind
    assert section.load() == task != EquationsSection(1, 200, 50, 300).load()


_UNSOLVED = ("7*x+1=3", "2*x+3*x=10", "5+x+2=9", "x*7+3=10", "0*x+3=3", "7=7", "5*13+x=70")


@pytest.mark.parametrize("text", _UNSOLVED)
def test_steps_are_of_one_unknown_that_is_whole(text: str) -> None:
    with pytest.raises(ValueError, match=r"no whole number|one term of x"):
        solved_steps(text)


def test_equations_keep_their_test_set_and_say_when_there_are_too_few() -> None:
    small = EquationsSection(size=100, test_size=20, warmup_size=10).load()
    assert small.test == EquationsSection(size=50, test_size=20, warmup_size=10).load().test
    with pytest.raises(TaskError, match="distinct equations of numbers up to 2 found, 1110"):
        EquationsSection(size=1000, test_size=100, warmup_size=10, most=2).load()
