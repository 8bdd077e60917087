"""Fixes: what they leave is a sound program without the finding, and mostly the same reward."""

from __future__ import annotations

import random

import pytest

from derl_dsl import lint
from derl_dsl.checker import check_source
from derl_dsl.elaborate.scope import Scope, build_scope
from derl_dsl.generate.sample import EVERYTHING, FORMULAS, sample_program
from derl_dsl.key import key
from derl_dsl.prove.checked import Checked
from derl_grammar.diagnostics import Code, Diagnostic, Fix
from derl_grammar.limits import WIDE
from derl_grammar.spans import Source

# Fixes of these say the same in fewer words; the others change what was probably a mistake.
SAME_REWARD = {f"DRL{k}" for k in (506, 507, 513, 518, 519, 521, 522, 525, 528)}
FIXED = [rule.code for rule in lint.RULES]


def check(text: str, suite: str | None = "derl-math") -> Checked:
    return check_source(Source(text), build_scope(suite), WIDE)


def fixable(checked: Checked) -> list[tuple[Diagnostic, Fix]]:
    return [(d, d.fix) for d in checked.diagnostics if d.fix is not None]


def same_reward(one: Checked, two: Checked) -> bool:
    assert one.graph is not None
    assert two.graph is not None
    return key(one.graph, one.reward) == key(two.graph, two.reward)


@pytest.mark.parametrize("code", FIXED, ids=lambda c: c.code)
def test_the_fix_of_the_bad_example_mends_it(code: Code) -> None:
    before = check(code.bad, code.suite)
    for found, fix in fixable(before):
        if found.code == code.code:
            after = check(fix.apply(code.bad), code.suite)
            assert after.ok, fix.apply(code.bad)
            assert code.code not in {d.code for d in after.diagnostics}


@pytest.mark.parametrize(
    ("text", "suite", "mended"),
    [
        ("(g1 + 0.5 * g2) / 2 + 1", "derl-math", "(g1 + 0.5 * g2)"),
        ("g1 + (g2 if g3 > 0.5 else g2)", "derl-math", "g1 + g2"),
        ("g1 * (g2 + 1 if g3 > 0.5 else g2 + 1)", "derl-math", "g1 * (g2 + 1)"),
        ("g1 - 0.5 * clip(g2 - g3, -5, 5)", "derl-math", "g1 - 0.5 * (g2 - g3)"),
        ("g1 - 0.5 * max(g2 - g3, -5)", "derl-math", "g1 - 0.5 * (g2 - g3)"),
        ("g1 - -g2", "derl-math", "g1 + g2"),
        (
            "exact(completion, answer) * (1 if words(completion) > 9 else 0)",
            "math",
            "exact(completion, answer) * (words(completion) > 9)",
        ),
        ("0 if boxed(completion) else 1", "math", "not boxed(completion)"),
        ("1 if exact(completion, answer) else 0", "math", "exact(completion, answer)"),
        (
            "g1 + 0.15 * g2 + 0.15 * g3",
            "derl-math",
            "weight = 0.15\nreward = g1 + weight * g2 + weight * g3",
        ),
        (
            "weight = 2 * g2\nreward = g1 + 0.3 * weight + 0.3 * g3",
            "derl-math",
            "weight2 = 0.3\nweight = 2 * g2\nreward = g1 + weight2 * weight + weight2 * g3",
        ),
        ("g1 + 0.2 * ramp(g2, 0.8, 0.2)", "derl-math", "g1 + 0.2 * (1 - ramp(g2, 0.2, 0.8))"),
        (
            "g1 + (0.2 if 0.1 * g2 + g3 == g4 + 0.1 * g1 else 0)",
            "derl-math",
            "g1 + (0.2 if abs((0.1 * g2 + g3) - (g4 + 0.1 * g1)) < 1e-9 else 0)",
        ),
        (
            "exact(completion, answer) + boxed(completion) / (words(completion) + 1e-6)",
            "math",
            "exact(completion, answer) + guard(boxed(completion) / words(completion), 0)",
        ),
    ],
)
def test_fixes_keep_the_brackets_that_matter(text: str, suite: str, mended: str) -> None:
    assert mended in [fix.apply(text) for _, fix in fixable(check(text, suite))]


def everything() -> Scope:
    columns = {"a": "number[0, 1]", "b": "number[-2, 2]", "d": "bool", "o": "number[0, 3]?",
               "xs": "list[number[-1, 2]]"}  # fmt: skip
    return build_scope("math", columns, "d")


@pytest.mark.parametrize("scope", [build_scope("derl-math"), everything()], ids=["exact", "all"])
def test_fixes_of_random_programs_are_sound(scope: Scope) -> None:
    rng = random.Random(5)
    tried = 0
    for k in range(300):
        text = sample_program(scope, rng, EVERYTHING if k % 2 else FORMULAS)
        before = check_source(Source(text), scope)
        for found, fix in fixable(before):
            after = check_source(Source(fix.apply(text)), scope, WIDE)
            # Of a reward that is constant but for rounding, the fix may leave the constant.
            settled = after.certificate is not None and after.certificate.constant
            assert after.ok or settled, (found.code, text, fix.apply(text))
            assert before.certificate is not None
            if before.certificate.exact and found.code in SAME_REWARD:
                assert same_reward(before, after), (found.code, text, fix.apply(text))
            tried += 1
    assert tried > 30
