"""Task data for the inner loop: problems with one gold answer, split so that no prompt leaks.

The embedded task, `arithmetic`, is reasoning-gym's `chain_sum` in a short notation. A tiny policy
seldom gets such a sum right in its head and usually does when it writes the running total step by
step, so which way of answering a reward favours shows in pass@1.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar

from derl_grammar.settings import setting
from derl_trainers.tasks.base import Example, OwnTask, Task, TaskError

_TERM = re.compile(r"[+-]?\d+")


@dataclass(frozen=True, slots=True)
class ArithmeticSection(OwnTask):
    """Sums and differences of one-digit numbers, e.g. `7+9-3+2=?`, as reasoning-gym draws them."""

    teaches: ClassVar[bool] = True

    seed: int = setting(0, "which problems are drawn", least=0)
    size: int = setting(2560, "problems of the search, split 8:2 for validation", least=10)
    test_size: int = setting(512, "problems of the final comparison", least=1)
    warmup_size: int = setting(20_000, "problems that only the policy's warm start sees", least=1)
    terms: int = setting(4, "terms of a sum", least=2, most=9)

    def load(self) -> Task:
        """The problems; raises TaskError when fewer distinct ones exist than asked for."""
        return arithmetic(self.seed, self.size, self.test_size, self.warmup_size, self.terms)


def arithmetic(
    seed: int = 0,
    size: int = 2560,
    test_size: int = 512,
    warmup_size: int = 20_000,
    terms: int = 4,
) -> Task:
    """Sums and differences of one-digit numbers, e.g. `7+9-3+2=?`, deterministic by seed.

    `size` counts the pool that is split 8:2 into train and validation. Raises TaskError when
    fewer distinct problems exist than asked for.
    """
    wanted = test_size + size + warmup_size
    examples = _distinct_sums(seed, wanted, terms)
    return Task.cut(f"arithmetic-{terms}", examples, size, test_size)


def _distinct_sums(seed: int, count: int, terms: int) -> tuple[Example, ...]:
    """The first `count` distinct problems of reasoning-gym's stream for this seed."""
    from reasoning_gym import create_dataset  # takes seconds, and settings are read before

    stream = create_dataset(
        "chain_sum",
        # Its rows are seeded by seed + index: a wide stride keeps two seeds from sharing rows.
        seed=seed * 10_000_000,
        size=2 * count,
        min_terms=terms,
        max_terms=terms,
        min_digits=1,
        max_digits=1,
    )
    found: dict[str, Example] = {}
    for row in stream:
        prompt = row["metadata"]["expression"].replace(" ", "") + "=?\n"
        found.setdefault(prompt, Example(prompt, row["answer"]))
        if len(found) == count:
            return tuple(found.values())
    raise TaskError(
        f"only {len(found)} distinct sums of {terms} terms found, {count} asked for: "
        "use fewer examples or more terms"
    )


def worked_steps(example: Example) -> list[str]:
    """The running total of a sum, one equation a step: `7+9-3=?` gives `7+9=16`, `16-3=13`."""
    first, *rest = _TERM.findall(example.prompt)
    total, steps = int(first), []
    for term in rest:
        steps.append(f"{total}{term}={total + int(term)}")
        total += int(term)
    return steps
