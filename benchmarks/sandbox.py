"""What untrusted primitives cost: a no-op over a batch, and one that never answers."""

from __future__ import annotations

import time

from benchmarks.run import Benchmark, Contender
from derl_runtime.sandbox import Failure, Refused, Sandbox, SandboxLimits

_ROWS, _CHARACTERS = 1024, 2048
_DEADLINE = 0.5
_NO_OP = "def no_op(completion: text) -> number[0, 1]:\n    return 1\n"
_WORDS = "def words(completion: text) -> number:\n    return len(completion.split())\n"
_HANGS = "def hangs(completion: text) -> number:\n    while True:\n        pass\n"
_HOSTILE = (
    "def hostile(completion: text) -> number:\n    x = [0]\n    while True:\n"
    "        try:\n            x = [*x]\n        except:\n            pass\n"
)


def _texts() -> list[str]:
    return [("word " * (_CHARACTERS // 5 + 1))[:_CHARACTERS]] * _ROWS


def _opened(engine: str, limits: SandboxLimits | None = None) -> Sandbox | str:
    """A sandbox, or why this machine has none."""
    try:
        return Sandbox(engine=engine, limits=limits)
    except Refused as error:
        return str(error)


def _contender(sandbox: Sandbox | str, name: str, does: str, source: str) -> Contender:
    """A call of the one function of a source, which has to give values."""
    if isinstance(sandbox, str):
        return Contender(name, None, sandbox)
    texts, function = _texts(), source[4 : source.index("(")]

    def call() -> None:
        values = sandbox.call(source, function, [texts], _ROWS)
        assert not isinstance(values, Failure), values

    return Contender(name, call, does)


def _overhead() -> tuple[Contender, ...]:
    texts = _texts()
    restricted, monty = _opened("restricted"), _opened("monty")
    return (
        _contender(restricted, "no-op, restricted", "a fresh process behind all walls", _NO_OP),
        _contender(monty, "no-op, monty", "and in it monty's own program", _NO_OP),
        _contender(restricted, "words, restricted", "len(completion.split())", _WORDS),
        Contender(
            "words, trusted",
            lambda: [len(t.split()) for t in texts],
            "the same in plain Python, no sandbox",
        ),
    )


def _deadline() -> tuple[Contender, ...]:
    sandbox = _opened("restricted", SandboxLimits(deadline=_DEADLINE, cpu=10))
    if isinstance(sandbox, str):
        return (Contender("hangs", None, sandbox),)
    texts = _texts()

    def call(source: str, function: str) -> None:
        failed = sandbox.call(source, function, [texts], _ROWS)
        assert isinstance(failed, Failure), failed
        assert failed.cls == "timeout", failed

    return (
        Contender("hangs", lambda: call(_HANGS, "hangs"), "killed and reaped, told as a failure"),
        Contender("swallows", lambda: call(_HOSTILE, "hostile"), "a loop that catches everything"),
        Contender("deadline", lambda: time.sleep(_DEADLINE), "sleeping for as long"),
    )


def overhead() -> Benchmark:
    """An untrusted primitive on a batch, the process it runs in included."""
    title = f"An untrusted primitive over {_ROWS} texts of {_CHARACTERS} characters"
    return Benchmark("sandbox-overhead", title, _overhead, rounds=25, target=0.025)


def deadline() -> Benchmark:
    """A primitive that never answers: from the call to the failure."""
    title = f"A primitive that never answers, over {_ROWS} texts, deadline {_DEADLINE:g} s"
    return Benchmark("sandbox-deadline", title, _deadline, rounds=7, target=_DEADLINE + 0.05)


def benchmarks() -> list[Benchmark]:
    """The benchmarks of this file."""
    return [overhead(), deadline()]
