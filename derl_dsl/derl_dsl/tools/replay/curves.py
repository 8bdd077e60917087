"""replay: the stored rollouts of a run, scored again: what each reward would have paid.

Where a reward rises and the outcome does not, the policy has found something else to be paid for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from derl_dsl.tools.watch import Batch, Watcher, step_of
from derl_grammar.records import record

Array = NDArray[np.float64]
# Steps before a watch can tell of anything.
SHORTEST = Watcher().warm + Watcher().window + Watcher().patience - 1


@record
class Curve:
    """The mean of a reward at each step (NaN: it applied to no rollout)."""

    name: str
    means: tuple[float, ...]


@record
class Replay:
    """The steps in order, a curve a reward, the outcome's where it is known; `apart` is the first
    step at which an advantage of a reward and of the first one have other signs, by reward; `onset`
    the step from which on a reward rises and right answers do not earn it, as `watch` tells it
    (None: never, or not known)."""

    steps: tuple[int, ...]
    rollouts: int
    curves: tuple[Curve, ...]
    outcome: Curve | None
    apart: Mapping[str, int | None]
    onset: Mapping[str, int | None]


def replay(
    rewards: Mapping[str, Array],
    steps: Sequence[int],
    groups: NDArray[np.int64],
    outcome: Array | None,
    spreads: Mapping[str, float] | None = None,
) -> Replay:
    """Curves of (B,) rewards over the steps of a run; groups are those of one step, `spreads` the
    proven ranges of the rewards."""
    at = np.asarray(steps, dtype=np.int64)
    order = tuple(int(s) for s in np.unique(at))
    curves = curves_of(rewards, at, order)
    right = None if outcome is None else Curve("outcome", _means(outcome, at, order))
    first = next(iter(rewards.values()))
    apart = {name: _apart(first, values, at, groups) for name, values in list(rewards.items())[1:]}
    onset = {
        name: None
        if outcome is None
        else _onset(values, at, groups, outcome, (spreads or {}).get(name))
        for name, values in rewards.items()
    }
    return Replay(order, len(at), curves, right, apart, onset)


def curves_of(
    columns: Mapping[str, Array], at: NDArray[np.int64], order: Sequence[int]
) -> tuple[Curve, ...]:
    """The mean of each (B,) column at each step of `order`."""
    return tuple(Curve(name, _means(values, at, order)) for name, values in columns.items())


def told(found: Replay) -> list[str]:
    """What the curves say, a sentence each."""
    first = found.curves[0].name
    lines = []
    for name, step in found.apart.items():
        where = "never" if step is None else f"from step {step}"
        lines.append(f"{name} would have trained another way than {first}: {where}")
    for name, step in found.onset.items():
        if step is not None:
            lines.append(f"{name} rises from step {step} while the outcome does not")
    if found.outcome is None:
        lines.append("no outcome is known: name it with --outcome to see where reward and it part")
    elif len(found.steps) < SHORTEST:
        lines.append(f"fewer than {SHORTEST} steps: whether a reward rises alone cannot be told")
    return lines


def _means(values: Array, at: NDArray[np.int64], order: Sequence[int]) -> tuple[float, ...]:
    found = []
    for step in order:
        here = values[at == step]
        here = here[~np.isnan(here)]
        found.append(float(here.mean()) if len(here) else float("nan"))
    return tuple(found)


def _apart(a: Array, b: Array, at: NDArray[np.int64], groups: NDArray[np.int64]) -> int | None:
    x, y = (np.sign(np.round(_centred(v, groups), 9)) for v in (a, b))
    differ = x * y < 0
    return int(at[differ].min()) if differ.any() else None


def _centred(values: Array, groups: NDArray[np.int64]) -> Array:
    """Values less the mean of their group, over the rollouts to which the reward applies."""
    known = ~np.isnan(values)
    count = int(groups.max(initial=-1)) + 1
    sums = np.bincount(groups[known], values[known], count)
    sizes = np.maximum(np.bincount(groups[known], minlength=count), 1)
    found: Array = values - (sums / sizes)[groups]
    return found


def _onset(
    values: Array, at: NDArray[np.int64], groups: NDArray[np.int64], outcome: Array,
    spread: float | None,
) -> int | None:  # fmt: skip
    """Since which step the reward rises and right answers do not earn it, as a watch of the run
    would have told."""
    watcher = Watcher() if spread is None else Watcher(spread)
    for step in np.unique(at):
        here = np.flatnonzero(at == step)
        known, own = values[here], np.unique(groups[here], return_inverse=True)[1]
        lengths, failed = np.full(len(here), np.nan), np.isnan(known)
        batch = Batch(known, own, lengths, {}, outcome[here], failed)
        watcher.add(step_of(int(step), batch))
    told = [alarm.since for alarm in watcher.alarms if alarm.kind == "reward without outcome"]
    return told[0] if told else None
