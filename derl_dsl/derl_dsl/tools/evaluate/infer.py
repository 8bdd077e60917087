"""Types of data columns that nobody declared, read off their values."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from derl_grammar.types import Type
from derl_runtime.data import Rollouts, rollouts_of

_NAME = re.compile(r"[A-Za-z_]\w*")
_ASSIGNED = re.compile(r"^[ \t]*+([A-Za-z_]\w*+)[ \t]*+=(?!=)", re.M)


def infer_columns(
    text: str, data: Mapping[str, Sequence[Any]] | Rollouts, known: Collection[str]
) -> dict[str, Type]:
    """Types of the data columns that `text` mentions, neither assigns nor has declared in `known`.

    >>> data = {"len_a": [1, 5], "n": [0, 1], "ok": [True, None]}
    >>> infer_columns("n = len_a\\nreward = n * ok", data, ())
    {'len_a': Number(lo=1.0, hi=5.0, values=None), 'ok': Bool()}
    """
    rollouts = rollouts_of(data)
    names = [name for name in mentioned(text) if name not in known]
    rollouts.look(names)
    kinds = {name: rollouts.type_of(name) for name in names if name in rollouts}
    return {name: kind for name, kind in kinds.items() if kind is not None}


def mentioned(text: str) -> list[str]:
    """The words of a program that may be columns: those that it does not assign."""
    assigned = set(_ASSIGNED.findall(text))
    return [name for name in dict.fromkeys(_NAME.findall(text)) if name not in assigned]
