"""verifiers: a `Rubric` of a compiled reward (verifiers 0.1 to 0.3; later ones have no rubrics).

The reward has weight 1, its named parts are metrics of weight 0. A reward with group functions
becomes a group function; the others score rollout by rollout.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from derl_dsl.adapters.verl import columns_of
from derl_dsl.score.reward import Reward, message_text
from derl_runtime.columns import ColumnError

Function = Callable[..., Any]


def rubric(reward: Reward) -> Any:
    """A `verifiers.Rubric` that scores with a compiled reward.

    Columns are the row's own fields and those of `info`, by name; `completion` and `prompt` are
    the text of the last message. What is not applicable scores 0: a rubric takes numbers alone.
    Raises ImportError without verifiers, or with one that has no rubrics.
    """
    try:
        from verifiers import Rubric
    except ImportError as error:
        raise ImportError(
            f"this needs verifiers with rubrics: pip install 'verifiers<0.4' ({error})"
        ) from error
    funcs, weights = functions(reward)
    return Rubric(funcs=funcs, weights=weights)


def functions(reward: Reward) -> tuple[list[Function], list[float]]:
    """The functions of a rubric with their weights: the reward, then its parts as metrics."""
    names = [n for n in reward.graph.outputs if n != "reward" and n not in reward.params]
    make = _grouped if reward.uses_groups else _alone
    funcs = [make(reward, name) for name in ("reward", *names)]
    return funcs, [1.0, *([0.0] * len(names))]


def _alone(reward: Reward, output: str) -> Function:
    def score(**given: Any) -> float:
        state = given.get("state") or {}
        rows = [_row(reward, given, state)]
        return _scores(reward, output, rows)[0]

    score.__name__ = output
    return score


def _grouped(reward: Reward, output: str) -> Function:
    def score(
        prompts: list[Any], completions: list[Any], answers: list[Any], states: list[Any],
        infos: list[Any],
    ) -> list[float]:  # fmt: skip
        told = zip(prompts, completions, answers, states, infos, strict=True)
        rows = [
            _row(reward, {"prompt": p, "completion": c, "answer": a, "info": i}, s)
            for p, c, a, s, i in told
        ]
        return _scores(reward, output, rows)

    score.__name__ = output
    return score


def _row(reward: Reward, given: Mapping[str, Any], state: Mapping[str, Any]) -> dict[str, Any]:
    """The columns of one rollout, from the call, the row it began with, or its info."""
    places = (given, state.get("input"), given.get("info"), state)
    row = {}
    for name in columns_of(reward):
        place = next((p for p in places if isinstance(p, Mapping) and name in p), None)
        if place is None:
            raise ColumnError(f"the rollout has no {name!r}, in its row, its info or its state")
        row[name] = message_text(place[name])
    return row


def _scores(reward: Reward, output: str, rows: Sequence[Mapping[str, Any]]) -> list[float]:
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    scores = reward.score(columns, group_size=len(rows))
    values = scores.values if output == "reward" else scores.parts[output]
    return [0.0 if v != v else v for v in values.tolist()]
