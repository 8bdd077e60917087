"""Logged rollouts as problems to attack: prompt, gold, and what was said right and wrong."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from derl_dsl.score.judging import judge_of
from derl_dsl.score.reward import Reward, columns_of
from derl_dsl.tools.attack.families import Problem
from derl_dsl.tools.attack.search import Logged, Said
from derl_primitives.correct import correct
from derl_runtime.data import listed, value_of
from derl_runtime.reading import ColumnError

_PROBLEMS = 16
_TEXTS, _OTHERS = 4, 6
_ALIKE = "an attack needs rows with at least two different answers"


def logged_problems(reward: Reward, rows: Mapping[str, Any]) -> list[Logged]:
    """The first problems of the data that hold both, else all; ColumnError without a gold answer.

    `rows` are lists or Arrow arrays by name.
    A row is right when a column `is_correct` or `correct` says so, else the reward's outcome, else
    that of its suite.
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
        if _golds(gold) and isinstance(value_of(rows["completion"], k), str):
            found.setdefault(f"{prompt}\0{gold}", []).append(k)
    if not found:
        raise ColumnError("no row has a completion and an answer that is a text or a number")
    golds = list(dict.fromkeys(gold for some in answers for gold in _golds(some)))
    if len(golds) < 2:
        raise ColumnError(_ALIKE)
    both = [m for m in found.values() if len({verdicts[k] for k in m}) > 1]
    chosen = (both or list(found.values()))[:_PROBLEMS]
    return [_problem(reward, rows, members, verdicts, golds) for members in chosen]


def _verdicts(reward: Reward, rows: Mapping[str, Any]) -> list[bool]:
    for name in ("is_correct", "correct"):
        if name in rows:
            return [bool(v) for v in listed(rows[name])]
    judge = judge_of(reward)
    if judge is None and reward.outcome is None:
        raise ColumnError(
            "nothing says which rows are right: name the --outcome, or give a column is_correct"
        )
    asked = judge or reward
    needed = {name: rows[name] for name in columns_of(asked) if name in rows}
    count = len(rows["completion"])
    scores = asked.score(needed, group_size=count if asked.uses_groups else None)
    values = scores.values if judge else scores.inputs[str(reward.outcome)]
    return [bool(v > 0.5) for v in values.tolist()]


def _golds(value: Any) -> tuple[str, ...]:
    """A gold answer as texts: of a list any is right; none of what is no text and no number.

    >>> _golds("4"), _golds(4.0), _golds([4, "four"]), _golds(None)
    (('4',), ('4',), ('4', 'four'), ())
    """
    if isinstance(value, str):
        return (value,) if value.strip() else ()
    if isinstance(value, Sequence):
        return tuple(
            gold for one in value if isinstance(one, str | int | float) for gold in _golds(one)
        )
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value:
        return ()
    return (f"{value:.15g}",)


def _problem(
    reward: Reward,
    rows: Mapping[str, Any],
    members: Sequence[int],
    verdicts: Sequence[bool],
    golds: Sequence[str],
) -> Logged:
    first = members[0]
    gold, *also = _golds(value_of(rows["answer"], first))
    start = golds.index(gold) + 1
    turned = _wrong([*golds[start:], *golds[:start]], (gold, *also))
    if not turned:
        raise ColumnError(_ALIKE)
    prompt = value_of(rows["prompt"], first) if "prompt" in rows else ""
    problem = Problem(str(prompt), gold, turned[0], tuple(turned[1:]))
    skipped = ("completion", "answer", "prompt", "completion_ids")
    names = [n for n in columns_of(reward) if n in rows and n not in skipped]
    right, wrong = (
        _said(rows, names, (k for k in members if verdicts[k] is one)) for one in (True, False)
    )
    return Logged(problem, {n: value_of(rows[n], first) for n in names}, right, wrong)


def _said(
    rows: Mapping[str, Any], names: Sequence[str], members: Iterable[int]
) -> tuple[Said, ...]:
    """The first rows that differ, in what was said or in another column that is read."""
    found: dict[str, Said] = {}
    for k in members:
        row = {n: value_of(rows[n], k) for n in names}
        said = Said(value_of(rows["completion"], k), row)
        found.setdefault(f"{said.text}\0{row}", said)
        if len(found) == _TEXTS:
            break
    return tuple(found.values())


def _wrong(golds: Sequence[str], right: Sequence[str]) -> list[str]:
    """The first answers that are none of the right ones, also by another spelling."""
    found: list[str] = []
    for gold in golds:
        alike = any(gold.strip().lower() == one.strip().lower() for one in right)
        if not alike and not any(correct([f"\\boxed{{{gold}}}"] * len(right), list(right))):
            found.append(gold)
        if len(found) == _OTHERS:
            break
    return found
