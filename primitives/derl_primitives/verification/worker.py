r"""The process that asks math-verify: one request a line, one verdict a line.

Its texts are an adversary's, so it is loaded by the sandbox's zygote; each worker is forked from
there and stands behind the walls (`preload`, `serve_walled`). Where a machine has no walls it runs
as `python -P -B worker.py`, with limits on memory and time alone. A request is
`[gold, given, marked]` as JSON; `given` is an answer, or, unless `marked`, a text in which
math-verify looks for one. A reply is `[verdict]` or `[verdict, error]` when math-verify failed on
one of its comparisons. It says `ready` and its process first.

math-verify's own time-outs are signals and are off: whoever asks keeps the time and ends the
process. Processor time is limited too, so that a process whose owner is gone ends by itself.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import pkgutil
import sys
from collections.abc import Callable
from functools import lru_cache
from itertools import product
from typing import Any, TextIO

try:
    import resource
except ImportError:  # Windows has none
    resource = None  # type: ignore[assignment]

_ERROR_LENGTH = 200


def _limited(memory: int) -> None:
    """Bound the memory of this process (a bomb becomes a MemoryError); it writes no files."""
    if resource is None:
        return
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    wanted = memory if hard == resource.RLIM_INFINITY else min(memory, hard)
    resource.setrlimit(resource.RLIMIT_AS, (wanted, hard))


def _clock(seconds: float) -> Callable[[], None]:
    """A function that grants this process so much more processor time."""
    if resource is None:
        return lambda: None
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)

    def grant() -> None:
        used = resource.getrusage(resource.RUSAGE_SELF)
        end = int(used.ru_utime + used.ru_stime + 2 * seconds) + 2
        if hard == resource.RLIM_INFINITY or end < hard:
            resource.setrlimit(resource.RLIMIT_CPU, (end, hard))

    return grant


def _judge() -> Callable[[str, str, bool], list[Any]]:
    """The function that answers one request; importing math-verify takes half a second."""
    import logging

    logging.disable(logging.CRITICAL)
    from math_verify import parse, verify

    def read(text: str) -> tuple[list[Any], str]:
        try:
            return parse(text, parsing_timeout=None, raise_on_error=True), ""
        except Exception as error:  # noqa: BLE001 - it parses nothing then, and that is told
            return [], _words(error)

    gold_of = lru_cache(maxsize=4096)(read)

    def judge(gold: str, given: str, marked: bool) -> list[Any]:
        wanted, error = gold_of(f"\\boxed{{{gold}}}")
        found, other = read(f"\\boxed{{{given}}}" if marked else given)
        error = error or other
        for pair in product(wanted, found):
            try:
                if verify(*pair, timeout_seconds=None, raise_on_error=True):
                    return [True]
            except Exception as failed:  # noqa: BLE001 - not equal to it, and that is told
                error = error or _words(failed)
        return [False, error] if error else [False]

    return judge


def _words(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:_ERROR_LENGTH]


_judges: list[Callable[[str, str, bool], list[Any]]] = []

# What SymPy may import late: behind the walls no file is opened.
_LATE = (
    "assumptions", "calculus", "concrete", "core", "discrete", "functions", "geometry", "integrals",
    "logic", "matrices", "ntheory", "polys", "sets", "series", "simplify", "solvers", "strategies",
    "tensor", "unify", "physics.matrices", "physics.units", "printing.latex", "printing.repr",
    "printing.str", "printing.pretty.pretty", "parsing.sympy_parser", "utilities.enumerative",
    "utilities.iterables", "utilities.lambdify",
)  # fmt: skip
_NEVER = ("test", "benchmark", "core.trace", "core.compatibility")


_KINDS = (
    ("\\frac{1}{2} + x", "x + 0.5"), ("[1, 2)", "[1, 2)"), ("x = 3", "3"), ("50\\%", "0.5"),
    ("\\{1, 2\\}", "2, 1"), ("\\sqrt{2}", "2^{1/2}"), ("x < 2", "2 > x"),
    ("\\begin{pmatrix}1\\end{pmatrix}", "(1)"),
)  # fmt: skip


def preload() -> None:
    """Import all that a verdict may ever need, and give one of each kind."""
    judge = _judge()
    for gold, given in _KINDS:
        judge(gold, given, True)
        judge(gold, f"It is ${given}$.", False)
    for name in _LATE:
        top = importlib.import_module(f"sympy.{name}")
        for found in pkgutil.walk_packages(getattr(top, "__path__", []), f"{top.__name__}."):
            if not any(word in found.name for word in _NEVER):
                with contextlib.suppress(ImportError):  # such as of an optional package
                    importlib.import_module(found.name)
    _judges.append(judge)


def serve_walled(channel: int) -> None:
    """Answer the requests that come over a socket, until it is closed."""
    judge = _judges[0]
    os.write(channel, b"ready %d\n" % os.getpid())
    received = b""
    while piece := os.read(channel, 1 << 16):
        *lines, received = (received + piece).split(b"\n")
        for line in lines:
            reply = json.dumps(judge(*json.loads(line))).encode("ascii") + b"\n"
            while reply:
                reply = reply[os.write(channel, reply) :]


def serve(requests: TextIO, replies: TextIO, deadline: float) -> None:
    """Answer requests until there are no more."""
    judge, grant = _judge(), _clock(deadline)
    judge("\\frac{1}{2} + x", "x + 0.5", True)  # what the first one takes longer is no one's fault
    print("ready", os.getpid(), file=replies, flush=True)
    for line in requests:
        grant()
        print(json.dumps(judge(*json.loads(line))), file=replies, flush=True)


def main() -> None:
    """Serve on standard input and output; whatever else is printed goes nowhere."""
    replies = os.fdopen(os.dup(1), "w", encoding="ascii")
    os.dup2(2, 1)
    _limited(int(sys.argv[2]))
    serve(sys.stdin, replies, float(sys.argv[1]))


if __name__ == "__main__":
    main()
