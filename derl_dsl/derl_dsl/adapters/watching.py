"""watch: a TRL callback that tells what goes wrong while a reward trains a policy.

It looks on at each call of the reward, so it knows the rollouts themselves, and logs through the
trainer (`watch/…`), so that whatever the trainer reports to has its figures and alarms.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from transformers import TrainerCallback

from derl_dsl.score.judging import judge_of
from derl_dsl.score.observing import Call
from derl_dsl.score.reward import NAME, Reward, columns_of
from derl_dsl.tools.pages.excerpts import texts
from derl_dsl.tools.watch import KINDS, Alarm, Batch, Step, Watcher, step_of
from derl_runtime.reading import ColumnError

Array = NDArray[np.float64]
_LOG = logging.getLogger("derl_dsl.watch")
_ROWS = 3
_LONGEST = 2000


class Watch(TrainerCallback):  # type: ignore[misc]
    """The callback; `alarms` are those so far. Build it with `watch`."""

    def __init__(
        self, reward: Reward, outcome: str | None, told: Callable[[Alarm], None] | None
    ) -> None:
        self.reward = reward
        self._told = told
        self._judge = judge_of(reward, outcome)
        self._untold = False
        self._calls = 0
        self._name = "" if reward.__name__ == NAME else f"{reward.__name__}/"
        certificate = reward.certificate
        spread = certificate.hi - certificate.lo
        self.watcher = Watcher(spread if math.isfinite(spread) else 1.0)
        self.alarms: list[Alarm] = []

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Begin to look on."""
        if self.see not in self.reward.observers:
            self.reward.observers.append(self.see)

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Look on no more."""
        if self.see in self.reward.observers:
            self.reward.observers.remove(self.see)

    def see(self, call: Call) -> None:
        """Take in one call of the reward: a step of the training."""
        # Of a run that was resumed the steps before are counted.
        self._calls = (self._calls or call.step or 0) + 1
        batch = self._batch(call)
        step = step_of(self._calls, batch)
        found = [_with_rows(alarm, call, batch) for alarm in self.watcher.add(step)]
        self.alarms += found
        if call.log_metric is not None:
            for name, value in _metrics(step, found).items():
                call.log_metric(f"watch/{self._name}{name}", value)
        for alarm in found:
            if self._told is None:
                _LOG.warning("%s", alarm)
            else:
                self._told(alarm)

    def _batch(self, call: Call) -> Batch:
        scores = call.scores
        right = self._right(call)
        name = self.reward.outcome
        parts = {n: v for n, v in scores.parts.items() if n not in self.reward.params}
        parts |= {n: v for n, v in scores.inputs.items() if n != name}
        # A part that is the outcome by another name is no part that competes with it.
        if right is not None:
            parts = {n: v for n, v in parts.items() if not np.array_equal(v, right, equal_nan=True)}
        return Batch(scores.values, call.groups, _lengths(call), parts, right, scores.failed)

    def _right(self, call: Call) -> Array | None:
        """Which rollouts were right; where nobody knows, that is told once."""
        found, why = self._known(call)
        if found is None and not self._untold:
            self._untold = True
            _LOG.warning("nothing says which rollouts are right, so a hack cannot be told: %s", why)
        return found

    def _known(self, call: Call) -> tuple[Array | None, str]:
        if self._judge is None:
            right = call.scores.inputs.get(self.reward.outcome or "")
            return right, "name it with outcome=…"
        judge, groups = self._judge, call.groups.tolist()
        given = {n: call.columns[n] for n in columns_of(judge) if n in call.columns}
        try:
            found = judge.score(given, group=groups if judge.uses_groups else None, uneven=True)
        except ColumnError as error:
            return None, str(error)
        unknown = np.isnan(found.values).all() and len(found.values) > 0
        return (None, str(judge.faults)) if unknown else (found.values, "")


def watch(
    reward: Reward, outcome: str | None = None, told: Callable[[Alarm], None] | None = None
) -> Watch:
    """Watch a reward while it trains: give the result to TRL's trainer among its `callbacks`.

    Tells (to `told`, else as a warning of the logger `derl_dsl.watch`; in `.alarms`; and as metrics
    `watch/…` of the trainer) when the reward rises and right answers do not, one part decides
    alone, lengths drift, groups go flat, variance collapses, or faults rise; all against the first
    steps (of a resumed run, those since). `outcome` is an expression that says which rollouts are
    right; without one it is that of the reward or its suite, and where nobody knows one a warning
    says so. Raises RewardError when it does not compile, ModuleNotFoundError without transformers.
    """
    return Watch(reward, outcome, told)


def _lengths(call: Call) -> Array:
    """Tokens of each completion where the trainer says them, else characters."""
    ids = call.columns.get("completion_ids")
    found = ids if ids is not None else texts(call.columns)
    rows = len(call.scores.values)
    known = found if found is not None else [None] * rows
    return np.array([np.nan if v is None else float(len(v)) for v in known])


def _metrics(step: Step, found: list[Alarm]) -> Mapping[str, float]:
    """The figures of a step under the trainer's `watch/`: those known, and which alarms began."""
    known = {"right": step.right, "dead_groups": step.dead, "failed": step.failed}
    shown = {name: value for name, value in known.items() if not math.isnan(value)}
    kinds = {alarm.kind for alarm in found}
    return shown | {kind.replace(" ", "_"): float(kind in kinds) for kind in KINDS}


def _with_rows(alarm: Alarm, call: Call, batch: Batch) -> Alarm:
    """The alarm with rollouts that show it: the highest paid wrong ones, the longest, …"""
    values = np.where(np.isnan(batch.values), -np.inf, batch.values)
    order = _shown_by(alarm, values, batch)
    said = texts(call.columns)
    rows = []
    for k in order[:_ROWS].tolist():
        row: dict[str, Any] = {"reward": float(batch.values[k])}
        if batch.right is not None:
            row["right"] = float(batch.right[k])
        for name in ("prompt", "answer"):
            if isinstance(call.columns.get(name), list):
                row[name] = str(call.columns[name][k])[:_LONGEST]
        row["completion"] = None if said is None or said[k] is None else str(said[k])[:_LONGEST]
        rows.append(row)
    return Alarm(
        alarm.kind, alarm.step, alarm.since, alarm.figure, alarm.usual, alarm.of, tuple(rows)
    )


def _shown_by(alarm: Alarm, values: Array, batch: Batch) -> NDArray[np.int64]:
    """Rows in the order in which they show what the alarm says."""
    if alarm.kind == "faults rise":
        return np.flatnonzero(batch.failed)
    if alarm.kind == "length drifts":
        sign = -1.0 if alarm.figure > alarm.usual else 1.0
        return np.argsort(sign * batch.lengths, kind="stable")
    if alarm.kind == "one part dominates":
        return np.argsort(-np.nan_to_num(batch.parts[alarm.of]), kind="stable")
    if alarm.kind == "reward without outcome" and batch.right is not None:
        return np.argsort(np.where(batch.right > 0.5, np.inf, -values), kind="stable")
    known = np.nan_to_num(batch.values)
    means = np.bincount(batch.groups, known) / np.maximum(np.bincount(batch.groups), 1)
    spread = np.bincount(batch.groups, np.abs(known - means[batch.groups]))
    return np.argsort(spread[batch.groups], kind="stable")
