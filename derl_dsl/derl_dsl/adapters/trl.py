"""TRL: a compiled reward is a reward function already; its terms can be functions of their own.

`GRPOTrainer(reward_funcs=[reward])` takes a `Reward` as it is. `components` gives one function for
each term, with weights, which is what `multi_objective_aggregation="normalize_then_sum"` (GDPO)
and logs by component need; `asynchronous` makes a coroutine of either. All of them pickle.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from derl_dsl.adapters.terms import Term, terms_of, with_terms
from derl_dsl.score.groups import Trainer, trainer_of
from derl_dsl.score.reward import Reward, trl_columns

Scores = list[float | None]


class Components(NamedTuple):
    """Functions for `reward_funcs` and their `reward_weights`."""

    funcs: list[Component]
    weights: list[float]


def components(reward: Reward) -> Components:
    """The terms of a reward as TRL functions; their weighted sum is the reward.

    `0.7 * ok + 0.3 * short` becomes `ok` and `short` with weights 0.7 and 0.3, a constant becomes a
    function `constant`, and a reward that is no sum is one function of weight 1. A completion for
    which the reward is not applicable has None in all of them, and a batch is scored once, however
    many functions there are.

    >>> from derl_dsl import compile
    >>> columns = {"ok": "bool", "short": "number[0, 1]"}
    >>> funcs, weights = components(compile("0.75 * ok + 0.25 * short", columns=columns))
    >>> [f.__name__ for f in funcs], weights
    (['ok', 'short'], [0.75, 0.25])
    >>> [f(completions=["x", "y"], ok=[True, None], short=[0.5, 1.0]) for f in funcs]
    [[1.0, None], [0.5, None]]
    """
    terms, constant = terms_of(reward)
    shared = _Shared(reward, terms)
    funcs = [Component(shared, k, term.name) for k, term in enumerate(terms)]
    weights = [term.weight for term in terms]
    if constant:
        funcs.append(Component(shared, -1, "constant"))
        weights.append(constant)
    return Components(funcs, weights)


class Component:
    """One term of a reward as a TRL reward function."""

    def __init__(self, shared: _Shared, index: int, name: str) -> None:
        self._shared = shared
        self._index = index
        self.__name__ = name

    def __reduce__(self) -> tuple[Any, ...]:
        return (Component, (self._shared, self._index, self.__name__))

    def __call__(
        self,
        prompts: Sequence[Any] | None = None,
        completions: Sequence[Any] | None = None,
        completion_ids: Sequence[Any] | None = None,
        *,
        trainer_state: Any = None,
        log_extra: Any = None,
        log_metric: Any = None,
        environments: Any = None,
        **columns: Any,
    ) -> Scores:
        """The values of the term; None where the whole reward does not apply."""
        given = trl_columns(prompts, completions, completion_ids, trainer_state, columns)
        values, reward = self._shared.score(given, trainer_of(log_metric))
        own = np.ones(len(reward)) if self._index < 0 else values[self._index]
        return [None if r != r else v for v, r in zip(own.tolist(), reward.tolist(), strict=True)]


class _Shared:
    """A reward scored once for all its components: the last batch is remembered.

    Components pickled together share one again.
    """

    def __init__(self, reward: Reward, terms: tuple[Term, ...]) -> None:
        self.reward = reward
        self.terms = terms
        self._scorer = with_terms(reward, terms)
        self._last: tuple[dict[str, Any], tuple[list[Any], Any]] | None = None
        self._lock = threading.Lock()

    def __reduce__(self) -> tuple[Any, ...]:
        return (_Shared, (self.reward, self.terms))

    def score(self, given: dict[str, Any], trainer: Trainer | None) -> tuple[list[Any], Any]:
        """The values of each term and of the reward."""
        seen = {name: _frozen(values) for name, values in given.items()}
        with self._lock:
            if self._last is None or not _same(self._last[0], seen):
                scores = self._scorer.score_call(given, trainer)
                values = [scores.parts[f"~{k}"] for k in range(len(self.terms))]
                self._last = (seen, (values, scores.values))
            return self._last[1]


def _frozen(values: Any) -> Any:
    """The values as they are now: a list that is changed later is another one."""
    return list(values) if isinstance(values, list) else values


def _same(before: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    """Whether two batches hold the very same objects; equal ones are scored again."""
    if before.keys() != now.keys():
        return False
    for name, values in now.items():
        other = before[name]
        if isinstance(values, list) and isinstance(other, list) and len(values) == len(other):
            if not all(a is b for a, b in zip(values, other, strict=True)):
                return False
        elif values is not other and not (isinstance(values, float) and values == other):
            return False
    return True


def asynchronous(function: Callable[..., Scores]) -> AsyncReward:
    """A reward (or one of its components) as a coroutine function, computed in a thread.

    >>> import asyncio
    >>> from derl_dsl import compile
    >>> reward = asynchronous(compile("ok * 2", columns={"ok": "bool"}))
    >>> asyncio.run(reward(completions=["x"], ok=[True]))
    [2.0]
    """
    return AsyncReward(function)


class AsyncReward:
    """A TRL reward function that is awaited; TRL gathers several of them at once."""

    def __init__(self, function: Callable[..., Scores]) -> None:
        self.function = function
        self.__name__ = str(getattr(function, "__name__", "reward"))

    async def __call__(self, *args: Any, **columns: Any) -> Scores:
        """The scores, once a thread has computed them."""
        return await asyncio.to_thread(self.function, *args, **columns)
