"""Hostile reward programs: each is refused with a diagnostic, at once and without an exception."""

from __future__ import annotations

import math
import time

import numpy as np
import pytest

import derl_dsl

REFUSED = {
    "brackets": "(" * 100_000 + "1" + ")" * 100_000,
    "open_brackets": "(" * 100_000,
    "close_brackets": ")" * 100_000,
    "minuses": "-" * 100_000 + "x",
    "nots": "not " * 100_000 + "x > 0",
    "powers": "x" + " ** x" * 50_000,
    "long_sum": "x" + " + 1" * 100_000,
    "short_deep_sum": "(" * 300 + "x" + " + 1)" * 300,
    "many_nodes": " + ".join(["x * x"] * 900),
    "text_of_10_mb": f'contains(completion, "{"a" * 10_000_000}")',
    "text_without_end": 'contains(completion, "' + "a" * 100_000,
    "escapes_without_end": 'contains(completion, "' + "\\" * 100_001,
    "half_a_million_arguments": "max(" + "x, " * 500_000 + "x)",
    "many_names": "\n".join(f"a{i} = x" for i in range(50_000)) + "\nreward = a1",
    "deep_conditions": "x" + " if x > 0 else x" * 20_000,
    "comparison_chain": "1 if x" + " < x" * 50_000 + " else 0",
    "nul": "x + \0 1",
    "lone_surrogate": "x + \ud800",
    "confusable_name": "ｘ + 1",
    "right_to_left": "x + \u202e1",
    "bom_in_the_middle": "x \ufeff+ 1",
    "form_feeds": "\f" * 100_000 + "x",
    "big_literal": "x + 1e999",
    "digits": "x + " + "9" * 4300,
    "hex_digits": "x + 0x" + "f" * 4000,
    "division_by_zero": "x / 0",
    "zero_over_zero": "(x - x) / (x - x)",
    "log_of_zero": "log(x - x)",
    "root_of_minus_one": "sqrt(-1 - x)",
    "overflow_by_power": "(x + 10) ** 400",
    "overflow_by_product": "x * 1e308 * 10",
    "overflow_by_exp": "exp(1000 + x)",
    "attribute": "x.__class__",
    "call_of_call": "max(x)(x)",
    "import": "import os",
    "lambda": "(lambda: x)()",
    "comprehension": "sum([i for i in x])",
    "f_string": 'f"{x}"',
    "walrus": "(y := x)",
    "dunder_name": "__import__",
    "regex_product": 'matches(completion, "(?:(?:a?b?){30}){30}c")',
    "regex_count": 'matches(completion, "a{2,1000000000}")',
    "regex_backreference": 'matches(completion, "(a+)\\\\1")',
    "regex_look_ahead": 'matches(completion, "(?=a+)b")',
    "regex_long": f'matches(completion, "{"a|" * 200}b")',
    "regex_broken": 'matches(completion, "(((")',
}


@pytest.mark.parametrize("name", REFUSED)
def test_is_refused_with_a_diagnostic(name: str) -> None:
    start = time.perf_counter()
    found = derl_dsl.check(REFUSED[name], columns={"x": "number[0, 1]", "completion": "text"})
    assert any(d.severity == "error" for d in found)
    assert time.perf_counter() - start < 5
    for diagnostic in found:
        assert len(diagnostic.message) < 1000
        assert diagnostic.message.isprintable()


@pytest.mark.parametrize("text", ["x * 5e-324", "x + -0.0", "min(x, 1e308) * 1", "x ** 0"])
def test_the_ends_of_float64_stay_finite(text: str) -> None:
    reward = derl_dsl.compile(text, columns={"x": "number[0, 1]"})
    values = reward.score({"x": [0.0, 5e-324, 0.5, 1.0]}).values
    assert np.isfinite(values).all()
    assert reward.certificate.lo <= values.min()
    assert values.max() <= reward.certificate.hi


def test_values_outside_their_range_never_pass() -> None:
    reward = derl_dsl.compile("x", columns={"x": "number[0, 1]"})
    got = reward.score({"x": [math.nan, math.inf, -math.inf, 2.0, -1.0, 1.0]})
    assert np.isnan(got.values[:5]).all()
    assert got.values[5] == 1
    assert sum(fault.count for fault in got.faults) == 5
