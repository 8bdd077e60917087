"""What a row does costs that row: its worker's death, its time and what it leaves behind."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest

import derl_dsl
from derl_dsl.elaborate.custom import PrimitiveError
from derl_runtime.deadline import BUSY
from derl_runtime.sandbox import Sandbox, SandboxLimits
from tests.hostile.running import raw_zygote

ENGINES = ("restricted", "monty")
ROWS = 60
# What a function does in a hostile row, and the classes in which that row ends.
WORST = {
    "hangs": ("while True:\n    pass", "timeout cpu"),
    "swallows_and_hangs": (
        "while True:\n    try:\n        1 / 0\n    except Exception:\n        pass", "timeout cpu",
    ),
    "power": ("return 9 ** 9 ** 9 ** 9", "timeout oom crash cpu"),
    "backtracks": ('import re\nreturn len(re.findall("(a|aa)+b", "a" * 80))', "timeout cpu value"),
    "raises": ("return 1 / 0", "crash"),
    "recurs": ("return f(c)", "crash"),
    "memory": ('return len("a" * 10 ** 11)', "oom"),
    # Rust that gets no memory aborts, by a system call that its walls have killed.
    "memory_by_doubling": ("x = [0]\nwhile True:\n    x = x + x", "oom timeout cpu violation"),
    "none": ("return None", "protocol"),
    "text": ("return c", "protocol"),
    "not_a_number": ('return float("nan")', "nonfinite"),
    "infinite": ("return 1e308 * 10", "nonfinite"),
    "beyond_float": ("return 10 ** 400", "nonfinite"),
}  # fmt: skip
# What code that has escaped does; only the walls hold it.
ESCAPED = {
    "exits": ("os._exit(0)", "protocol"),
    "exits_with_an_error": ("os._exit(3)", "crash"),
    "segfaults": ("ctypes.string_at(0)", "crash"),
    "opens_a_socket": ("socket.socket()", "violation"),
    "forks": ("os.fork()", "violation"),
    "floods": ("while True: say(b'\\0' * 4096)", "protocol timeout"),
    "sends_more_rows": ("say(b'\\0' * 9 * 4096)\nos._exit(0)", "protocol"),
    "sends_garbage": ("say(b'\\x07garbage')\nos._exit(0)", "protocol"),
    "sends_half_a_row": ("say(b'\\0abc')\nos._exit(0)", "protocol"),
    "sends_an_unknown_failure": ("say(b'\\xff\\x63\\0\\0\\0\\0')\nos._exit(0)", "protocol"),
    "stops": ("signal.pause()", "violation"),
}


def source(what: str) -> str:
    lines = "".join(f"        {line}\n" for line in what.splitlines())
    return f'def f(c: text) -> number:\n    if c == "hostile":\n{lines}    return len(c)\n'


def check(sandbox: Sandbox, what: str, classes: str, deadline: float = 20.0) -> None:
    """Every tenth row is hostile; all others have their value."""
    texts = ["hostile" if k % 10 == 3 else "x" * (k % 7) for k in range(ROWS)]
    values, failures = sandbox.call_rows(source(what), "f", [texts], ROWS, deadline)
    hostile = np.array([k % 10 == 3 for k in range(ROWS)])
    assert values[~hostile].tolist() == [len(t) for t in texts if t != "hostile"]
    for failure in failures:
        assert failure.failure.cls in classes.split()
        assert failure.failure.message.isprintable()
        assert all(hostile[row] for row in failure.rows)
    if "value" not in classes:
        assert sorted(row for f in failures for row in f.rows) == np.flatnonzero(hostile).tolist()


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", WORST)
def test_every_tenth_row_is_hostile(name: str, engine: str) -> None:
    what, classes = WORST[name]
    # Those that hang have all the time that is left; the others need none.
    deadline = 3.0 if "timeout" in classes else 20.0
    with Sandbox("standard", engine) as sandbox:
        start = time.monotonic()
        check(sandbox, what, classes, deadline)
        assert time.monotonic() - start < deadline * (1 + BUSY) + 3


@pytest.mark.parametrize("name", ESCAPED)
def test_every_tenth_row_has_escaped_its_language(name: str) -> None:
    what, classes = ESCAPED[name]
    with Sandbox() as sandbox, raw_zygote():
        check(sandbox, what, classes)


def test_a_source_that_hangs_before_its_first_row_ends_with_the_deadline() -> None:
    hanging = "while True:\n    pass\ndef f(c: text) -> number:\n    return 1\n"
    with Sandbox() as sandbox:
        start = time.monotonic()
        values, (failure,) = sandbox.call_rows(hanging, "f", [["a"] * 100], 100, 1.0)
        assert time.monotonic() - start < 1 + BUSY + 3
    assert np.isnan(values).all()
    assert failure.failure.cls == "timeout"
    assert len(failure.rows) == 100


def test_a_source_that_does_not_compile_fails_all_rows_for_one_reason() -> None:
    with Sandbox() as sandbox:
        _, (failure,) = sandbox.call_rows("def f(c: text", "f", [["a"] * 100], 100)
    assert failure.failure.cls == "compile_error"
    assert len(failure.rows) == 100


# Nothing of a row is found by the next one: equal rows have equal values.
FRESH = {
    "cache_of_patterns": """
        import re
        def f(c: text) -> number:
            try:
                re.compile("once", 2.0)
                return 0
            except Exception:
                re.compile("once", 2)
                return 1
        """,
    "cache_of_replacements": """
        import re
        def f(c: text) -> number:
            try:
                return len(re.sub("a", "b", "a", 0, 2.0))
            except Exception:
                return len(re.sub("a", "b", "a", 0, 2)) + 1
        """,
    "global_list": """
        seen = []
        def f(c: text) -> number:
            seen.append(c)
            return len(seen)
        """,
    "global_dict": "d = {}\ndef f(c: text) -> number:\n    d[len(d)] = c\n    return len(d)\n",
    "default_argument": """
        def g(x, seen=[]):
            seen.append(x)
            return len(seen)
        def f(c: text) -> number:
            return g(c)
        """,
    "cycles_that_hold_memory": """
        big = "a" * 4000000
        def f(c: text) -> number:
            held = [big + c]
            held.append(held)
            return len(held)
        """,
    "closure": """
        def make():
            seen = [0]
            def g():
                seen[0] += 1
                return seen[0]
            return g
        counter = make()
        def f(c: text) -> number:
            return counter()
        """,
}


@pytest.mark.parametrize("name", FRESH)
def test_equal_rows_have_equal_values(name: str) -> None:
    import textwrap

    limits = SandboxLimits(deadline=30.0, cpu=30.0)
    with Sandbox(limits=limits) as sandbox:
        found = sandbox.call(textwrap.dedent(FRESH[name]).lstrip("\n"), "f", [["x"] * 200], 200)
    assert isinstance(found, np.ndarray), found
    assert len(set(found.tolist())) == 1


# Names under which a row might find the rows behind it.
PEEKS = ("derl_rows_", "derl_row_", "rows", "row", "_", "globals()", "locals()", "__rows__")


@pytest.mark.parametrize("name", PEEKS)
def test_no_row_of_monty_sees_a_later_one(name: str) -> None:
    peeking = f'def f(c: text) -> number:\n    return 1 if "later" in str({name}) else 0\n'
    with Sandbox("strict", "monty") as sandbox:
        values, _ = sandbox.call_rows(peeking, "f", [["now", "later"]], 2)
    assert values[0] != 1


@pytest.mark.parametrize("default", ["inf", "-inf", "nan", "1e999", "infinity"])
def test_a_declared_default_is_finite(default: str, tmp_path: Path) -> None:
    file = tmp_path / "p.py"
    doc = f'"""Odd.\n\n    default: {default}\n    """'
    file.write_text(f"def odd(c: text) -> number:\n    {doc}\n    return 1\n")
    with pytest.raises(PrimitiveError, match="has to be a finite number"):
        derl_dsl.load_primitives(file)


def test_a_file_of_functions_that_hang_is_loaded_by_one_deadline(tmp_path: Path) -> None:
    file = tmp_path / "slow.py"
    file.write_text("".join(
        f"def hangs{k}(c: text) -> number:\n    while True:\n        pass\n" for k in range(64)
    ))  # fmt: skip
    start = time.monotonic()
    assert len(derl_dsl.load_primitives(file, deadline=1.0)) == 64
    assert time.monotonic() - start < 10
