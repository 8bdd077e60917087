"""Any family of reasoning-gym as a task, judged by its own scorer.

What is right is what the family's scorer gives 1. Its scores in between are the primitive
`gym_score(completion, answer)`, which formulas may call with a suite that has these columns: it
finds the problem by its gold answer, in the process that has drawn it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from derl_grammar.settings import setting
from derl_primitives.answers import marked_answer
from derl_trainers.tasks.base import Example, OwnTask, Task, TaskError

_ASK = "{question}\n\nPut the final answer in \\boxed{}."
_BOX = re.compile(r"\\boxed\s*\{")
Problem = tuple[Any, dict[str, Any]]  # what scores it, and its row
# The problems drawn in this process.
_BY_PROMPT: dict[str, Problem] = {}
_BY_ANSWER: dict[str, list[Problem]] = {}


@dataclass(frozen=True, slots=True)
class GymSection(OwnTask):
    """A family of reasoning-gym, such as `spell_backward`; `config` has settings of its own."""

    teaches: ClassVar[bool] = True
    primitives: ClassVar[tuple[str, ...]] = ("derl_trainers.tasks.gym_score",)

    family: str = setting("spell_backward", "its name in reasoning-gym")
    seed: int = setting(0, "which problems are drawn", least=0)
    size: int = setting(2560, "problems of the search, split 8:2 for validation", least=10)
    test_size: int = setting(512, "problems of the final comparison", least=1)
    template: str = setting(
        _ASK, "what the policy reads, with `{question}` where the family's question goes"
    )
    config: Mapping[str, Any] = field(default_factory=dict, hash=False)
    warmup_size: int = setting(
        0, "further problems, whose gold answers alone teach the policy `tiny`; 0 = none", least=0
    )

    @property
    def can_teach(self) -> bool:
        """Whether problems were set apart for the policy `tiny`."""
        return self.warmup_size > 0

    def load(self) -> Task:
        """The problems; raises TaskError for an unknown family, or settings it does not take."""
        if "{question}" not in self.template:
            raise TaskError("template in [task.reasoning_gym]: write {question} where it goes")
        pool = self._drawn(self.size + self.test_size + self.warmup_size)
        return Task.cut(self.family, pool, self.size, self.test_size, scorer=official, plain=True)

    def _drawn(self, count: int) -> tuple[Example, ...]:
        """The first `count` distinct problems of the family's stream for this seed."""
        from reasoning_gym.factory import DATASETS, create_dataset

        if self.family not in DATASETS:
            raise TaskError(
                f"[task.reasoning_gym] family: reasoning-gym has no family {self.family!r}"
            )
        try:
            stream = create_dataset(
                self.family, seed=self.seed * 10_000_000, size=2 * count, **self.config
            )
        except (TypeError, AssertionError, ValueError) as error:
            raise TaskError(f"[task.reasoning_gym] {self.family}: {error}") from None
        found: dict[str, Example] = {}
        for row in stream:
            prompt = self.template.replace("{question}", row["question"])
            if prompt not in found:
                found[prompt] = Example(prompt, str(row["answer"]))
                if prompt not in _BY_PROMPT:
                    _BY_PROMPT[prompt] = (stream, row)
                    _BY_ANSWER.setdefault(str(row["answer"]), []).append((stream, row))
            if len(found) == count:
                return tuple(found.values())
        raise TaskError(
            f"only {len(found)} distinct problems of {self.family} found, {count} asked for"
        )


def scores(completions: Sequence[str], answers: Sequence[str]) -> NDArray[np.float64]:
    """The family's own score of each completion, (B,) in [0, 1], its problem known by its answer.

    Of problems that share an answer the least of their scores counts. NaN for an answer that is of
    no problem drawn here.
    """
    found = [
        min((_score(completion, one) for one in _BY_ANSWER.get(answer, ())), default=np.nan)
        for completion, answer in zip(completions, answers, strict=True)
    ]
    return np.array(found)


def official(completions: Sequence[str], examples: Sequence[Example]) -> NDArray[np.bool_]:
    """Which completions the scorer of their own problem gives 1."""
    pairs = zip(completions, examples, strict=True)
    return np.array([_score(text, _BY_PROMPT[e.prompt]) >= 1 for text, e in pairs])


def _score(completion: str, problem: Problem) -> float:
    """What is boxed is the answer, else the whole completion is."""
    answer = marked_answer(completion) if _BOX.search(completion) else completion.strip()
    stream, row = problem
    return min(1.0, max(0.0, float(stream.score_answer(answer, row))))
