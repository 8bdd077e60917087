"""Every tenth row of 1,024 is the worst that is known: how long a batch takes, and what it costs.

    python -m benchmarks.hostile_rows [NAME …]

A row of the table is a primitive, or an engine for untrusted ones, with one kind of hostile row:
the batch's deadline, what it took, how long others had the processors meanwhile (this is added to
the deadline), how many of the innocent rows have another value than alone, and how many hostile
ones have a value; where that is no failure, the kind says why. Here are all that have a deadline;
text primitives have none, for they are linear: `count_matches` and `matches` stand here for them,
the others are measured on a megabyte by `benchmarks.texts`. The machine's load stands above it; no
part of `make bench`.
"""

from __future__ import annotations

import contextlib
import math
import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from derl_primitives.suites import SUITES
from derl_runtime.sandbox import Failure, Sandbox
from derl_runtime.sandbox.programs import ProgramLimits
from derl_runtime.sandbox.turns import idle

ROWS, EVERY = 1024, 10
_DEADLINE = 2.0
_LONG = 1 << 20
_HEAD = ("what", "every tenth row", "deadline", "took", "others took", "innocent rows wrong",
         "hostile with a value")  # fmt: skip
_HARMLESS = {("monty", "a pattern that backtracks"): "its patterns are linear"}
_PATTERNS = {"count_matches": ("a+b?", 1), "matches": ("(a|aa)+b", 0)}
# A schema with the JSON that takes it longest.
_SCHEMAS = {
    "alternatives": ('{"items":{"anyOf":[' + '{"type":"null"},' * 13 + "{}]}}", "1"),
    "negations": ('{"items":' + '{"not":' * 28 + '{"type":"null"}' + "}" * 29, "null"),
    "deep JSON": ('{"items":{}}', ""),
}
# What a function does in a hostile row.
_LOOPS = {
    "an endless loop": "while True:\n            pass",
    "a loop that swallows all": (
        "while True:\n            try:\n                1 / 0\n"
        "            except Exception:\n                pass"
    ),
    "a power": "return 9 ** 9 ** 9 ** 9",
    "memory by doubling": "x = [0]\n        while True:\n            x = x + x",
    "a pattern that backtracks": (
        'import re\n        return len(re.findall("(a|aa)+b", "a" * 80))'
    ),
    "recursion": "return f(c)",
}
_PROGRAMS = {
    "an endless loop": "def add(a, b):\n    while True: pass\n",
    "sleep": "import time\ndef add(a, b):\n    time.sleep(1000)\n",
    "short sleeps": "import time\ndef add(a, b):\n    while True: time.sleep(0.001)\n",
    "threads": (
        "import threading\ndef add(a, b):\n    def spin():\n        while True: pass\n"
        "    ts = [threading.Thread(target=spin) for _ in range(8)]\n"
        "    [t.start() for t in ts]; [t.join() for t in ts]\n"
    ),
    "memory": "def add(a, b):\n    x = [0]\n    while True: x += x\n",
    "output": "def add(a, b):\n    while True: print('x' * 10000)\n",
    "a crash": "import os\ndef add(a, b):\n    os._exit(3)\n",
}
_HONEST = "def add(a, b):\n    return a + b\n"
_FORMULAS = {
    "a power tower": r"\boxed{9^{9^{9^{9}}}}",
    "nested fractions": r"\boxed{" + r"\frac{1}{" * 150 + "x" + "}" * 150 + "}",
    "a factorial": r"\boxed{(10^{9})!}",
    "a long sum": r"\boxed{" + "x+" * 400 + "x}",
    "1 MB of brackets": r"\boxed{" * (_LONG // 7),
}


class Took:
    """What a block took: seconds, and those of them for which others had the processors."""

    def __enter__(self) -> Took:
        self.start, self.used = time.monotonic(), _used()
        return self

    def __exit__(self, *error: object) -> None:
        self.seconds = time.monotonic() - self.start
        ours = (_used() - self.used) / len(os.sched_getaffinity(0))
        self.others = max(self.seconds - ours, 0.0)


def _used() -> float:
    """Seconds of all processors that this process and all below it had, or that nobody wanted."""
    tree = {os.getpid()}
    ticks = 0
    processes = _processes()
    parents = {pid: stat[1] for pid, stat in processes.items()}
    for pid, stat in processes.items():
        above = pid
        while above not in tree and above in parents:
            above = parents[above]
        if above in tree:
            ticks += sum(stat[11:15])
    return ticks / os.sysconf("SC_CLK_TCK") + idle()


def _processes() -> dict[int, list[int]]:
    """For each process the numbers of its line in /proc, from its state on."""
    found = {}
    for number in filter(str.isdecimal, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            line = Path(f"/proc/{number}/stat").read_text("utf-8", "replace")
            found[int(number)] = [0, *map(int, line.rpartition(")")[2].split()[1:])]
    return found


@dataclass(frozen=True, slots=True)
class Found:
    """What a batch came to."""

    what: str
    hostile: str
    deadline: float
    took: Took
    wrong: int  # innocent rows with another value than alone, or none
    passed: int  # hostile rows that have not failed


def main() -> None:
    """Measure and print the table."""
    wanted = sys.argv[1:]
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores\n")
    print(f"| {' | '.join(_HEAD)} |\n|{'---|' * len(_HEAD)}")
    for name, measured in _MEASURED.items():
        if wanted and name not in wanted:
            continue
        for f in measured():
            cells = (
                f.what,
                f.hostile,
                "none" if math.isinf(f.deadline) else f"{f.deadline:g} s",
                f"{f.took.seconds:.2f} s",
                f"{f.took.others:.2f} s",
                str(f.wrong),
                str(f.passed),
            )
            print(f"| {' | '.join(cells)} |", flush=True)


def _hostile(row: int) -> bool:
    return row % EVERY == 3


def _untrusted(engine: str) -> Iterator[Found]:
    texts = ["hostile" if _hostile(k) else "x" * (k % 7) for k in range(ROWS)]
    with Sandbox(engine=engine) as sandbox:
        for name, body in _LOOPS.items():
            source = (
                'def f(c: text) -> number:\n    if c == "hostile":\n'
                f"        {body}\n    return len(c)\n"
            )
            with Took() as took:
                values, _ = sandbox.call_rows(source, "f", [texts], ROWS, _DEADLINE)
            right = [len(t) for t in texts]
            wrong = sum(not _hostile(k) and values[k] != right[k] for k in range(ROWS))
            passed = sum(_hostile(k) and not np.isnan(values[k]) for k in range(ROWS))
            why = _HARMLESS.get((engine, name))
            kind = f"{name} ({why})" if why else name
            yield Found(f"untrusted, {engine}", kind, _DEADLINE, took, wrong, passed)


def _programs() -> Iterator[Found]:
    limits = ProgramLimits()
    test = ["assert add(1, 2) == 3"]
    with Sandbox() as sandbox:
        for name, program in _PROGRAMS.items():
            rows = [(program if _hostile(k) else _HONEST, test) for k in range(ROWS)]
            with Took() as took:
                found = sandbox.run_programs(rows, limits)
            wrong = sum(not _hostile(k) and found[k] != [True] for k in range(ROWS))
            passed = sum(
                _hostile(k) and (isinstance(found[k], Failure) or found[k] == [True])
                for k in range(ROWS)
            )
            end = limits.batch + limits.row * ROWS
            yield Found("passes_tests", name, end, took, wrong, passed)


def _equality(name: str) -> Callable[[], Iterator[Found]]:
    def run() -> Iterator[Found]:
        from derl_primitives.verification.pool import Limits, shared

        primitive = _named(name)
        honest = r"so \boxed{\{%d, 1\}}"  # which math-verify is asked about
        for hostile, text in _FORMULAS.items():
            # Texts that differ: what was judged once is known.
            rows = [
                text.replace("x", f"x_{{{k}}}").replace("9}", f"9}}+{k}") if _hostile(k)
                else honest % (k + 2)
                for k in range(ROWS)
            ]  # fmt: skip
            golds = [rf"\{{1, {k + 2}\}}" for k in range(ROWS)]
            shared().forget()
            with Took() as took:
                values = np.asarray(primitive(rows, golds), dtype=np.float64)
            wrong = sum(not _hostile(k) and values[k] != 1 for k in range(ROWS))
            passed = sum(_hostile(k) and values[k] == 1 for k in range(ROWS))
            limits = Limits()
            yield Found(name, hostile, limits.call + limits.request * ROWS, took, wrong, passed)

    return run


def _schemas() -> Iterator[Found]:
    from derl_primitives.schema import _BATCH, _ROW

    primitive = _named("fits_schema")
    for name, (schema, item) in _SCHEMAS.items():
        texts = [f"[{item or 1}]"] * ROWS
        for k in filter(_hostile, range(ROWS)):
            more = 65_533 // (len(item) + 1) - 1
            texts[k] = f"[{item}{f',{item}' * more}]" if item else "[" * 32_767 + "]" * 32_767
        with Took() as took:
            got = primitive(texts, schema)
        values = np.asarray(getattr(got, "values", got), dtype=np.float64)
        wrong = sum(not _hostile(k) and values[k] != 1 for k in range(ROWS))
        judged = sum(_hostile(k) and values[k] == 1 for k in range(ROWS))
        kind = f"{name} (judged as far as time goes)" if judged else name
        yield Found("fits_schema", kind, _BATCH + _ROW * ROWS, took, wrong, judged)


def _patterns() -> Iterator[Found]:
    from derl_primitives import text

    for name, (pattern, right) in _PATTERNS.items():
        primitive = getattr(text, name)
        texts = ["a" * _LONG if _hostile(k) else "xa" for k in range(ROWS)]
        with Took() as took:
            values = np.asarray(primitive(texts, pattern), dtype=np.float64)
        wrong = sum(not _hostile(k) and values[k] != right for k in range(ROWS))
        answered = sum(_hostile(k) for k in range(ROWS))
        yield Found(name, "1 MB (read in linear time)", math.inf, took, wrong, answered)


def _named(name: str) -> Callable[..., object]:
    return next(s.primitives[name] for s in SUITES.values() if name in s.primitives)


_MEASURED: dict[str, Callable[[], Iterator[Found]]] = {
    "restricted": lambda: _untrusted("restricted"),
    "monty": lambda: _untrusted("monty"),
    "passes_tests": _programs,
    "math_equal": _equality("math_equal"),
    "correct": _equality("correct"),
    "fits_schema": _schemas,
    "patterns": _patterns,
}

if __name__ == "__main__":
    main()
