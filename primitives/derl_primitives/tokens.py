"""Primitives over the tokens of a completion, read from the column that trainers pass beside it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from derl_primitives.arrays import floats
from derl_primitives.primitive import primitive
from derl_primitives.repetition import repeated_share, whole_number

if TYPE_CHECKING:
    from derl_primitives.arrays import Floats

# What a program writes, and the column that holds it.
BESIDE = {"completion": "completion_ids: list[number]"}


@primitive(
    "(completion: text) -> number[0, 1e6]",
    cost="constant",
    source="completion_ids of TRL's reward functions",
    beside=BESIDE,
    whole=True,
    per_word=1.3,
)
def tokens(completion: Sequence[Sequence[float]]) -> Floats:
    """The number of tokens of the completion, as the policy's tokenizer made them.

    Write `tokens(completion)`; the column `completion_ids`, which TRL passes, is read.

    >>> tokens([[15, 7, 7, 2], []]).tolist()
    [4.0, 0.0]
    """
    return floats(map(len, completion), len(completion))


@primitive(
    "(completion: text, n: number[1, 16]) -> number[0, 1]",
    cost="scan",
    source="TRL's repetition penalty; Demystifying Long Chain-of-Thought (arXiv 2502.03373)",
    literals={"n": whole_number},
    beside=BESIDE,
)
def token_repetition(completion: Sequence[Sequence[float]], n: float) -> Floats:
    """The share of the token n-grams that repeat an earlier one: 1 - different / all.

    0 of fewer than n tokens. The column `completion_ids` is read.

    >>> token_repetition([[1, 2, 1, 2, 1], [1, 2, 3]], 2).tolist()
    [0.5, 0.0]
    """
    shares = (repeated_share([int(t) for t in ids], int(n)) for ids in completion)
    return floats(shares, len(completion))
