"""Equations in one unknown, solved in two steps: reasoning-gym's `simple_equations`, in short.

As with `arithmetic`, a small policy seldom guesses the unknown and usually finds it when it writes
the steps, so which way of answering a reward favours shows in pass@1.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from operator import itemgetter
from typing import ClassVar

from derl_grammar.settings import setting
from derl_trainers.tasks.base import Example, OwnTask, Task, TaskError

_STALE = 3000  # rows in a row that were drawn before: hardly one is left
_TERM = re.compile(r"(?P<sign>[+-]?)(?:(?:(?P<times>\d+)\*)?(?P<what>x)|(?P<number>\d+))")


@dataclass(frozen=True, slots=True)
class EquationsSection(OwnTask):
    """Equations such as `7*x+13=69`, whose answer is x; two steps: `69-13=56`, `56/7=8`."""

    teaches: ClassVar[bool] = True

    seed: int = setting(0, "which problems are drawn", least=0)
    size: int = setting(2560, "problems of the search, split 8:2 for validation", least=10)
    test_size: int = setting(512, "problems of the final comparison", least=1)
    warmup_size: int = setting(2500, "problems that only the policy's warm start sees", least=1)
    most: int = setting(
        10,
        "largest number drawn, of which two are added up, and largest unknown; below 8 there are "
        "fewer problems than the defaults ask for",
        least=2,
    )

    def load(self) -> Task:
        """The problems; raises TaskError when fewer distinct ones exist than asked for."""
        wanted = self.test_size + self.size + self.warmup_size
        drawn = _distinct(self.seed, wanted, self.most)
        return Task.cut("equations", drawn, self.size, self.test_size, characters="*/x")


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
    since = 0
    for row in stream:
        about = row["metadata"]
        equation = about["equation"].replace(about["variable"], "x").replace(" ", "")
        since += 1
        if equation not in found:
            since = 0
            steps = "\n".join(solved_steps(equation))
            found[equation] = Example(equation + "\n", row["answer"], solution=steps)
        if len(found) == count:
            return tuple(found.values())
        if since == _STALE:
            break
    raise TaskError(
        f"only {len(found)} distinct equations of numbers up to {most} found, {count} asked for: "
        "use fewer examples or a larger `most`"
    )


def solved_steps(equation: str) -> list[str]:
    """The two steps that solve an equation: what the unknown's term is worth, and the unknown.

    Raises ValueError where that is not one term of x, at most one number, and a whole unknown.

    >>> solved_steps("7*x+13=69"), solved_steps("13-7*x=-8"), solved_steps("x-5=12")
    (['69-13=56', '56/7=8'], ['13+8=21', '21/7=3'], ['12+5=17', '17/1=17'])
    >>> solved_steps("7*x=49"), solved_steps("-7*x-8=-64")
    (['49+0=49', '49/7=7'], ['-8+64=56', '56/7=8'])
    """
    left, _, right = equation.partition("=")
    terms = list(_TERM.finditer(left))
    numbers = [int(term["sign"] + term["number"]) for term in terms if term["number"]]
    times = [int(f"{term['sign']}{term['times'] or 1}") for term in terms if term["what"]]
    if "".join(map(itemgetter(0), terms)) != left or len(times) != 1 or len(numbers) > 1:
        raise ValueError(f"{equation}: not an equation with one term of x and one number")
    (by,), constant, value = times, sum(numbers), int(right)
    first, less = (value, constant) if by > 0 else (constant, value)
    worth = first - less
    if not by or worth % by:
        raise ValueError(f"{equation}: is solved by no whole number")
    return [f"{first}{-less:+}={worth}", f"{worth}/{abs(by)}={worth // abs(by)}"]
