"""replay: the stored rollouts of a run, scored again: what each reward would have paid.

Where a reward rises and the outcome does not, the policy has found something else to be paid for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from derl_grammar.records import record

Array = NDArray[np.float64]
_WINDOW = 5


@record
class Curve:
    """The mean of a reward at each step (NaN: it applied to no rollout)."""

    name: str
    means: tuple[float, ...]


@record
class Replay:
    """The steps in order, a curve a reward, the outcome's where it is known; `apart` is the first
    step at which an advantage of a reward and of the first one have other signs, by reward; `onset`
    the first step from which a reward rises while the outcome does not."""

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
) -> Replay:
    """Curves of (B,) rewards over the steps of a run; groups are those of one step."""
    at = np.asarray(steps, dtype=np.int64)
    order = tuple(int(s) for s in np.unique(at))
    curves = curves_of(rewards, at, order)
    right = None if outcome is None else Curve("outcome", _means(outcome, at, order))
    first = next(iter(rewards.values()))
    apart = {name: _apart(first, values, at, groups) for name, values in list(rewards.items())[1:]}
    onset = {c.name: None if right is None else _onset(c.means, right.means, order) for c in curves}
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


def _onset(reward: Sequence[float], outcome: Sequence[float], order: Sequence[int]) -> int | None:
    """The first step from which, over a window, the reward gains a tenth of its whole rise while
    the outcome does not gain; None when there is none."""
    r, o = np.asarray(reward), np.asarray(outcome)
    rise = np.nanmax(r) - np.nanmin(r) if len(r) else 0.0
    for k in range(len(r) - _WINDOW):
        gained = r[k + _WINDOW] - r[k]
        if rise > 0 and gained > 0.1 * rise and o[k + _WINDOW] - o[k] <= 0:
            return order[k]
    return None
