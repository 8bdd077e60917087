"""Fixes that `check --fix` makes: proven, and the same numbers on random rows."""

from __future__ import annotations

import random

import numpy as np
import pytest

import derl_dsl
from derl_dsl.checker import check_source
from derl_dsl.elaborate.scope import build_scope
from derl_dsl.generate.sample import EVERYTHING, FORMULAS, sample_program
from derl_dsl.tools.fixes import fix_safely
from derl_dsl.tools.project import Settings
from derl_grammar.limits import WIDE
from derl_grammar.spans import Source

WIDELY = Settings(limits="wide")
COLUMNS = {
    "a": "number[0, 1]", "b": "number[-2, 2]", "d": "bool", "o": "number[0, 3]?",
    "xs": "list[number[-1, 2]]",
}  # fmt: skip


def fixed(text: str, suite: str | None = "derl-math") -> str:
    checked = check_source(Source(text), build_scope(suite), WIDE)
    return fix_safely(checked, WIDELY)[0].source.text


@pytest.mark.parametrize(
    ("text", "mended"),
    [
        ("g1 - -g2", "g1 + g2"),
        ("g1 + 0.2 * clip(g2, -5, 5)", "g1 + 0.2 * g2"),
        ("g1 + guard(max(g2, -1), 0)", "g1 + g2"),
        ("w = param(0.5, min=0, max=1)\nreward = w * g1 - -g2", None),
    ],
)
def test_what_only_says_it_shorter_is_made(text, mended):
    wanted = mended or text.replace("- -g2", "+ g2")
    assert fixed(text) == wanted


@pytest.mark.parametrize(
    "text",
    [
        "(g1 + 0.5 * g2) / 2 + 1",  # other numbers, though the same ranking
        "g1 + (g2 if g3 > 0.5 else g2)",  # a row without g3 would be a fault no more
        "g1 + 0.15 * g2 + 0.15 * g3",  # one more part in the log
        "g1 + (0.2 if 0.1 * g2 + g3 == g4 + 0.1 * g1 else 0)",
        "g1 - (  # a comment that the fix would lose\n-g2)",
    ],
)
def test_what_changes_anything_is_left(text):
    assert fixed(text) == text


def rows(rng: np.random.Generator, count: int) -> dict[str, object]:
    lists = [rng.uniform(-1, 2, rng.integers(0, 4)).tolist() for _ in range(count)]
    return {
        "a": rng.uniform(0, 1, count), "b": rng.choice([-2, -0.5, 0, 1, 2], count).astype(float),
        "d": rng.random(count) < 0.5,
        "o": [None if rng.random() < 0.3 else float(rng.uniform(0, 3)) for _ in range(count)],
        "xs": lists, "progress": np.full(count, 0.25),
    }  # fmt: skip


def test_random_programs_score_the_same():
    rng, numbers = random.Random(11), np.random.default_rng(11)
    scope, data, made = build_scope(None, COLUMNS, "d"), rows(numbers, 64), 0
    for k in range(500):
        text = sample_program(scope, rng, EVERYTHING if k % 2 else FORMULAS)
        before = check_source(Source(text), scope, WIDE)
        after, fixes = fix_safely(before, WIDELY)
        if not fixes:
            continue
        made += 1
        one, two = (
            derl_dsl.compile(c.source.text, columns=COLUMNS, outcome="d", backend="reference")
            for c in (before, after)
        )
        old, new = one.score(data, group_size=8), two.score(data, group_size=8)
        assert old.parts.keys() == new.parts.keys()
        pairs = [(old.values, new.values), *((old.parts[n], new.parts[n]) for n in old.parts)]
        for was, now in pairs:
            told = f"{text}\n{after.source.text}"
            np.testing.assert_allclose(now, was, rtol=1e-12, atol=1e-12, err_msg=told)
        assert [str(f) for f in old.faults] == [str(f) for f in new.faults]
    assert made > 15


def test_an_unsafe_fix_is_not_called_safe():
    checked = check_source(Source("g1 + ramp(g2, 0.8, 0.2)"), build_scope("derl-math"))
    assert any(d.fix is not None for d in checked.diagnostics)
    assert fix_safely(checked, Settings()) == (checked, ())
