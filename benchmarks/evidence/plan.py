"""What is run, in order: the blocks of each start policy, as PREREGISTRATION.md has them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

from derl_trainers.outer.baselines import baselines
from derl_trainers.outer.prompts import scores
from derl_trainers.runs.store.comparison import OUTCOME_ONLY

HERE = Path(__file__).parent
TASKS = tuple(sorted(path.stem for path in HERE.glob("*.toml")))
ARMS = ("grpo", "frozen", "frozen+masked", "grpo+masked")
OTHERS = ("evolution", "graph-rl", "graph-fit")  # proposers beside those of the headlines
GRID, SIGNS, LATER = "grid", "signs", "later"
EVERY = (*ARMS, *OTHERS, GRID, SIGNS, LATER)
AT_RATE, _TUNED = ", long, rate x", ", long, tuned"
TRIED, TUNED = f"{OUTCOME_ONLY}{AT_RATE}", f"{OUTCOME_ONLY}{_TUNED}"
FOUND, FOUND_TUNED = "best formula", f"best formula{_TUNED}"
FIRST, LAST = 100, 131
SIGNED = 101  # of arithmetic, where 100 ran under another MKL; of the others the first
PAIRS_FIRST = 113  # from here on the pairs of trained and frozen come first
OTHER_STARTS = range(100, 108)  # of every task but arithmetic
OTHERS_STARTS = range(101, 109)  # of the other proposers on arithmetic
LONG, CURVE = 5, 20  # how many times an inner run the outcome's own is, and steps between points
RATES = (0.3, 1.0, 3.0)  # learning rates the outcome alone is tried with, times the task's


@dataclass(frozen=True, slots=True)
class Block:
    """A part of the work that is complete or not: a grid of rewards, or a search (`arm`).

    LATER is the best formula that `grpo` found, trained as long as the outcome alone in the grid.
    """

    task: str
    seed: int
    arm: str

    @property
    def name(self) -> str:
        """Its folder's name."""
        return f"{self.arm}-{self.seed}"


@dataclass(frozen=True, slots=True)
class Row:
    """A reward of a grid; `times` an inner run long, at `rate` times the task's learning rate."""

    label: str
    formula: str
    times: int = 1
    rate: float = 1.0
    validated: bool = True
    tested: bool = True


def blocks(task: str) -> Iterator[Block]:
    """All blocks of a task, in the order in which they are run."""
    if task != "arithmetic":
        for arms in (("grpo", "frozen"), (GRID,), (LATER,)):
            yield from (Block(task, seed, arm) for seed in OTHER_STARTS for arm in arms)
        yield Block(task, FIRST, SIGNS)
        for arm in ("frozen+masked", "grpo+masked", *OTHERS):
            yield from (Block(task, seed, arm) for seed in OTHER_STARTS)
        return
    for seed in range(FIRST, PAIRS_FIRST):
        yield from (Block(task, seed, arm) for arm in (GRID, *ARMS, LATER))
        if seed == SIGNED:
            yield Block(task, seed, SIGNS)
    for arms in (("grpo", "frozen"), (GRID,), ("frozen+masked", "grpo+masked", LATER)):
        yield from (Block(task, seed, arm) for seed in range(PAIRS_FIRST, LAST + 1) for arm in arms)
    yield from (Block(task, seed, arm) for arm in OTHERS for seed in OTHERS_STARTS)


def grid(suite: str) -> list[Row]:
    """The outcome at several lengths, and with each of the other scores."""
    outcome, *others = scores(suite)
    alone = baselines(suite)[OUTCOME_ONLY]
    return [
        Row(f"{OUTCOME_ONLY}, long", alone, LONG, validated=False),
        *(Row(f"outcome + {name}", f"{outcome} + {name}") for name in others),
    ]


def tuning(suite: str) -> list[Row]:
    """The outcome alone, long, at each learning rate: for validation to choose among."""
    return at_rates(OUTCOME_ONLY, baselines(suite)[OUTCOME_ONLY])


def at_rates(label: str, formula: str) -> list[Row]:
    """A reward, long, at each learning rate."""
    row = Row(label, formula, LONG, tested=False)
    return [replace(row, label=f"{label}{AT_RATE} {rate:g}", rate=rate) for rate in RATES]


def tuned(row: Row) -> Row:
    """The best of these rows, as it is tested."""
    label = row.label.partition(AT_RATE)[0] + _TUNED
    return replace(row, label=label, validated=False, tested=True)


def signs(suite: str) -> list[Row]:
    """Every weight in -1, 0, 1 but all zero."""
    found = []
    for weights in product((-1, 0, 1), repeat=len(scores(suite))):
        if any(weights):
            terms = zip(weights, scores(suite), strict=True)
            text = " ".join(f"{'+' if w > 0 else '-'} {name}" for w, name in terms if w)
            found.append(Row(text, text.removeprefix("+ "), tested=False))
    return found
