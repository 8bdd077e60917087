"""compile: a checked program with its kernel; scores batches and speaks the TRL protocol."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from derl_grammar.diagnostics import Diagnostic, render
from derl_grammar.limits import MODEL, Limits
from derl_grammar.spans import Source
from derl_grammar.types import Type
from derl_runtime.columns import Batch, ColumnError
from derl_runtime.faults import Fault, fault
from numpy.typing import NDArray

from derl_dsl.backends import BACKENDS
from derl_dsl.backends.reference import Kernel
from derl_dsl.certificate import Certificate
from derl_dsl.checker import Checked, check_source
from derl_dsl.ir import Input
from derl_dsl.key import key
from derl_dsl.scope import build_scope

Array = NDArray[np.float64]


class RewardError(ValueError):
    """A program with errors; `diagnostics` has them all."""

    def __init__(self, checked: Checked) -> None:
        self.diagnostics: tuple[Diagnostic, ...] = checked.diagnostics
        self.checked = checked
        super().__init__("\n" + render(checked.diagnostics, checked.source))

    def __reduce__(self) -> tuple[type[RewardError], tuple[Checked]]:
        return (RewardError, (self.checked,))


@dataclass(frozen=True, slots=True)
class Scores:
    """The scores of one batch of B rollouts.

    `values` is the reward, (B,) float64; NaN means not applicable, and `faults` says why. `parts`
    holds the named parts of the program, (B,) float64 each.
    """

    values: Array
    parts: dict[str, Array]
    faults: list[Fault]


class Reward:
    """A compiled reward; build it with `compile`."""

    def __init__(self, checked: Checked, backend: str, arguments: tuple[Any, ...]) -> None:
        assert checked.graph is not None
        assert checked.certificate is not None
        self.text = checked.source.text
        self.backend = backend
        self.graph = checked.graph
        self.certificate: Certificate = checked.certificate
        self.diagnostics = checked.diagnostics
        self._arguments = arguments
        self.__name__ = "reward"

    def __reduce__(self) -> tuple[Any, ...]:
        return (compile, self._arguments)

    def __repr__(self) -> str:
        return f"<Reward {self.text!r:.60} key={self.key}>"

    @cached_property
    def key(self) -> str:
        """The equivalence key; equal keys train alike under group-normalised GRPO."""
        return key(self.graph, self.graph.outputs["reward"])

    @cached_property
    def _kernel(self) -> Kernel:
        return BACKENDS[self.backend]()(self.graph)

    @cached_property
    def _needs(self) -> dict[str, list[int]]:
        """The input nodes that each output depends on."""
        return {name: self.graph.inputs([i]) for name, i in self.graph.outputs.items()}

    @cached_property
    def _inputs(self) -> dict[int, Input]:
        found = {}
        for i in self.graph.inputs(self.graph.outputs.values()):
            payload = self.graph.nodes[i].payload
            assert payload is not None
            assert not isinstance(payload, float)
            found[i] = payload
        return found

    def score(self, columns: Mapping[str, Any], group_size: int | None = None) -> Scores:
        """Score a batch: `columns` maps names to B values each (texts, numbers, lists of steps).

        `group_size` is the number of consecutive rollouts of one prompt; B must be a multiple.
        Rows with a missing or out-of-range input score NaN and are listed in the faults.
        Raises ColumnError when a column is missing or has the wrong type.
        """
        batch = Batch(columns)
        if group_size is not None and (group_size < 1 or batch.rows % group_size):
            raise ColumnError(f"{batch.rows} rows are no whole groups of {group_size}")
        found = {i: batch.values(source) for i, source in self._inputs.items()}
        arrays = {i: v.data for i, v in found.items()}
        outputs = self._kernel(arrays, batch.rows)
        for name, array in outputs.items():
            masks = [found[i].valid for i in self._needs[name]]
            for valid in masks:
                if valid is not None:
                    array[...] = np.where(valid, array, np.nan)
        faults = [*batch.faults, *self._nonfinite(outputs["reward"])]
        values = outputs.pop("reward")
        return Scores(values, outputs, faults)

    def _nonfinite(self, values: Array) -> list[Fault]:
        """The last wall: an infinite reward never leaves, whatever the proof said."""
        infinite = np.isinf(values)
        if not infinite.any():
            return []
        rows = [int(r) for r in np.flatnonzero(infinite)]
        values[infinite] = np.nan
        return [fault("nonfinite", "reward", rows, "the reward is infinite")]

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
    ) -> list[float | None]:
        """Score completions as a TRL reward function; None stands for not applicable.

        `prompts` and `completions` become the columns `prompt` and `completion`; of messages, the
        text of the last one. Named parts are logged through `log_metric`.
        """
        given: dict[str, Any] = dict(columns)
        for name, texts in (("prompt", prompts), ("completion", completions)):
            if texts is not None:
                given[name] = [_text(t) for t in texts]
        if completion_ids is not None:
            given["completion_ids"] = completion_ids
        scores = self.score(given)
        if log_metric is not None:
            for name, part in scores.parts.items():
                if not np.isnan(part).all():
                    log_metric(f"parts/{name}", float(np.nanmean(part)))
        return [None if v != v else v for v in scores.values.tolist()]


def _text(value: Any) -> Any:
    """A completion's text; a conversation's is the content of its last message."""
    if isinstance(value, list) and value and isinstance(value[-1], Mapping):
        return value[-1].get("content")
    return value


def compile(
    text: str,
    suite: str | None = None,
    columns: Mapping[str, str | Type] | None = None,
    outcome: str | None = None,
    backend: str = "auto",
    limits: Limits = MODEL,
) -> Reward:
    """Compile a reward program.

    `suite`, `columns` and `outcome` say what the program may name, as in `check`; `backend` is
    `reference`, `numba` or `auto`. Raises RewardError with all diagnostics when the program has
    errors, ValueError for an unknown suite, type or backend.

    >>> r = compile("0.6*g1 + 0.4*g2", columns={"g1": "number[0,1]", "g2": "bool"}, outcome="g1")
    >>> r.score({"g1": [1.0, 0.5], "g2": [False, True]}).values.tolist()
    [0.6, 0.7]
    >>> r.certificate.outcome_monotone
    True
    """
    if backend not in BACKENDS:
        raise ValueError(f"unknown backend {backend!r}; one of {', '.join(BACKENDS)}")
    checked = check_source(Source(text), build_scope(suite, columns, outcome), limits)
    if not checked.ok:
        raise RewardError(checked)
    return Reward(checked, backend, (text, suite, columns, outcome, backend, limits))
