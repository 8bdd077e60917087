"""Runs the tests of one reward: cases and orderings on its reference kernel, then properties."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from derl_dsl.checker import OutcomeError, check_source
from derl_dsl.graph.ir import Graph
from derl_dsl.prove.checked import Checked
from derl_dsl.score.reward import Reward
from derl_dsl.tools.project import Settings
from derl_dsl.tools.testing.cases import Case, Order, TestFile, TestFileError
from derl_dsl.tools.testing.properties import check_property
from derl_dsl.tools.testing.results import Failure, FileResult, Result
from derl_grammar.diagnostics import render
from derl_grammar.limits import LIMITS
from derl_grammar.spans import Source
from derl_runtime.reading import ColumnError
from derl_runtime.sources import Apply, Column, is_optional
from derl_runtime.sources import Source as Input

Scored = Mapping[str, Sequence[float]]


def run_tests(tests: TestFile, source: Source, settings: Settings) -> FileResult:
    """The results of all tests of one reward.

    Raises TestFileError when a test cannot be run at all: an unknown suite or part.
    """
    try:
        settings = settings.over(tests.settings)
        scope = settings.scope()
        checked = check_source(source, scope, LIMITS["wide"])
    except (ValueError, OutcomeError) as error:
        raise TestFileError(tests.path, 1, str(error)) from None
    results = []
    if tests.diagnostics is not None:
        results.append(_diagnostics(tests.diagnostics, checked))
    if not checked.ok:
        if tests.diagnostics is None or tests.cases or tests.properties:
            shown = render([d for d in checked.diagnostics if d.severity == "error"], source)
            results.append(Result("check", "the reward checks", 1, (Failure(shown),)))
        return FileResult(tests.path, source.path, tuple(results))
    reward = Reward(checked, "reference", "float64", ())
    scored: dict[str, float] = {}
    for case in tests.cases:
        results.append(_case(case, reward, tests.path, scored))
    results += [_order(order, scored) for order in tests.orders]
    results += [check_property(p, checked, tests.path) for p in tests.properties]
    return FileResult(tests.path, source.path, tuple(results))


def _diagnostics(codes: tuple[str, ...], checked: Checked) -> Result:
    found = sorted({d.code for d in checked.diagnostics})
    wanted = sorted(set(codes))
    if found == wanted:
        return Result("diagnostics", "diagnostics", 1)
    expected, actual = ", ".join(wanted) or "none", ", ".join(found) or "none"
    failure = Failure("the diagnostics differ", "diagnostics", None, expected, actual)
    return Result("diagnostics", "diagnostics", 1, (failure,))


def _case(case: Case, reward: Reward, path: str, scored: dict[str, float]) -> Result:
    columns = {name: [None] * len(case.rows) for name in _optional(reward.graph)}
    columns |= _columns(case.rows)
    try:
        scores = reward.score(columns, group_size=len(case.rows))
    except ColumnError as error:
        return Result("case", case.name, case.line, (Failure(str(error)),))
    values: dict[str, Sequence[float]] = {"reward": scores.values.tolist()}
    values |= {name: part.tolist() for name, part in scores.parts.items()}
    for name in case.expected:
        if name not in values:
            known = ", ".join(values)
            raise TestFileError(path, case.line, f"no part is named {name!r}; there are: {known}")
    if len(case.rows) == 1:
        scored[case.name] = values["reward"][0]
    failures = [*_compare(case, values), *_ordered(case, values["reward"])]
    failures += _faults(case, {f.kind: str(f) for f in scores.faults})
    return Result("case", case.name, case.line, tuple(failures))


def _optional(graph: Graph) -> set[str]:
    """The columns that may lack a value; a case need not name them."""
    found: set[str] = set()
    sources: list[Input] = [graph.source(i) for i in graph.inputs(graph.roots())]
    while sources:
        source = sources.pop()
        if isinstance(source, Apply):
            sources.extend(source.args)
        elif isinstance(source, Column) and is_optional(source):
            found.add(source.name)
    return found


def _columns(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: [row.get(name) for row in rows] for name in names}


def _compare(case: Case, values: Scored) -> list[Failure]:
    failures = []
    for part, expected in case.expected.items():
        for row, (wanted, actual) in enumerate(zip(expected, values[part], strict=True)):
            if not wanted.holds(actual):
                place = row if len(case.rows) > 1 else None
                found = _shown(actual)
                where = "" if place is None else f" of row {row}"
                message = f"{part}{where}: expected {wanted.words}, got {found}"
                failures.append(Failure(message, part, place, wanted.words, found))
    return failures


def _shown(value: float) -> str:
    return "skip" if math.isnan(value) else f"{value:.12g}"


def _ordered(case: Case, rewards: Sequence[float]) -> list[Failure]:
    failures = []
    for better, worse in pairwise(case.order):
        if not rewards[better] > rewards[worse]:
            a, b = _shown(rewards[better]), _shown(rewards[worse])
            message = f"row {better} must beat row {worse}: {a} is not above {b}"
            failures.append(Failure(message, "reward", better, f"> {b}", a))
    return failures


def _faults(case: Case, found: Mapping[str, str]) -> list[Failure]:
    """Faults nobody expected: a row without a score must not pass for one that is skipped."""
    failures = [
        Failure(f"fault: {told}", "faults", None, None, kind)
        for kind, told in found.items()
        if kind not in case.faults
    ]
    failures += [
        Failure(f"no fault {kind!r} was found", "faults", None, kind, None)
        for kind in case.faults
        if kind not in found
    ]
    return failures


def _order(order: Order, scored: Mapping[str, float]) -> Result:
    failures = []
    for better, worse in pairwise(order.cases):
        if better not in scored or worse not in scored:
            missing = better if better not in scored else worse
            message = f"case {missing!r} has no single score to compare (one row is needed)"
            failures.append(Failure(message))
            continue
        a, b = scored[better], scored[worse]
        if not (a > b and a - b >= order.by * (1 - 1e-12)):
            least = f" by {order.by:g}" if order.by else ""
            message = f"{better!r} must beat {worse!r}{least}: {_shown(a)} against {_shown(b)}"
            failures.append(Failure(message, "reward", None, f"> {_shown(b)}{least}", _shown(a)))
    return Result("order", order.name, order.line, tuple(failures))
