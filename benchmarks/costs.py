"""What each primitive costs: nanoseconds a row and a character, bytes a character, measured.

    python -m benchmarks.costs            # writes primitives/derl_primitives/costs.py
    python -m benchmarks.costs NAME …     # these alone anew

The certificate's bound takes these. Each is the worst of texts that are hard on somebody (one
letter, open tags and braces, numbers, lines, other scripts) at two lengths, in CPU time, so that
a busy machine measures as an idle one does. What grows faster than its text is marked: its time
a character is that at the longest text measured, and grows with the text.
"""

from __future__ import annotations

import argparse
import time
import tracemalloc
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.run import machine
from benchmarks.texts import hostile
from derl_dsl.elaborate import texts
from derl_grammar.types import Bool, List, Number, Optional, Text
from derl_primitives.costs import MEASURED
from derl_primitives.primitive import Parameter, Primitive
from derl_primitives.suites import SUITES
from derl_primitives.text import TEXT_FUNCTIONS

TO = Path(__file__).parents[1] / "primitives" / "derl_primitives" / "costs.py"
Cost = tuple[float, float, float, int]
LENGTHS = (4_096, 16_384)
_ROWS, _STEPS, _REPEATS, _LONG = 4, 64, 4, 0.02
# Twice the length in more than this many times the time is no line.
_LINEAR = 2.6
TEXTS: dict[str, str] = {
    "one letter": "a",
    "words": "so we add two and get four. ",
    "numbers": "12.5 + 3/4 = 1,000 ",
    "answers": "the answer is 4. #### 4\n",
    "open boxes": "\\boxed{",
    "boxes": "\\boxed{4} ",
    "open tags": "<answer>",
    "blocks": "<think>x</think><answer>4</answer>",
    "lines": "1. step\n",
    "brackets": "([{",
    "other scripts": "\u0661\u0662 \u4e09\u5341 \uff14 ",
    "json": '{"a": [1, {"b": "x"}], ',
}
LITERALS = (
    "(a|b|\\s)*c|([0-9]+)$",
    "(b)",
    "answer",
    "a.b",
    "python",
    "0.5",
    '{"type": "object"}',
    "a",
)
HEAD = '''"""What primitives cost, as `python -m benchmarks.costs` measured it: do not edit.

Name: nanoseconds a row, nanoseconds a character, bytes a character, and the power of the length
that its time grows with. On {machine}.
"""

from __future__ import annotations

LONGEST = {longest}
# The most of a class: what a primitive of one's own is taken to cost.
CLASSES: dict[str, tuple[float, float, float, int]] = {{
{classes}
}}
MEASURED: dict[str, tuple[float, float, float, int]] = {{
{rows}
}}
'''


def primitives() -> dict[str, list[Primitive]]:
    """All that a program may name and that run in this process, by name."""
    found: dict[str, list[Primitive]] = {}
    own = [p for p in vars(texts).values() if isinstance(p, Primitive)]
    for suite in SUITES.values():
        own += [*suite.primitives.values(), *(b.primitive for b in suite.bindings.values())]
    for one in [*TEXT_FUNCTIONS.values(), *own]:
        if not one.sandboxed:
            found.setdefault(one.name, []).append(one)
    return found


def value(param: Parameter, text: str) -> Any:
    """A literal, or a column of _ROWS values of the parameter's type."""
    if param.literal is not None and not param.either:
        if isinstance(param.type, Number):
            return 4.0
        return next(v for v in LITERALS if param.literal(v) is None)
    kind = param.type.item if isinstance(param.type, Optional) else param.type
    if isinstance(kind, List):
        # One text in many pieces: a list of texts is bounded by what is written in all of them.
        size = max(1, len(text) // _STEPS)
        pieces = [text[k : k + size] for k in range(0, len(text), size)]
        if isinstance(kind.item, Text):
            return [list(pieces) for _ in range(_ROWS)]
        return [np.zeros(max(1, len(text) // 8)) for _ in range(_ROWS)]
    if isinstance(kind, Text):
        return [text + " " * k for k in range(_ROWS)]
    assert isinstance(kind, Bool | Number)
    return np.zeros(_ROWS)


def arguments(one: Primitive, text: str) -> list[Any]:
    """The columns and literals of a call; token ids (there are no more than characters) for a
    completion that is read as its tokens."""
    made = [value(p, text) for p in one.params]
    if one.beside:
        made[0] = [[ord(c) % 7 for c in text] for _ in range(_ROWS)]
    return made


def seconds(one: Primitive, text: str) -> float:
    """CPU seconds a row, the least of some calls; what takes long is called once."""
    args = arguments(one, text)
    best = float("inf")
    for _ in range(_REPEATS):
        start = time.process_time()
        one.fn(*args)
        best = min(best, time.process_time() - start)
        if best > _LONG:
            break
    return best / _ROWS


def peak(one: Primitive, text: str) -> float:
    """Bytes a row at the highest, as Python's allocators count them."""
    args = arguments(one, text)
    tracemalloc.start()
    one.fn(*args)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return most / _ROWS


def measured(ones: list[Primitive]) -> Cost:
    """Nanoseconds a row and a character, bytes a character, power."""
    for one in ones:
        one.fn(*arguments(one, "a 1"))  # what is loaded and compiled at the first call
    row = max(seconds(one, "") for one in ones) * 1e9
    slope, memory, power = 0.0, 0.0, 1
    for one in ones:
        for made in _texts():
            took = [seconds(one, text) * 1e9 for text in made]
            slope = max(slope, *((t - row) / len(x) for t, x in zip(took, made, strict=True)))
            grown = (took[1] / max(took[0], 1.0)) ** 0.5
            if grown > _LINEAR and took[1] > 20_000:
                power = 2
            memory = max(memory, peak(one, made[0]) / len(made[0])) if took[0] < 1e6 else memory
    return row, max(slope, 0.01), memory, power


def _texts() -> Iterator[list[str]]:
    """Each text at both lengths: a piece again and again, and whole ones, closed at last."""
    for piece in TEXTS.values():
        yield [(piece * n)[:n] for n in LENGTHS]
    whole = [hostile(n) for n in LENGTHS]
    for name in whole[0]:
        yield [texts[name] for texts in whole]


def _most(cost: Cost, before: Cost | None) -> Cost:
    """The worse of two measurements: what was once seen stays, until its line is dropped."""
    a, b, c, power = map(max, cost, before or cost)
    return a, b, c, int(power)


def page(found: Mapping[str, Cost]) -> str:
    """The table as a module."""
    classes: dict[str, Cost] = {}
    known = primitives()
    for name, cost in found.items():
        kind = known[name][0].cost
        classes[kind] = tuple(map(max, cost, classes.get(kind, cost)))  # type: ignore[assignment]
    tables = [
        "\n".join(f'    "{name}": ({a:.0f}, {b:.3g}, {c:.3g}, {d}),' for name, (a, b, c, d) in t)
        for t in (sorted(classes.items()), sorted(found.items()))
    ]
    cpu = machine()["cpu"]
    return HEAD.format(machine=cpu, longest=LENGTHS[-1], classes=tables[0], rows=tables[1])


def main() -> None:
    """Measure all, or those named, and write the table."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("names", nargs="*")
    given = options.parse_args()
    found: dict[str, Cost] = {}
    for name, ones in sorted(primitives().items()):
        if not given.names or name in given.names:
            found[name] = _most(measured(ones), MEASURED.get(name))
            print(name, *(f"{v:.3g}" for v in found[name]), flush=True)
    TO.write_text(page({**(MEASURED if given.names else {}), **found}), "utf-8")


if __name__ == "__main__":
    main()
