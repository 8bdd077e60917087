"""Which rollouts of a trainer's call belong together.

A trainer's call carries no group ids, so a group is what the trainer says it is: TRL passes its own
bound method as `log_metric`, and that trainer knows `num_generations`; elsewhere the caller says it
once, with `Reward.with_groups`. Prompts are no ids: equal prompts of two groups would be one group,
images in them have no text, a group cut in two by processes looks like two. So without a word of
either there is an error that says what to set, never a guess.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any, Protocol, cast

from derl_grammar.records import record
from derl_runtime.reading import ColumnError

Groups = int | str | None
"""Group size, name of the column of ids, `WHOLE_CALL`, or None: what the trainer says."""

WHOLE_CALL = "*"
NOT_SAID = (
    "the reward has group functions, and this call does not say which completions are a group; "
    "say it once: reward.with_groups(num_generations), reward.with_groups('name of a column of "
    "ids'), or reward.with_groups('*') where each call is one whole group (TRL's AsyncGRPO)"
)


class Trainer(Protocol):
    """What TRL's GRPO and RLOO trainers know about groups."""

    num_generations: int
    num_generations_eval: int
    model: Any


@record
class Batch:
    """Whole groups to score: columns, how they are grouped, and which rows are this call's own."""

    columns: Mapping[str, Any]
    size: int | None
    ids: Sequence[Any] | None
    own: slice


def trainer_of(log_metric: Any) -> Trainer | None:
    """The trainer that owns `log_metric`, when it is one that knows its groups."""
    owner = getattr(log_metric, "__self__", None)
    known = hasattr(owner, "num_generations") and hasattr(owner, "num_generations_eval")
    return cast("Trainer", owner) if known else None


def gather_groups(
    groups: Groups,
    trainer: Trainer | None,
    columns: Mapping[str, Any],
    names: Sequence[str],
    rows: int,
) -> Batch:
    """The whole groups that a call belongs to; raises ColumnError where they are not known.

    `columns` are the call's, `names` those the reward reads. Where a group straddles processes
    (accelerate), the rows of all of them are gathered, so that each scores whole groups.
    """
    if groups is None and trainer is None:
        raise ColumnError(NOT_SAID)
    everything = slice(0, rows)
    if groups == WHOLE_CALL:
        return Batch(columns, rows, None, everything)
    if isinstance(groups, str):
        if groups not in columns:
            have = ", ".join(sorted(map(str, columns)))
            raise ColumnError(f"the group column {groups!r} is missing; the call has: {have}")
        merged, own, _ = _gather(columns, [*names, groups], rows)
        return Batch(merged, None, [_id(v) for v in merged[groups]], own)
    size = groups if groups is not None else _size(cast("Trainer", trainer))
    if rows % size == 0:
        return Batch(columns, size, None, everything)
    merged, own, total = _gather(columns, names, rows)
    if total % size:
        raise ColumnError(
            f"{total} completions are no whole number of groups of {size}: a group was cut, and "
            "its statistics would be wrong; make batches of whole groups"
        )
    return Batch(merged, size, None, own)


def _size(trainer: Trainer) -> int:
    training = getattr(trainer.model, "training", True)
    return trainer.num_generations if training else trainer.num_generations_eval


def _id(value: Any) -> Any:
    """An id that sorts and compares by what it is: 1, 1.0 and "1" are one, True is not 1."""
    return str(value) if not isinstance(value, float) or value % 1 else str(int(value))


def processes() -> int:
    """How many processes train together under accelerate, 1 without it."""
    state = sys.modules.get("accelerate.state")
    if state is None or not getattr(state.PartialState, "_shared_state", None):
        return 1
    return int(state.PartialState().num_processes)


def _gather(
    columns: Mapping[str, Any], names: Sequence[str], rows: int
) -> tuple[Mapping[str, Any], slice, int]:
    """The columns of all processes one after the other, where the own rows lie, and how many."""
    if processes() == 1:
        return columns, slice(0, rows), rows
    from accelerate.state import PartialState
    from accelerate.utils import gather_object

    mine = {name: columns[name] for name in names if name in columns}
    everyone = gather_object([(rows, mine)])
    merged: dict[str, Any] = {}
    for name, value in mine.items():
        if isinstance(value, (int, float)):
            merged[name] = value  # one number stands for a column of equal values
        else:
            merged[name] = [v for _, other in everyone for v in other[name]]
    start = sum(count for count, _ in everyone[: PartialState().process_index])
    return merged, slice(start, start + rows), sum(count for count, _ in everyone)
