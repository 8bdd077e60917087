"""The cap of inner runs: what a run may cost, measured on one with the outcome alone."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, TypeVar

from derl_trainers.settings.run import BudgetSection

B = TypeVar("B", bound=BudgetSection)
# The parts of an inner run's time that a budget in seconds counts.
_TRAINING = ("generate_seconds", "reward_seconds", "update_seconds")


def capped(budget: BudgetSection, outcome: Mapping[str, Any], steps: int) -> BudgetSection:
    """The budget of runs of `steps` steps: `budget.cap` times what the outcome alone costs.

    `outcome` is the result of an InnerJob with the outcome alone, of any number of steps and from
    the same policy; a run that ended early counts by its cost a step. Counted in tokens, the cap
    follows from settings and seed: it is the same in a run that was resumed.

    >>> capped(BudgetSection(cap=1.5), {"steps": 4, "tokens": 1000}, steps=24).tokens
    9000
    """
    spent = outcome["tokens"]
    if budget.cap_by == "seconds":
        spent = sum(outcome[part] for part in _TRAINING)
    return within(budget, budget.cap * spent / outcome["steps"] * steps)


def within(budget: B, most: float) -> B:
    """A budget with a further limit, in what its `cap_by` says; 0 is no limit."""
    if not most:
        return budget
    if budget.cap_by == "seconds":
        return replace(budget, seconds=min(budget.seconds or most, most))
    tokens = max(1, math.floor(most))
    return replace(budget, tokens=min(budget.tokens or tokens, tokens))
