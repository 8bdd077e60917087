"""Which spans of a completion earned what: the answer a verdict took, what a pattern matched.

Each kind of primitive says where it looks. What measures the whole text (lengths, counts of words)
marks nothing. Spans are found again in the completion by their text, so that what a primitive read
out of a block is marked where the block stands.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from derl_grammar.records import record
from derl_primitives.primitive import Primitive
from derl_runtime.batch import Batch
from derl_runtime.reading import ColumnError
from derl_runtime.sources import Apply, Column, Literal, Source
from derl_runtime.values import Values

_MOST = 50
_LONGEST = 100_000
_PARTS = {"contains", "count"}
_PATTERNS = {"matches", "count_matches", "extract"}
_TAGS = {"has_block", "last_block", "blocks"}
_BOX = r"\\boxed\{[^{}]*(?:\{[^{}]*\}[^{}]*)*\}"


@record
class Mark:
    """A span of a completion and the number of the input that it belongs to."""

    start: int
    end: int
    input: int


def marks_of(
    sources: Sequence[Source],
    columns: Mapping[str, Sequence[Any]],
    texts: Sequence[str | None],
    values: Sequence[Sequence[float]],
) -> list[list[Mark]]:
    """The marks of each row's completion, by the inputs of a reward and their values in the rows.

    What is worth 0 has earned nothing and marks nothing, but for verdicts that say which answer
    they took: they mark it whether it was right or not.
    """
    batch = Batch(columns)
    found: list[list[Mark]] = [[] for _ in texts]
    for number, source in enumerate(sources):
        for call in _calls(source):
            args = [_argument(arg, batch, len(texts)) for arg in call.args]
            for row, text in enumerate(texts):
                earned = values[number][row] > 0 or _explains(call.primitive)
                if text is not None and len(text) <= _LONGEST and earned:
                    given = [arg[row] for arg in args]
                    spans = list(_spans(call.primitive, given, text))[:_MOST]
                    found[row] += [Mark(a, b, number) for a, b in spans if a < b]
    return found


def _calls(source: Source) -> Iterator[Apply]:
    """The primitives of an input, also those whose texts others read."""
    if isinstance(source, Apply):
        yield source
        for arg in source.args:
            yield from _calls(arg)


def _explains(primitive: Any) -> bool:
    return isinstance(primitive, Primitive) and primitive.explains is not None


def _argument(arg: Source, batch: Batch, rows: int) -> list[Any]:
    """The values of an argument, None where it is no text."""
    if isinstance(arg, Literal):
        return [arg.value] * rows
    assert isinstance(arg, Column | Apply)
    try:
        values = batch.values(arg)
    except ColumnError:
        return [None] * rows
    if not isinstance(values, Values) or not isinstance(values.data, Sequence):
        return [None] * rows
    return [v if isinstance(v, str) else None for v in values.data]


def _spans(primitive: Any, args: Sequence[Any], completion: str) -> Iterator[tuple[int, int]]:
    """Where in the completion a primitive found what it looks for."""
    if not args or not isinstance(args[0], str):
        return
    text, rest = args[0], args[1:]
    base = completion.rfind(text) if text else -1
    if base < 0:
        return
    name = primitive.name
    if _explains(primitive) and None not in rest:
        taken = dict(primitive.explains(*args)).get("answer", "")
        yield from _last(text, taken, base)
    elif name in _PARTS and rest and isinstance(rest[0], str):
        yield from _all(text, rest[0], base)
    elif name in _PATTERNS and rest:
        yield from _matched(text, str(rest[0]), base)
    elif name in _TAGS and rest:
        tag = str(rest[0])
        yield from _all(text, f"<{tag}>", base)
        yield from _all(text, f"</{tag}>", base)
    elif name == "starts_with" and rest and text.startswith(str(rest[0])):
        yield base, base + len(str(rest[0]))
    elif name == "ends_with" and rest and text.endswith(str(rest[0])):
        yield base + len(text) - len(str(rest[0])), base + len(text)
    elif name in ("boxed", "g2"):
        yield from _matched(text, _BOX, base)
    elif [p.name for p in primitive.params][-1:] == ["answer"] and rest and rest[-1]:
        yield from _last(text, str(rest[-1]).strip(), base)


def _all(text: str, part: str, base: int) -> Iterator[tuple[int, int]]:
    at = text.find(part) if part else -1
    for _ in range(_MOST):
        if at < 0:
            return
        yield base + at, base + at + len(part)
        at = text.find(part, at + len(part))


def _last(text: str, part: str, base: int) -> Iterator[tuple[int, int]]:
    at = text.rfind(part) if part else -1
    if at >= 0:
        yield base + at, base + at + len(part)


def _matched(text: str, pattern: str, base: int) -> Iterator[tuple[int, int]]:
    """What RE2 matches: its own replacement puts a sign before and after each match."""
    free = (chr(c) for c in range(0xE000, 0xF8FF) if chr(c) not in text)
    opened, closed = next(free), next(free)
    told = pc.replace_substring_regex(
        pa.array([text]), pattern, f"{opened}\\0{closed}", max_replacements=_MOST
    )[0].as_py()
    head, *rest = told.split(opened)
    at = len(head)
    for piece in rest:
        matched, _, after = piece.partition(closed)
        yield base + at, base + at + len(matched)
        at += len(matched) + len(after)


def pieces(text: str, marks: Sequence[Mark]) -> list[tuple[str, tuple[int, ...]]]:
    """The text cut where marks begin and end, each piece with the inputs that mark it.

    >>> pieces("so 42", [Mark(3, 5, 0), Mark(4, 5, 1)])
    [('so ', ()), ('4', (0,)), ('2', (0, 1))]
    """
    cuts = sorted({0, len(text), *(m.start for m in marks), *(m.end for m in marks)})
    found = []
    for a, b in pairwise(cuts):
        inputs = sorted({m.input for m in marks if m.start <= a and b <= m.end})
        found.append((text[a:b], tuple(inputs)))
    return found
