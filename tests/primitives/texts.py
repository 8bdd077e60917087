"""Texts and arguments for every text primitive: what the fuzz and the references are run on."""

from __future__ import annotations

import random
import sys
from typing import Any

from hypothesis import strategies as st

from derl_grammar.types import Bool, List, Number, Optional, Text, Type
from derl_primitives.partial import Partial
from derl_primitives.primitive import Primitive
from derl_primitives.suites import SUITES
from derl_primitives.text import TEXT_FUNCTIONS

# What the primitives look for, and what breaks readers of text.
PIECES = [
    "\\boxed{", "}", "{", "\\{", "\\", "####", "#", "\n", "\n\n", "\r\n", "\t", " ", "  ", "-",
    "\u2212", "0", "1", "5", "18", "007", "1,000", "1,00", ".5", "5.0", "2.50", "1/2", "/", ",",
    ".", "$", "\\$", "%", "e9", "x", "a", "B", "(C)", "é", "ß", "\u0130", "\u0663", "²", "\u3000",
    "\u2028", "\x00", "\x1c", "\ud800", "\udfff", "\U0001f600", "\\frac{1}{2}", "\\text{b}",
    "Step 1:", "step 2.", "STEP 3 :", "1. ", "2) ", "**", "> ", "answer", "The answer is ",
    "Answer: ", "final answer", "Monday", "<think>", "</think>", "<a>", "</a>", "```",
    "```python\n", "[", "]", '"', ":", "true", "null", "NaN", "1e999", '{"a": 1}', "Wait",
    "let me check", "Hmm",
    "therefore", "First", "then", "x = 1\n", "def f(", "(", ")", "'", "lambda", "\\N{DASH}", "_",
]  # fmt: skip

# Pieces that belong together, so that what the primitives look for comes about.
GROUPS = [
    ["<think>", "</think>", " ", "4", "\n"],
    ["<a>", "</a>", "x", " ", "</think>"],
    ["```", "\n", "\n", "\n```\n", "python", "x = 1\n", " ", "    ```"],
    ["The answer is ", "Answer: ", "A", "(b)", "c)", "**", ".", " ", "\\boxed{", "}", "#### "],
    ["1", "2.5", " ", "+", "-", "*", "/", "(", ")", "\u00d7", "\u2212", "0"],
    ["the ", "a", " an", "The", ".", ",", " ", "cat", "\U0001f600"],
    ['{"a": ', "}", "1", "5", "7e2", "[", "]", ", ", '"x"', '{"b": 2}', "null", " "],
    ["\\boxed{", "}", "18", "{", " ", "#### ", "\n", "1,000", ".5", "-", "/"],
    ["Step 1:", "1. ", "2) ", "\n", "**", " ", "step 2.", "x", "  "],
    ["x", " = ", "1", "\n", "(", ")", "if ", ":", " ", '"'],
]

SCHEMA = '{"type": ["object", "number"], "properties": {"a": {"maximum": 5}}, "required": ["a"]}'
LITERALS: dict[str, Any] = {
    "part": "5", "pattern": r"(?:St|st)ep [0-9]+|\bx", "prefix": "#", "suffix": " ", "start": "<a>",
    "end": "</a>", "mark": "####", "tag": "a", "n": 2.0, "schema": SCHEMA, "path": "a",
    "language": "python",
}  # fmt: skip


OWN = {"extract": {"pattern": r"(?:St|st)ep ([0-9]+)|\bx"}}


def text_primitives() -> dict[str, Primitive]:
    """All primitives of texts, by module and name, but those that need a process."""
    tables: list[dict[str, Primitive]] = [dict(TEXT_FUNCTIONS)]
    for suite in SUITES.values():
        tables.append(dict(suite.primitives))
        tables.append({name: b.primitive for name, b in suite.bindings.items()})
    found = {}
    for table in tables:
        for p in table.values():
            if isinstance(p.params[0].type, Text) and not p.beside and p.cost != "process":
                found[f"{p.fn.__module__.rpartition('.')[2]}.{p.name}"] = p
    return found


def arguments(primitive: Primitive, first: list[str], second: list[str]) -> list[Any]:
    """Columns for the texts of a primitive, and a literal for each of its literals."""
    columns = iter((first, second))
    literals = {**LITERALS, **OWN.get(primitive.name, {})}
    return [literals[p.name] if p.literal else next(columns) for p in primitive.params]


def problem(primitive: Primitive, values: Any, count: int) -> str | None:
    """What is wrong with the values of a primitive, or None."""
    if len(values) != count:
        return f"{len(values)} values for {count} rows"
    plain = values if isinstance(values, list) else values.tolist()
    kind = primitive.returns
    if isinstance(values, Partial):  # floats, NaN in the rows that failed
        failed = {row for failure in values.failures for row in failure.rows}
        plain = [v for row, v in enumerate(plain) if v == v or row not in failed]
    if isinstance(kind, Bool) and set(plain) <= {0.0, 1.0}:
        plain = [bool(v) for v in plain]
    if isinstance(kind, Optional):
        plain, kind = [v for v in plain if v is not None and v == v], kind.item
    if isinstance(kind, List):
        if not all(type(v) is list for v in plain):
            return "no list"
        plain, kind = [x for v in plain for x in v], kind.item
    return next((f"{v!r} is no value of {kind}" for v in plain if not fits(v, kind)), None)


def fits(value: Any, kind: Type) -> bool:
    """Whether a value is one of a type."""
    if isinstance(kind, Text):
        return type(value) is str
    if isinstance(kind, Bool):
        return type(value) is bool
    assert isinstance(kind, Number)
    inside = type(value) is float and kind.lo <= value <= kind.hi
    return inside and (kind.values is None or value in kind.values)


any_text = st.one_of(
    st.text(alphabet=st.characters(), max_size=60),
    st.lists(st.sampled_from(PIECES), max_size=30).map("".join),
    st.sampled_from(GROUPS)
    .flatmap(lambda g: st.lists(st.sampled_from(g), max_size=9))
    .map("".join),
    st.lists(st.one_of(st.sampled_from(PIECES), st.characters()), max_size=20).map("".join),
)


def random_text(rng: random.Random) -> str:
    """A text as `any_text` makes them, a hundred times faster."""
    kind = rng.random()
    if kind < 0.2:
        return "".join(chr(rng.randrange(sys.maxunicode + 1)) for _ in range(rng.randrange(12)))
    if kind < 0.3:
        return "".join(map(chr, rng.choices(range(128), k=rng.randrange(40))))
    known = PIECES if kind < 0.6 else rng.choice(GROUPS)
    pieces = rng.choices(known, k=rng.randrange(1, 16 if kind < 0.6 else 9))
    if rng.random() < 0.2:
        pieces.insert(rng.randrange(len(pieces) + 1), chr(rng.randrange(sys.maxunicode + 1)))
    return "".join(pieces) * (rng.randrange(1, 8) if rng.random() < 0.05 else 1)
