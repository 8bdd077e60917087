"""The cap of inner runs: what a run may cost, measured on one with the outcome alone."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, TypeVar

from derl_trainers.config import BudgetSection

B = TypeVar("B", bound=BudgetSection)
# The parts of an inner run's time that a budget in seconds counts.
_TRAINING = ("generate_seconds", "reward_seconds", "update_seconds")


def capped(budget: BudgetSection, outcome: Mapping[str, Any], steps: int) -> BudgetSection:
    """The budget of runs of `steps` steps, given the result of an InnerJob with the outcome alone.

    The cap is `budget.cap` times what `steps` steps of that run cost, in tokens or seconds as
    `budget.cap_by` says; a run that ended early is counted by its cost a step.

    >>> capped(BudgetSection(), {"steps": 4, "tokens": 1000}, 24).tokens
    7800
    """
    if not budget.cap:
        return budget
    spent = outcome["tokens"]
    if budget.cap_by == "seconds":
        spent = sum(outcome[part] for part in _TRAINING)
    return within(budget, budget.cap * spent / outcome["steps"] * steps)


def within(budget: B, cap: float) -> B:
    """A budget with a further limit, in what its `cap_by` says."""
    if budget.cap_by == "seconds":
        return replace(budget, seconds=min(budget.seconds or cap, cap))
    tokens = max(1, math.floor(cap))
    return replace(budget, tokens=min(budget.tokens or tokens, tokens))
