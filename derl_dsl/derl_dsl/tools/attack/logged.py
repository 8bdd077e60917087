"""Logged rollouts as problems to attack: prompt, gold, and what was said right and wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from derl_dsl.score.reward import Reward, columns_of
from derl_dsl.tools.attack.families import Problem
from derl_dsl.tools.attack.search import Logged
from derl_runtime.data import listed, value_of
from derl_runtime.reading import ColumnError

_PROBLEMS = 16
_TEXTS = 4


def logged_problems(reward: Reward, rows: Mapping[str, Any]) -> list[Logged]:
    """The first problems of the data that hold both, else all; ColumnError without a gold answer.

    `rows` are lists or Arrow arrays by name.
    A row is right when the reward's outcome says so, or, where the reward knows of none, a column
    `is_correct` or `correct` does.
    """
    for name in ("completion", "answer"):
        if name not in rows:
            have = ", ".join(rows)
            raise ColumnError(f"the column {name!r} is missing; the data has: {have}")
    verdicts = _verdicts(reward, rows)
    answers = listed(rows["answer"])
    prompts = listed(rows["prompt"]) if "prompt" in rows else answers
    found: dict[str, list[int]] = {}
    for k, (prompt, gold) in enumerate(zip(prompts, answers, strict=True)):
        if isinstance(gold, str) and isinstance(value_of(rows["completion"], k), str):
            found.setdefault(f"{prompt}\0{gold}", []).append(k)
    golds = list(dict.fromkeys(g for g in answers if isinstance(g, str)))
    if len(golds) < 2:
        raise ColumnError("an attack needs rows with at least two different answers")
    both = [m for m in found.values() if len({verdicts[k] for k in m}) > 1]
    chosen = (both or list(found.values()))[:_PROBLEMS]
    return [_problem(reward, rows, members, verdicts, golds) for members in chosen]


def _verdicts(reward: Reward, rows: Mapping[str, Any]) -> list[bool]:
    for name in ("is_correct", "correct"):
        if name in rows:
            return [bool(v) for v in listed(rows[name])]
    if reward.outcome is None:
        raise ColumnError(
            "nothing says which rows are right: name the --outcome, or give a column is_correct"
        )
    needed = {name: rows[name] for name in columns_of(reward) if name in rows}
    count = len(rows["completion"])
    scores = reward.score(needed, group_size=count if reward.uses_groups else None)
    return [bool(v > 0.5) for v in scores.inputs[reward.outcome].tolist()]


def _problem(
    reward: Reward,
    rows: Mapping[str, Any],
    members: Sequence[int],
    verdicts: Sequence[bool],
    golds: Sequence[str],
) -> Logged:
    first = members[0]
    gold = value_of(rows["answer"], first)
    others = [g for g in golds if g.strip().lower() != gold.strip().lower()]
    start = golds.index(gold) % max(1, len(others))
    turned = [*others[start:], *others[:start]]
    prompt = value_of(rows["prompt"], first) if "prompt" in rows else ""
    problem = Problem(str(prompt), gold, turned[0], tuple(turned[1:6]))
    skipped = ("completion", "answer", "prompt", "completion_ids")
    names = [n for n in columns_of(reward) if n in rows and n not in skipped]
    row = {n: value_of(rows[n], first) for n in names}
    said = {k: value_of(rows["completion"], k) for k in members}
    right = tuple(dict.fromkeys(said[k] for k in members if verdicts[k]))[:_TEXTS]
    wrong = tuple(dict.fromkeys(said[k] for k in members if not verdicts[k]))[:_TEXTS]
    return Logged(problem, row, right, wrong)
