"""How long a text of a megabyte takes every text primitive that needs no worker, at worst.

`python -m benchmarks.texts` runs each primitive on each hostile text and prints the worst of each
with the exponent of its growth; `--write` writes the table of primitives/README.md. Times are of
the processor, so that a busy machine changes little.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from derl_primitives.primitive import Primitive
from tests.primitives.texts import arguments, text_primitives

SIZE = 1_000_000
"""Characters of a text."""

LIMIT_MS = 20.0
GROWTH = 1.1
"""The largest exponent of growth that counts as linear."""

_MEASURABLE = 0.004
"""Seconds below which a growth says nothing."""

README = Path(__file__).parents[1] / "primitives" / "README.md"
_START, _END = "<!-- texts: python -m benchmarks.texts --write -->", "<!-- /texts -->"

REPEATED = [
    "{", "}", "(", "[", "[[", "a", "a ", " ", "\n", "\t\n", "0", "9", "5.", "5,", "1,000", "-",
    "-5", "$", "\\", "\\boxed{", "\\boxed{5}", "\\frac{1}{2}", "\\frac{", "\\text{", "#### ",
    "#### 5\n", "#", "<think>", "</think>", "<a>", "</a>", "<a>x</a>", "<answer>",
    "<answer>5</answer>", "The answer is ", "answer ", "Answer: 5. ", "wait, no. ", "not ",
    "it is wrong to say ", "if ", "or ", "```\n", "```\nx\n```\n", "~~~\n", "````", "`",
    "~~~ x\n", "\n    ", "\r", "\r\n", "\"", "{\"a\":", "{\"a\":1},", "[],", "[1,", "1,",
    "\"\\u00e9\",", "null,", "Step 1: ", "1. ", "\n1. ", "step ", "tep ", "the ", "a b ",
    "Wait, ", "Hmm", "first ", "let me ", "\xe9", "\xe9 ", "\u4e00", "\u0130", "\u03a3",
    "\u03a3 ", "\u2003", "\U0001f600", "\ud800", "x=1\n", "x = ", "A) ", "A, ", "(A", "**",
    "**a** ", "* ", "_", "|", "&", "\\\\", "^{", "_{", "\\{", "%", "1e9", "1/", "1/2 ", "seven ",
    "one hundred ", "\u66f8", "\u4e03", "\u0665", "\u200b", "\xbd", ". ", "? ", "Mr. A. ", "; ",
    ": ", "= ", ", so ", "'", "\x00",
]  # fmt: skip
"""What hostile texts repeat."""


def hostile(size: int) -> dict[str, str]:
    """Hostile texts of a length, by what they are made of."""
    texts = {f"{piece!r} repeated": (piece * (size // len(piece) + 1))[:size] for piece in REPEATED}
    half = size // 2
    texts |= {
        "[ then ]": "[" * half + "]" * half,
        "( then )": "(" * half + ")" * half,
        "nested fractions": "\\frac{1}{" * (size // 18) + "5" + "}" * (size // 18),
        "a box of nested braces": "\\boxed{" + "{" * (half - 8) + "}" * half,
        "a JSON list of numbers": "[" + "1," * (half - 2) + "1]",
        "a JSON list of texts": "[" + '"a",' * (size // 4 - 2) + '"a"]',
        "a JSON text of escapes": '"' + "\\n" * (half - 2) + '"',
        "a JSON of objects": "[" + '{"a":1},' * (size // 8 - 2) + '{"a":1}]',
        "one long line and a box": "a" * (size - 12) + " \\boxed{5}",
        "a box and one long line": "\\boxed{5} " + "b" * (size - 12),
        "a long number in a box": "\\boxed{" + "7" * (size - 9) + "}",
        "all code points": "".join(map(chr, range(0x250, 0xD800))) * (size // 54_000 + 1),
        "many different words": " ".join(map(str, range(10**5, 10**5 + size // 7))),
        "an open fence, then fences": "```\n" + "~~~ x\n" * (size // 6),
    }
    return {name: text[:size] for name, text in texts.items()}


@dataclass(frozen=True, slots=True)
class Worst:
    """The worst text of a primitive: milliseconds of a megabyte, the exponent of its growth."""

    name: str
    ms: float
    growth: float | None
    text: str


def measured(primitive: Primitive, name: str) -> Worst:
    """The worst text of a primitive, and how its time grows."""
    small, texts = hostile(SIZE // 4), hostile(SIZE)
    ranked = sorted(small, key=lambda of: -seconds(primitive, small[of], once=True))[:5]
    whole, of = max((seconds(primitive, texts[of]), of) for of in ranked)
    quarter = seconds(primitive, small[of])
    growth = math.log(whole / quarter, 4) if min(whole, quarter) > _MEASURABLE / 8 else None
    return Worst(name, whole * 1000, growth, of)


def seconds(primitive: Primitive, text: str, *, once: bool = False) -> float:
    """The seconds that the worst arguments with a text take; the best of three rounds."""
    pairs = [
        (text, "5"),
        (text, text[:200]),
        (text[:200], text),
        (text, f"{text[:999]}b{text[999:]}"),
    ]
    if len(primitive.params) < 2 or primitive.params[1].literal:
        pairs = pairs[:1]
    return max(_best(primitive, pair, 1 if once else 3) for pair in pairs)


def _best(primitive: Primitive, pair: tuple[str, str], rounds: int) -> float:
    columns = arguments(primitive, [pair[0]], [pair[1]])
    return min(_timed(lambda: primitive(*columns)) for _ in range(rounds))


def _timed(call: Callable[[], object]) -> float:
    start = time.process_time()
    call()
    return time.process_time() - start


def table(found: list[Worst]) -> str:
    """The worst texts as a Markdown table, the slowest first."""
    lines = ["| primitive | ms at 1 MB | growth | worst text |", "|---|---:|---:|---|"]
    for worst in sorted(found, key=lambda w: -w.ms):
        growth = "" if worst.growth is None else f"{worst.growth:.2f}"
        text = worst.text.replace("|", "\\|")
        lines.append(f"| `{worst.name}` | {worst.ms:.1f} | {growth} | {text} |")
    return "\n".join(lines)


def write(found: list[Worst], path: Path = README) -> None:
    """Put the table between its marks in a page."""
    page = path.read_text("utf-8")
    head, _, rest = page.partition(_START)
    _, _, tail = rest.partition(_END)
    path.write_text(f"{head}{_START}\n{table(found)}\n{_END}{tail}", "utf-8")


def main() -> int:
    """Measure; 1 when something is slower than promised, or grows faster than its text."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("names", nargs="*", help="primitives, all by default")
    parser.add_argument(
        "--write", action="store_true", help="write the table of primitives/README.md"
    )
    chosen = parser.parse_args()
    known = {name.rpartition(".")[2]: p for name, p in text_primitives().items()}
    found = []
    for name in chosen.names or sorted(known):
        known[name](*arguments(known[name], ["warm"], ["up"]))
        found.append(measured(known[name], name))
        print(
            f"{name:24} {found[-1].ms:8.1f} ms  {found[-1].growth or 0:5.2f}  {found[-1].text}",
            flush=True,
        )
    if chosen.write:
        write(found)
    late = [w for w in found if w.ms > LIMIT_MS or (w.growth or 0) > GROWTH]
    promised = f"{LIMIT_MS:g} ms or growing by more than {GROWTH:g}"
    print(f"{len(found)} primitives, {len(late)} over {promised}")
    return 1 if late else 0


if __name__ == "__main__":
    sys.exit(main())
