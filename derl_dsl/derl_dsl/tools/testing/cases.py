"""What a test file says, read from TOML into frozen records; see README.md for the syntax."""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Mapping
from dataclasses import field
from typing import Any

from derl_grammar.records import record
from derl_grammar.settings import read_values, setting

TOLERANCE = 1e-9
ROWS = 1000
LARGEST_GROUP = 64


class TestFileError(ValueError):
    """A test file that cannot be used; the message names the file, the line and the fix."""

    __test__ = False  # no class of tests, whatever pytest thinks of the name

    def __init__(self, path: str, line: int, message: str) -> None:
        super().__init__(f"{path}:{line}: {message}")


@record
class Expected:
    """What one value must be: within [lo, hi], or not applicable when `lo` is None."""

    lo: float | None
    hi: float
    words: str

    def holds(self, actual: float) -> bool:
        """Whether a value (NaN: not applicable) is as expected."""
        if self.lo is None or math.isnan(actual):
            return self.lo is None and math.isnan(actual)
        return self.lo <= actual <= self.hi


@record
class Case:
    """Rows of one group, and what the reward and its parts must be on them.

    `expected` maps `reward` or a part to one expectation a row; `order` lists rows from the best to
    the worst; `faults` the classes of the faults that must be found.
    """

    name: str
    line: int
    rows: tuple[Mapping[str, Any], ...]
    expected: Mapping[str, tuple[Expected, ...]]
    order: tuple[int, ...] = ()
    faults: tuple[str, ...] = ()


@record
class Order:
    """Cases from the best to the worst: each must score at least `by` more than the next."""

    name: str
    line: int
    cases: tuple[str, ...]
    by: float


@record
class Property:
    """What must hold on random inputs: a condition, or that raising an input never lowers it."""

    name: str
    line: int
    holds: str | None
    rises: str | None
    rows: int
    group: int
    seed: int


@record
class TestFile:
    """All tests of one reward; `settings` are suite, columns and outcome where the file sets them.

    `diagnostics` are the codes that check must report, None when the file does not say.
    """

    __test__ = False

    path: str
    cases: tuple[Case, ...] = ()
    orders: tuple[Order, ...] = ()
    properties: tuple[Property, ...] = ()
    diagnostics: tuple[str, ...] | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)


_FENCE = re.compile(r"^#[ \t]*test:[ \t]*\r?$", re.M)
_HEADER = re.compile(r"[ \t]*\[\[[ \t]*(case|order|property)[ \t]*\]\]")
_TRIPLE = re.compile(r'"""|\'\'\'')
_AT = re.compile(r"\s*\(at line (\d+), column \d+\)|\s*\(at end of document\)")


@record
class _Top:
    """The keys of a test file."""

    suite: str | None = None
    outcome: str | None = None
    columns: Mapping[str, Any] | None = None
    diagnostics: tuple[str, ...] | None = setting(None, example='["DRL305"]')
    tolerance: float = setting(TOLERANCE, least=0)
    defaults: Mapping[str, Any] | None = None
    case: list[Any] | None = None
    order: list[Any] | None = None
    property: list[Any] | None = None


@record
class _Case:
    """The keys of a case."""

    name: str | None = None
    row: Mapping[str, Any] | None = None
    rows: list[Any] | None = None
    reward: Any = None
    parts: Mapping[str, Any] | None = None
    faults: tuple[str, ...] = setting((), example='["out_of_range"]')
    tolerance: float = setting(TOLERANCE, least=0)
    order: list[Any] | None = None


@record
class _Order:
    """The keys of an order."""

    name: str | None = None
    cases: tuple[str, ...] = setting((), example='["right", "wrong"]')
    by: float = setting(0.0, least=0)


@record
class _Property:
    """The keys of a property."""

    name: str | None = None
    holds: str | None = None
    rises: str | None = None
    rows: int = setting(ROWS, least=1, most=100_000)
    group: int = setting(4, least=1, most=LARGEST_GROUP)
    seed: int = 0


def fenced_tests(text: str) -> str | None:
    """The tests in the comments after a line `# test:` of a reward file, on the lines they have.

    >>> fenced_tests("reward = a\\n# test:\\n# [[case]]\\n# row = { a = 1 }\\n")
    '\\n\\n[[case]]\\nrow = { a = 1 }'
    """
    fence = _FENCE.search(text)
    if fence is None:
        return None
    above = text.count("\n", 0, fence.start()) + 1
    below = text[fence.end() :].lstrip("\r").removeprefix("\n").splitlines()
    bare = (line[1:].removeprefix(" ") for line in below if line.startswith("#") or not line)
    return "\n" * above + "\n".join(bare)


def read_tests(path: str, text: str) -> TestFile:
    """The tests that a text holds; `path` is for messages. Raises TestFileError."""
    try:
        data = tomllib.loads(text)
    except RecursionError:
        raise TestFileError(path, 1, "not TOML that can be read: nested too deeply") from None
    except tomllib.TOMLDecodeError as error:
        at = _AT.search(str(error))
        line = int(at[1]) if at and at[1] else text.count("\n") + 1
        raise TestFileError(path, line, f"not TOML: {_AT.sub('', str(error))}") from None
    return _Reader(path, _lines(text)).file(data)


def _lines(text: str) -> dict[str, list[int]]:
    """The lines of the headers `[[case]]`, `[[order]]`, `[[property]]`."""
    found: dict[str, list[int]] = {"case": [], "order": [], "property": []}
    inside = False
    for number, line in enumerate(text.split("\n"), 1):
        header = None if inside else _HEADER.match(line)
        if header:
            found[header[1]].append(number)
        elif len(_TRIPLE.findall(line)) % 2:
            inside = not inside
    return found


class _Reader:
    """Reads one file; every mistake is a TestFileError with its line."""

    def __init__(self, path: str, lines: Mapping[str, list[int]]) -> None:
        self.path = path
        self.lines = lines
        self.line = 1

    def fail(self, message: str) -> TestFileError:
        return TestFileError(self.path, self.line, message)

    def file(self, data: dict[str, Any]) -> TestFile:
        self.read(_Top, data, "")
        tolerance = float(data.get("tolerance", TOLERANCE))
        defaults = data.get("defaults", {})
        codes = data.get("diagnostics")
        cases = tuple(
            self.case(t, k, defaults, tolerance) for k, t in self.tables(data, "case", _Case)
        )
        names = [case.name for case in cases]
        return TestFile(
            self.path,
            cases,
            tuple(self.order(t, k, names) for k, t in self.tables(data, "order", _Order)),
            tuple(self.property(t, k) for k, t in self.tables(data, "property", _Property)),
            None if codes is None else tuple(codes),
            {k: data[k] for k in ("suite", "outcome", "columns") if k in data},
        )

    def tables(self, data: dict[str, Any], name: str, kind: type) -> Any:
        """The tables of one kind, numbered from 1, with `line` set to where each stands."""
        for k, table in enumerate(data.get(name, ()), 1):
            lines = self.lines[name]
            self.line = lines[k - 1] if k <= len(lines) else 1
            if not isinstance(table, dict):
                raise self.fail(f"write each {name} as a table: [[{name}]]")
            self.read(kind, table, f"[{name}]")
            yield k, table
        self.line = 1

    def read(self, kind: type, table: dict[str, Any], name: str) -> None:
        """Holds a table to the keys and values that its kind has."""
        try:
            read_values(kind, table, name=name)
        except ValueError as error:
            raise self.fail(str(error)) from None

    # Cases

    def case(self, table: dict[str, Any], number: int, defaults: Any, tolerance: float) -> Case:
        name = table.get("name", f"case {number}")
        if ("row" in table) == ("rows" in table):
            raise self.fail("a case has either row = {…}, or rows = [{…}, …] of one group")
        rows = [table["row"]] if "row" in table else table["rows"]
        if not rows or not all(isinstance(r, dict) for r in rows):
            raise self.fail("rows must be tables of column values: rows = [{ n = 1 }, { n = 2 }]")
        tolerance = float(table.get("tolerance", tolerance))
        wanted = dict(table.get("parts", {}))
        if "reward" in wanted:
            raise self.fail("write reward beside parts, not in it")
        if "reward" in table:
            wanted["reward"] = table["reward"]
        many = "rows" in table
        expected = {
            part: self.expectations(part, value, len(rows) if many else None, tolerance)
            for part, value in wanted.items()
        }
        order = table.get("order", [])
        if sorted(map(repr, order)) != sorted({repr(k) for k in order}) or not all(
            type(k) is int and 0 <= k < len(rows) for k in order
        ):
            raise self.fail(
                f"order lists rows from the best to the worst, from 0 to {len(rows) - 1}"
            )
        faults = table.get("faults", [])
        if not (expected or order or faults or "name" in table):
            raise self.fail("the case expects nothing: give it a reward, parts, order or a name")
        full = tuple({**defaults, **row} for row in rows)
        return Case(name, self.line, full, expected, tuple(order), tuple(faults))

    def expectations(
        self, part: str, value: Any, rows: int | None, tolerance: float
    ) -> tuple[Expected, ...]:
        """One expectation a row; one value stands for every row."""
        if not isinstance(value, list):
            return (self.expected(part, value, tolerance),) * (rows or 1)
        if rows is None:
            raise self.fail(f"{part}: one row has one value, not a list")
        if len(value) != rows:
            raise self.fail(f"{part}: {len(value)} values for {rows} rows")
        return tuple(self.expected(part, v, tolerance) for v in value)

    def expected(self, part: str, value: Any, tolerance: float) -> Expected:
        if value == "skip":
            return Expected(None, 0.0, "skip")
        if isinstance(value, int | float) and math.isfinite(value):
            room = tolerance * max(1.0, abs(value))
            return Expected(value - room, value + room, f"{float(value):.12g}")
        if isinstance(value, dict) and value and set(value) <= {"min", "max"}:
            ends = [float(value.get("min", -math.inf)), float(value.get("max", math.inf))]
            words = " and ".join(
                f"{sign} {value[key]:g}" for key, sign in (("min", ">="), ("max", "<="))
                if key in value
            )  # fmt: skip
            return Expected(ends[0] - tolerance, ends[1] + tolerance, words)
        raise self.fail(f'{part}: write a number, {{ min = 0, max = 1 }} or "skip", not {value!r}')

    # Orderings and properties

    def order(self, table: dict[str, Any], number: int, names: list[str]) -> Order:
        cases = table.get("cases", [])
        if len(cases) < 2:
            raise self.fail('an order names two cases or more: cases = ["right", "wrong"]')
        for name in cases:
            if names.count(name) != 1:
                told = "several cases are" if name in names else "no case is"
                raise self.fail(f"{told} named {name!r}; cases: {', '.join(names) or 'none'}")
        by = float(table.get("by", 0.0))
        return Order(table.get("name", " > ".join(cases)), self.line, tuple(cases), by)

    def property(self, table: dict[str, Any], number: int) -> Property:
        holds, rises = table.get("holds"), table.get("rises")
        if (holds is None) == (rises is None):
            raise self.fail('a property has either holds = "0 <= reward" or rises = "solved"')
        name = table.get("name", holds if holds is not None else f"never falls with {rises}")
        rows, group = table.get("rows", ROWS), table.get("group", 4)
        return Property(name, self.line, holds, rises, rows, group, table.get("seed", 0))
