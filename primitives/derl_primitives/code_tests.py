"""`passes_tests`: programs that a policy wrote, run against given tests behind the sandbox's walls.

The sandbox is handed in by the runtime: this room knows only how it is called.
"""

from __future__ import annotations

import ast
import builtins
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

from derl_primitives.arrays import floats
from derl_primitives.code import parses
from derl_primitives.patterns import pattern
from derl_primitives.primitive import primitive

if TYPE_CHECKING:
    from derl_primitives.arrays import Floats
    from derl_primitives.partial import Partial

MOST_TESTS = 64
_HARNESS = "derl_passes"
# The program's own fault: it fails its tests. All else says that it could not be run.
_FAILS = frozenset({"timeout", "cpu", "oom", "crash", "nonfinite"})
_UNKNOWN = pattern(r"(?:Line \d+: )?unknown name '(\w+)'")


class Sandbox(Protocol):
    """What runs functions of untrusted source, some at once, for the same number of rows."""

    def call_many(
        self, calls: Sequence[tuple[str, str, Any]], rows: int, deadline: float | None = None
    ) -> Sequence[Any]:
        """For each (source, function, columns) the values, or what has `cls` and `message`."""


@primitive(
    "(program: text, tests: list[text]) -> number[0, 1]",
    cost="process",
    source="unit tests as in HumanEval (arXiv 2107.03374), each counted",
    good=True,
)
def passes_tests(
    program: Sequence[str], tests: Sequence[Sequence[str]], *, sandbox: Sandbox
) -> Floats | Partial:
    r"""The share of the tests that a Python program passes, run in the sandbox.

    A test is Python text such as `assert add(1, 2) == 3`; it passes when it raises nothing. The
    program runs once for each rollout, in a process of its own that can compute and nothing else,
    and in the sandbox's Python: no classes, no names with a leading underscore, few modules. What
    does not parse, crashes or is not done by the deadline passes no test; so does a row without
    tests. A program that the sandbox refuses, and tests that are no Python, are faults of their
    rows. Write `passes_tests(last_code(completion), tests)`.

    >>> from derl_runtime.sandbox import Sandbox
    >>> passes_tests(["def add(a, b):\n    return a + b\n"],
    ...              [["assert add(1, 2) == 3", "assert add(1, 1) == 3"]],
    ...              sandbox=Sandbox()).tolist()
    [0.5]
    """
    from derl_primitives.partial import with_failures

    shares = [0.0] * len(program)
    failed: dict[int, tuple[str, str]] = {}
    runs: dict[int, list[tuple[int, str]]] = {}
    for row, (text, cases) in enumerate(zip(program, tests, strict=True)):
        problem = _tests_problem(cases)
        if problem is not None:
            failed[row] = ("compile_error", problem)
        # A program that parses alone cannot take the harness behind it in.
        elif len(cases) and parses(text):
            runs.setdefault(len(cases), []).append((row, _source(text, cases)))
    for count, group in runs.items():
        calls = [(source, _HARNESS, [list(range(count))]) for _, source in group]
        results = sandbox.call_many(calls, count)
        for (row, _), result in zip(group, results, strict=True):
            kind = getattr(result, "cls", None)
            if kind is None:
                shares[row] = sum(float(v) == 1.0 for v in result) / count
            elif kind not in _FAILS and not _is_undefined(result.message):
                failed[row] = (kind, result.message)
    return with_failures(shares, failed) if failed else floats(shares, len(shares))


def _is_undefined(message: str) -> bool:
    """Whether a program was refused for a name that no Python knows: it does not define it."""
    match = _UNKNOWN().match(message)
    return match is not None and not hasattr(builtins, match[1])


def _tests_problem(cases: Sequence[str]) -> str | None:
    """What is wrong with the tests of one row, or None."""
    if len(cases) > MOST_TESTS:
        return f"{len(cases)} tests; at most {MOST_TESTS} are run"
    for number, case in enumerate(cases, 1):
        if not parses(case) or not _stands_alone(case):
            return f"test {number} is no Python: {case!r:.60}"
    return None


def _stands_alone(case: str) -> bool:
    """Whether a test can be put into the harness: no return, no text that runs over lines."""
    nodes = list(ast.walk(ast.parse(case)))
    runs_over = any(
        isinstance(n, ast.Constant | ast.JoinedStr) and n.end_lineno != n.lineno for n in nodes
    )
    return not runs_over and not any(isinstance(n, ast.Return | ast.Yield) for n in nodes)


def _source(program: str, cases: Sequence[str]) -> str:
    """The program, and a function of the number of a test that says whether it passes."""
    lines = [program, "", f"def {_HARNESS}(k: number) -> number[0, 1]:", "    try:"]
    for number, case in enumerate(cases):
        lines += [f"        if k == {number}:", *(" " * 12 + line for line in case.splitlines())]
    lines += ["    except Exception:", "        return 0", "    return 1"]
    return "\n".join(lines) + "\n"
