"""why: how the value of a reward came about in one row, verdict by verdict."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from derl_dsl.backends.kernel import Ragged
from derl_dsl.score.reward import Reward
from derl_grammar.records import record
from derl_primitives.primitive import Primitive
from derl_runtime.batch import Batch
from derl_runtime.sources import Apply, Column, Literal
from derl_runtime.values import Values

RIGHT = "right"


@record
class Reason:
    """How one verdict came about, as pairs of a label and words; `step` counts golds from 0."""

    name: str
    step: int | None
    lines: tuple[tuple[str, str], ...]

    @property
    def right(self) -> bool:
        """Whether the verdict says right."""
        return dict(self.lines).get("verdict") == RIGHT


@record
class Why:
    """One row: the reward, its parts and inputs (None: not applicable), reasons and faults."""

    row: int
    reward: float | None
    parts: dict[str, float | None]
    inputs: dict[str, float | None]
    reasons: tuple[Reason, ...]
    faults: tuple[str, ...]

    @property
    def right(self) -> bool:
        """Whether every verdict of the row says right."""
        return all(reason.right for reason in self.reasons)

    def to_json(self) -> dict[str, Any]:
        """The record of the JSON output."""
        return {**asdict(self), "reasons": [
            {"name": r.name, "step": r.step, **dict(r.lines)} for r in self.reasons
        ]}  # fmt: skip


def why(reward: Reward, columns: Mapping[str, Sequence[Any]], row: int) -> Why:
    """How the reward of one row came about.

    Raises IndexError for a row that is not there, ColumnError as `Reward.score` does. Group
    functions see the row alone.

    >>> from derl_dsl.score.reward import compile
    >>> found = why(compile("correct(completion, answer)", "math"),
    ...             {"completion": ["so 7", "#### 8"], "answer": ["7", "7"]}, 1)
    >>> found.right, found.reasons[0].lines[1]
    (False, ('taken from', 'hashes'))
    """
    size = max((len(values) for values in columns.values()), default=0)
    if not 0 <= row < size:
        raise IndexError(f"row {row} of {size} rows; they count from 0")
    one = {name: [values[row]] for name, values in columns.items()}
    scores = reward.score(one, group_size=1)
    return Why(
        row,
        _number(scores.values[0]),
        {name: _number(values[0]) for name, values in scores.parts.items()},
        {name: _number(values[0]) for name, values in scores.inputs.items()},
        tuple(_reasons(reward, Batch(one))),
        tuple(map(str, scores.faults)),
    )


def _number(value: Any) -> float | None:
    return None if np.isnan(value) else float(value)


def _reasons(reward: Reward, batch: Batch) -> Iterator[Reason]:
    nodes = reward.graph.nodes
    for source in dict.fromkeys(n.payload for n in nodes if n.op == "input"):
        if isinstance(source, Apply) and isinstance(source.primitive, Primitive):
            yield from _of_call(source, source.primitive, batch)


def _of_call(source: Apply, primitive: Primitive, batch: Batch) -> Iterator[Reason]:
    if primitive.explains is None:
        return
    args = [_argument(a, batch) for a in source.args]
    if any(a is None for a in args):
        return
    steps = [a for a in args if isinstance(a, list)]
    if not steps:
        yield Reason(str(source), None, tuple(primitive.explains(*args)))
        return
    for k in range(min(map(len, steps))):
        row = [a[k] if isinstance(a, list) else a for a in args]
        yield Reason(str(source), k, tuple(primitive.explains(*row)))


def _argument(arg: Any, batch: Batch) -> Any:
    """The value of an argument in the one row: a text, or the texts of its steps."""
    if isinstance(arg, Literal):
        return arg.value
    assert isinstance(arg, Column | Apply)
    values = batch.values(arg)
    if not isinstance(values, Values) or (values.valid is not None and not values.valid[0]):
        return None
    data = values.data
    if isinstance(data, Ragged):
        data = values.ragged()
    first = data[0]
    return list(first) if isinstance(first, list | tuple | np.ndarray) else first
