"""The kinds in the order in which a gold answer is tried: the first that reads it decides."""

from __future__ import annotations

from derl_primitives.verdict.kinds import (
    base,
    choice,
    collection,
    date,
    expression,
    interval,
    matrix,
    number,
    text,
    yes_no,
)
from derl_primitives.verdict.kinds.kind import Kind

KINDS: tuple[Kind, ...] = (
    date.KIND,
    number.KIND,
    yes_no.KIND,
    choice.KIND,
    base.KIND,
    matrix.KIND,
    interval.KIND,
    collection.KIND,
    expression.KIND,
    text.KIND,
)
