"""`check --budget`: whether one rollout is proven to take no longer than that."""

from __future__ import annotations

import re
from dataclasses import replace

from derl_dsl.cli.checking import More
from derl_dsl.cli.inputs import fail
from derl_dsl.prove.bounds import Bound, bound_of
from derl_dsl.prove.checked import Checked
from derl_dsl.prove.codes import OVER_BUDGET
from derl_grammar.diagnostics import Report

_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0}


def seconds_of(text: str) -> float:
    """The seconds that a text such as `5ms` means; another text ends the command.

    >>> seconds_of("5ms"), seconds_of("2 s")
    (0.005, 2.0)
    """
    match = re.fullmatch(r"\s*([0-9]*\.?[0-9]+)\s*(ns|us|µs|ms|s)\s*", text)
    if match is None or float(match[1]) == 0:
        fail(f"--budget {text}: write a time for one rollout, such as 5ms, 200us or 1s")
    return float(match[1]) * _UNITS[match[2]]


def shown(seconds: float) -> str:
    """A time in the unit that fits it.

    >>> shown(0.00501), shown(3.2e-6), shown(2)
    ('5.01 ms', '3.2 us', '2 s')
    """
    unit = next((u for u in ("s", "ms", "us") if seconds >= _UNITS[u]), "ns")
    return f"{seconds / _UNITS[unit]:.3g} {unit}"


def within(budget: str, longest: int) -> More:
    """What adds to a program the finding that its bound is above the budget."""
    most = seconds_of(budget)

    def checked_for(checked: Checked) -> Checked:
        if checked.graph is None or not checked.ok:
            return checked
        bound = bound_of(checked.graph, longest)
        if bound.seconds + bound.waits <= most:
            return checked
        report = Report(checked.source)
        place = checked.graph.places[checked.reward]
        report.add(OVER_BUDGET, place, _message(bound, most), *_hints(bound))
        return replace(checked, diagnostics=(*checked.diagnostics, *report.found))

    return checked_for


def _message(bound: Bound, most: float) -> str:
    waits = f", and workers {shown(bound.waits)} beside" if bound.waits else ""
    return (
        f"a rollout of {bound.longest:,} characters may take {shown(bound.seconds)}{waits}: "
        f"more than {shown(most)}"
    )


def _hints(bound: Bound) -> list[str]:
    hints = [f"most of it is {bound.costliest}"] if bound.costliest else []
    return [*hints, "name the longest completion that training allows with --longest"]
