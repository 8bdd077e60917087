"""Equations in one unknown, solved in two steps: reasoning-gym's `simple_equations`, in short.

As with `arithmetic`, a small policy seldom guesses the unknown and usually finds it when it writes
the steps, so which way of answering a reward favours shows in pass@1.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar

from derl_grammar.settings import setting
from derl_trainers.tasks.base import Example, OwnTask, Task, TaskError

_TERM = re.compile(r"(?P<sign>[+-]?)(?:(?P<times>\d+)\*)?(?P<what>x|\d+)")


@dataclass(frozen=True, slots=True)
class EquationsSection(OwnTask):
    """Equations such as `7*x+13=69`, with whole numbers, as reasoning-gym draws them."""

    teaches: ClassVar[bool] = True

    seed: int = setting(0, "which problems are drawn", least=0)
    size: int = setting(2560, "problems of the search, split 8:2 for validation", least=10)
    test_size: int = setting(512, "problems of the final comparison", least=1)
    warmup_size: int = setting(2500, "problems that only the policy's warm start sees", least=1)
    most: int = setting(10, "largest number in an equation, and largest unknown", least=2)

    def load(self) -> Task:
        """The problems; raises TaskError when fewer distinct ones exist than asked for."""
        wanted = self.test_size + self.size + self.warmup_size
        drawn = _distinct(self.seed, wanted, self.most)
        test, pool = drawn[: self.test_size], drawn[self.test_size :][: self.size]
        at = self.size * 8 // 10
        return Task(
            name="equations",
            warmup=drawn[self.test_size + self.size :],
            train=pool[:at],
            validation=pool[at:],
            test=test,
            characters="*/x",
        )


def _distinct(seed: int, count: int, most: int) -> tuple[Example, ...]:
    """The first `count` distinct equations of reasoning-gym's stream for this seed."""
    from reasoning_gym import create_dataset  # takes seconds, and settings are read before

    stream = create_dataset(
        "simple_equations",
        # Its rows are seeded by seed + index: a wide stride keeps two seeds from sharing rows.
        seed=seed * 10_000_000,
        size=10 * count,
        min_terms=3,
        max_terms=3,
        max_value=most,
        operators_weights=[0.5, 0.5, 0.0],
    )
    found: dict[str, Example] = {}
    for row in stream:
        about = row["metadata"]
        equation = about["equation"].replace(about["variable"], "x").replace(" ", "")
        if equation not in found:
            steps = "\n".join(solved_steps(equation))
            found[equation] = Example(equation + "\n", row["answer"], solution=steps)
        if len(found) == count:
            return tuple(found.values())
    raise TaskError(
        f"only {len(found)} distinct equations with numbers up to {most} found, {count} asked "
        "for: use fewer examples or larger numbers"
    )


def solved_steps(equation: str) -> list[str]:
    """The two steps that solve an equation: what the unknown's term is worth, and the unknown.

    >>> solved_steps("7*x+13=69"), solved_steps("13-7*x=-8"), solved_steps("x-5=12")
    (['69-13=56', '56/7=8'], ['13+8=21', '21/7=3'], ['12+5=17', '17/1=17'])
    """
    left, _, right = equation.partition("=")
    constant = times = 0
    for term in _TERM.finditer(left):
        sign = -1 if term["sign"] == "-" else 1
        if term["what"] == "x":
            times = sign * int(term["times"] or 1)
        else:
            constant = sign * int(term["what"])
    value = int(right)
    first, less = (value, constant) if times > 0 else (constant, value)
    worth = first - less
    return [f"{first}{-less:+}={worth}", f"{worth}/{abs(times)}={worth // abs(times)}"]
