"""`passes_tests`: programs that a policy wrote, run against given tests behind the sandbox's walls.

The sandbox is handed in by the runtime: this room knows only how it is called.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

from derl_primitives.arrays import floats
from derl_primitives.partial import with_failures
from derl_primitives.primitive import primitive

if TYPE_CHECKING:
    from derl_primitives.arrays import Floats
    from derl_primitives.partial import Partial

MOST_TESTS = 64


class Sandbox(Protocol):
    """What runs programs that nobody has read against their tests."""

    def run_programs(self, submitted: Sequence[tuple[str, Sequence[str]]]) -> Sequence[Any]:
        """For each (program, tests) whether each test passes, or what has `cls` and `message`."""


@primitive(
    "(program: text, tests: list[text]) -> number[0, 1]",
    cost="process",
    source="unit tests as in HumanEval (arXiv 2107.03374), each counted",
    good=True,
)
def passes_tests(
    program: Sequence[str], tests: Sequence[Sequence[str]], *, sandbox: Sandbox
) -> Floats | Partial:
    r"""The share of the tests that a Python program passes, run behind the sandbox's walls.

    The program is plain Python with the modules of the standard library that only compute. A test
    is Python text such as `assert add(1, 2) == 3`, or an input with its output as JSON, such as
    `{"input": "1 2\n", "output": "3\n"}`: the program then runs as a script. Tests run in a process
    of their own, which no program reaches, with their own builtins; one that is given a NaN passes
    only if it speaks of NaN. What does not parse, crashes, hangs for 2 s or is refused something
    fails; so does a row without tests. Tests that nobody can run are a fault of their row: no
    Python, modules that tests do not have, `eval`, no question to the program.
    Write `passes_tests(last_code(completion), tests)`.

    >>> from derl_runtime.sandbox import Sandbox
    >>> passes_tests(["def add(a, b):\n    return a + b\n"],
    ...              [["assert add(1, 2) == 3", "assert add(1, 1) == 3"]],
    ...              sandbox=Sandbox()).tolist()
    [0.5]
    """
    return _shares(program, tests, sandbox)


@primitive(
    "(program: text, tests: list[text]) -> number[0, 1]",
    cost="process",
    source="unit tests as in APPS (arXiv 2105.09938), each counted",
    good=True,
)
def tests_passed(
    program: Sequence[str], tests: Sequence[Sequence[str]], *, sandbox: Sandbox
) -> Floats | Partial:
    r"""The share of the tests that a program passes: `passes_tests` under the name of a measure.

    >>> from derl_runtime.sandbox import Sandbox
    >>> tests_passed(["print(sum(map(int, input().split())))"],
    ...              [['{"input": "1 2", "output": "3"}', '{"input": "2 2", "output": "5"}']],
    ...              sandbox=Sandbox()).tolist()
    [0.5]
    """
    return _shares(program, tests, sandbox)


def _shares(
    program: Sequence[str], tests: Sequence[Sequence[str]], sandbox: Sandbox
) -> Floats | Partial:
    shares = [0.0] * len(program)
    failed: dict[int, tuple[str, str]] = {}
    rows: list[int] = []
    for row, cases in enumerate(tests):
        if len(cases) > MOST_TESTS:
            failed[row] = ("compile_error", f"{len(cases)} tests; at most {MOST_TESTS} are run")
        elif len(cases):
            rows.append(row)
    found = sandbox.run_programs([(program[row], tests[row]) for row in rows]) if rows else []
    for row, result in zip(rows, found, strict=True):
        kind = getattr(result, "cls", None)
        if kind is None:
            shares[row] = sum(result) / len(result)
        else:
            failed[row] = (kind, result.message)
    return with_failures(shares, failed) if failed else floats(shares, len(shares))
