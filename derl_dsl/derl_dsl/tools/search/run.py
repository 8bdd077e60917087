"""search: pose the problem, screen programs, compose the rewards, and tell of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from derl_dsl.tools.evaluate.evaluation import Question, finite
from derl_dsl.tools.search.islands import Searched, Settings, explore
from derl_dsl.tools.search.problem import Problem, pose
from derl_dsl.tools.search.rewards import Composed, compose
from derl_dsl.tools.search.vocabulary import Data
from derl_grammar.records import record
from derl_runtime.data import give_back

__all__ = ["Search", "Settings", "search", "to_json"]


@record
class Search:
    """One search: what was asked, what was screened, and the rewards it gives."""

    problem: Problem
    searched: Searched
    composed: Composed


def search(
    question: Question,
    data: Data,
    settings: Settings,
    group_size: int | None = None,
    top: int = 12,
    told: Callable[[int], None] = lambda screened: None,
) -> Search:
    """Search rewards for the rows of `data`; `question.text` is not read.

    Groups are the rows with equal values of the question's group column, or `group_size`
    neighbours. `told` hears how many programs each task has screened. Raises ColumnError where the
    data does not fit, ValueError for an unknown suite or type, or an outcome that cannot be used.
    """
    give_back()
    problem = pose(question, data, group_size, settings.seed)
    give_back()
    searched = explore(problem.features, problem.screened, settings, told)
    give_back()
    return Search(problem, searched, compose(problem, data, searched.kept, settings.size, top))


def to_json(found: Search, paths: Sequence[Path]) -> dict[str, Any]:
    """The search as plain JSON values."""
    problem, searched, composed = found.problem, found.searched, found.composed
    held = problem.held_out
    written: list[str | None] = [str(path) for path in paths]
    written = written or [None] * len(composed.found)
    record = {
        "suite": problem.suite,
        "outcome": problem.given,
        "outcome_in_rewards": problem.outcome,
        "groups": problem.group,
        "features": [feature.text for feature in problem.features],
        "same_as_outcome": list(problem.same),
        "flat": list(problem.flat),
        "rows": {"screened": problem.screened.rows, "held_out": 0 if held is None else held.rows},
        "screened": searched.screened,
        "distinct": searched.distinct,
        "distinct_rewards": searched.rewards,
        "not_finite": searched.screened - searched.finite,
        "seconds": searched.seconds,
        "refused": composed.refused,
        "outcome_alone_spread": problem.mixed,
        "rewards": [
            {**asdict(reward), "path": path}
            for reward, path in zip(composed.found, written, strict=True)
        ],
    }
    plain: dict[str, Any] = finite(record)
    return plain
