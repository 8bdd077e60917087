r"""The process that asks math-verify: one request a line, one verdict a line.

Run as `python -P -B worker.py` by `pool`. A request is `[gold, given, marked]` as JSON; `given` is
answer, or, unless `marked`, a text in which math-verify looks for one. A reply is `[verdict]`
or `[verdict, error]` when math-verify failed on one of its comparisons. It says `ready` first.

math-verify's own time-outs are signals and are off: whoever asks keeps the time and ends the
process. Processor time is limited too, so that a process whose owner is gone ends by itself.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from functools import lru_cache
from itertools import product
from typing import Any, TextIO

_ERROR_LENGTH = 200


def _limited(memory: int) -> None:
    """Bound the memory of this process (a bomb becomes a MemoryError); it writes no files."""
    try:
        import resource
    except ImportError:  # not on Windows
        return
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    wanted = memory if hard == resource.RLIM_INFINITY else min(memory, hard)
    resource.setrlimit(resource.RLIMIT_AS, (wanted, hard))


def _clock(seconds: float) -> Callable[[], None]:
    """A function that grants this process so much more processor time."""
    try:
        import resource
    except ImportError:
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


def serve(requests: TextIO, replies: TextIO, deadline: float) -> None:
    """Answer requests until there are no more."""
    judge, grant = _judge(), _clock(deadline)
    judge("\\frac{1}{2} + x", "x + 0.5", True)  # what the first one takes longer is no one's fault
    print("ready", file=replies, flush=True)
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
