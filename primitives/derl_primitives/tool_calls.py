"""Calls of tools compared with the calls that were wanted."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from derl_grammar.records import record
from derl_primitives.arrays import LONGEST_READ, floats
from derl_primitives.layout import read_json
from derl_primitives.primitive import primitive

if TYPE_CHECKING:
    from derl_primitives.arrays import Floats

MOST_CALLS = 64
"""Calls of one rollout that are compared; each is compared with each that was wanted."""


@record
class Call:
    """A call: the tool's name (None: no call at all) and each argument's value as JSON."""

    name: str | None
    arguments: dict[str, str]


@primitive(
    "(calls: list[text], golds: list[text]) -> number[0, 1]",
    cost="parse",
    source="ToolRL (arXiv 2504.13958), section 3.3; its correctness reward is 6 * this - 3",
    good=True,
)
def call_similarity(calls: Sequence[Sequence[str]], golds: Sequence[Sequence[str]]) -> Floats:
    """How far calls of tools are those that were wanted: by names, argument names and values.

    A call is JSON with `name` and `arguments` (or `parameters`, `input`). Shared names over all
    names, plus for each wanted call the share of argument names and the number of equal values of
    its best unused match of that name, over the most there can be. 1 when nothing was called and
    nothing wanted. Of each list the first 64 calls count, of 65,536 characters together.

    >>> wanted = ['{"name": "go", "arguments": {"to": "x", "by": 2}}']
    >>> call_similarity([['{"name": "go", "arguments": {"to": "x", "by": 3}}'], []], [wanted] * 2
    ...                 ).tolist()
    [0.75, 0.0]
    """
    pairs = zip(calls, golds, strict=True)
    return floats((_similarity(_read(a), _read(b)) for a, b in pairs), len(calls))


def _read(texts: Sequence[str]) -> list[Call]:
    left, found = LONGEST_READ, []
    for text in texts[:MOST_CALLS]:
        left -= len(text)
        fine, value = read_json(text) if left >= 0 else (False, None)
        found.append(_call(value) if fine and isinstance(value, dict) else Call(None, {}))
    return found


def _call(value: dict[str, Any]) -> Call:
    name = value.get("name")
    given: Any = next((value[k] for k in ("arguments", "parameters", "input") if k in value), {})
    if isinstance(given, str):
        given = read_json(given)[1]
    arguments = given if isinstance(given, dict) else {}
    return Call(
        name if isinstance(name, str) else None, {k: _plain(v) for k, v in arguments.items()}
    )


def _plain(value: Any) -> str:
    """A value as JSON in which equal numbers look alike."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    try:
        return json.dumps(value, sort_keys=True)
    except (ValueError, RecursionError):
        return ""


def _similarity(calls: list[Call], golds: list[Call]) -> float:
    if not calls and not golds:
        return 1.0
    names = [Counter(c.name for c in side) for side in (calls, golds)]
    total = _share((names[0] & names[1]).total(), len(calls) + len(golds))
    most, unused = 1.0, list(calls)
    for gold in golds:
        most += 1 + len(gold.arguments)
        scores = [_match(call, gold) for call in unused]
        best = max(range(len(scores)), key=scores.__getitem__, default=None)
        if best is not None and scores[best] > 0:
            total += scores[best]
            del unused[best]
    return min(1.0, total / most)


def _match(call: Call, gold: Call) -> float:
    """The score of a call of the wanted tool; 0 of any other."""
    if call.name is None or call.name != gold.name:
        return 0.0
    shared = len(call.arguments.keys() & gold.arguments.keys())
    same = sum(call.arguments.get(k) == v for k, v in gold.arguments.items())
    return _share(shared, len(call.arguments) + len(gold.arguments)) + same


def _share(shared: int, both: int) -> float:
    """Shared over all different ones; 1 of nothing."""
    return shared / (both - shared) if both else 1.0
