"""Tests of a submitted program, in a process that the program cannot reach.

A test is Python text and runs with its own builtins and modules here; the names that it does not
define are the program's, and stand for what lives in the program's process (`standin`). The verdict
of each test is one byte to the host as soon as it is known.
"""

from __future__ import annotations

import ast
import builtins
import sys
from collections.abc import Callable
from types import FunctionType, ModuleType
from typing import Any

from . import wire
from .standin import Far, FarModule, Peer
from .words import words

CHANNEL = 3
# Verdicts, one byte each; LOADED or NOT_LOADED comes first.
LOADED, NOT_LOADED, PASSED, FAILED = b"L", b"X", b"P", b"F"
# Verdicts of a test that nobody can run, whatever the program.
BAD = {
    b"S": "is no Python",
    b"M": "imports a module that tests do not have",
    b"E": "runs text as code (eval, exec, compile), which a program could have written",
    b"N": "asks nothing of the program",
}
_LONGEST_TEST = 100_000
_MODULES = frozenset(
    words(
        "abc bisect calendar cmath collections contextlib copy dataclasses datetime decimal "
        "enum fractions functools heapq itertools json math numbers operator random re statistics "
        "string time typing unicodedata __future__"
    )
)
_SUBMISSION = frozenset({"solution", "submission", "candidate", "main", "__main__"})
_REFUSED = frozenset({"eval", "exec", "compile", "open", "input", "breakpoint"})
_MODULE = "test"


# A class of exceptions that would catch a failed assertion is, where the program names it, one that
# catches nothing: `Overdrawn = AssertionError` would turn each failure into a success.
_NAMED = dict(wire.NAMED) | {
    name: type(name, (Exception,), {"derl_class": -1})
    for name, value in wire.NAMED.items()
    if isinstance(value, type) and issubclass(AssertionError, value)
}


class _Unfit(BaseException):
    """The test cannot be run, whatever the program; `verdict` says why."""

    def __init__(self, verdict: bytes) -> None:
        super().__init__()
        self.verdict = verdict


def run(tests: list[str], tell: Callable[[bytes], None]) -> None:
    """Run the tests against the program at the other end of the channel; tell each verdict."""
    try:
        message = wire.receive(CHANNEL)
    except (wire.Gone, MemoryError, RecursionError):
        message = None
    if message != ["ready"]:
        tell(NOT_LOADED)
        return
    tell(LOADED)
    exam = _Exam()
    for test in tests:
        try:
            verdict = exam.verdict(test)
        except wire.Gone:  # the program is, and the host sees at which test
            return
        tell(verdict)


class _Exam:
    def __init__(self) -> None:
        self.peer = Peer(CHANNEL, self.allows, _NAMED)
        self.seen: dict[str, Any] = {}  # the names of the program that the test at hand has

    def allows(self, name: str, given: list[Any]) -> bool:
        """What a program may do to an object of the tests: call it, step it, use its attributes.

        It may touch what a test gave to it and what it reached from there by plain names.
        """
        if not given or id(given[0]) not in self.peer.codec.numbers:
            return False
        target = given[0]
        if name == "call":
            return True
        if name in ("iter", "next"):
            return hasattr(target, "__next__")
        if type(target).__module__ != _MODULE:
            return False
        return name not in ("getattr", "setattr", "delattr") or (
            len(given) > 1 and type(given[1]) is str and not given[1].startswith("_")
        )

    def verdict(self, test: str) -> bytes:
        """Whether a test passes, fails, or cannot be run; raises Gone."""
        try:
            if len(test) > _LONGEST_TEST:
                return b"S"
            tree = ast.parse(test)
            code = compile(tree, "<test>", "exec", dont_inherit=True)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return b"S"
        read, stored = _names(tree)
        if (read - stored) & _REFUSED:
            return b"E"
        self.peer.codec.saw_nan = self.peer.stopped = False
        try:
            names = self.namespace(read - stored)
            names |= {n: _module(n) for n in _modules(tree) & names.keys() if _is_far(names[n])}
            before = self.peer.asked
            exec(code, names)
            for name in [n for n in stored if n.startswith("test")]:
                if isinstance(names.get(name), FunctionType):
                    names[name]()
                elif name in _decorated(tree):  # it is whatever a decorator made of it
                    return FAILED
        except wire.Gone:
            raise
        except _Unfit as unfit:
            return unfit.verdict
        except BaseException:  # noqa: BLE001 - whatever a test raises, it has failed
            return FAILED
        if self.peer.gone:
            raise wire.Gone
        if self.peer.asked == before and all(_is_far(v) for v in self.seen.values()):
            return b"N"
        # A NaN is neither above nor below: a test that does not speak of it has not meant it.
        if self.peer.codec.saw_nan and "nan" not in test.lower():
            return FAILED
        # `all(map(…))` is true of no values: a function that stops it has not passed.
        if self.peer.stopped and "StopIteration" not in test:
            return FAILED
        return PASSED

    def namespace(self, read: set[str]) -> dict[str, Any]:
        """What a test sees: its own builtins, and the names of the program that it reads."""
        known = vars(builtins).keys()
        # A test of nothing but a function that is named as a builtin: that name is the program's.
        wanted = sorted(read - known) or sorted(read & known)
        found = self.ask(wanted)
        if len(found) > 1 and not read - known:
            raise NameError(f"the program defines {', '.join(found)}")
        self.seen = found
        own = {n: v for n, v in vars(builtins).items() if n not in _REFUSED}
        own["__import__"] = self.importer
        return {**found, "__builtins__": own, "__name__": _MODULE}

    def ask(self, names: list[str]) -> dict[str, Any]:
        """Those of the names that the program has; a module of it is the tests' own, or none."""
        found = self.peer.ask("names", names)
        if type(found) is not dict:
            raise wire.Gone
        own = {
            name: _module(value._derl_name) if isinstance(value, FarModule) else value
            for name, value in found.items()
            if not isinstance(value, FarModule) or _known(value._derl_name)
        }
        return {name: own[name] for name in names if name in own}

    def importer(
        self,
        name: str,
        globals: Any = None,
        locals: Any = None,
        fromlist: Any = (),
        level: int = 0,
    ) -> Any:
        """`__import__` for tests: their own modules, and the program as one of them."""
        if name in _SUBMISSION:
            return _Submission(self)
        module = _module(name)
        return module if fromlist else _module(name.partition(".")[0])


class _Submission:
    """The program as a module: `from solution import add`."""

    def __init__(self, exam: _Exam) -> None:
        self._exam = exam

    def __getattr__(self, name: str) -> Any:
        found = self._exam.ask([name])
        if name not in found:
            raise AttributeError(name)
        return found[name]


def _names(tree: ast.Module) -> tuple[set[str], set[str]]:
    """The names that a test reads, and those that it binds anywhere."""
    read: set[str] = set()
    stored: set[str] = set()
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name, ctx=ast.Load()):
                read.add(name)
            case ast.Name(id=name) | ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                stored.add(name)
            case ast.alias(name=name, asname=other):
                stored.add(other or name.partition(".")[0])
            case ast.arg(arg=name):
                stored.add(name)
    return read, stored


def _decorated(tree: ast.Module) -> set[str]:
    """The functions of a test that have a decorator, which may be the program's."""
    return {n.name for n in tree.body if isinstance(n, ast.FunctionDef) and n.decorator_list}


def _modules(tree: ast.Module) -> set[str]:
    """The names that a test uses as it would a module of its own, as in `math.isclose(…)`."""
    used: dict[str, set[str]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            used.setdefault(node.value.id, set()).add(node.attr)
    return {n for n in used if _known(n) and used[n] <= vars(_module(n)).keys()}


def _is_far(value: Any) -> bool:
    return isinstance(value, Far) or hasattr(value, "derl_class")


def _known(name: str) -> bool:
    return name.partition(".")[0] in _MODULES and name in sys.modules


def _module(name: str) -> ModuleType:
    if not _known(name):
        raise _Unfit(b"M")
    return sys.modules[name]
