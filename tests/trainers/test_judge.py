"""The judge: penalties by how far the checker let a formula come."""

import pytest

from derl_grammar.diagnostics import CODES
from derl_trainers.outer.judge import GRADED, judge


@pytest.mark.parametrize(
    ("formula", "stage", "penalty"),
    [
        ("", "syntax", -1.0),
        ("g1 + (g2", "syntax", -1.0),
        ("g1 + g9", "names", -0.8),
        ("1 if g1 else 0", "types", -0.6),
        ("g1 / (g3 - g4)", "unsafe", -0.4),
        ("g1 - g1", "degenerate", -0.2),
        ("(1 if g1 else 0) + g9", "names", -0.8),
        ("(" * 5000 + "g1" + ")" * 5000, None, -1.0),
    ],
)
def test_the_earliest_stage_sets_the_penalty(
    formula: str, stage: str | None, penalty: float
) -> None:
    verdict = judge(formula, "derl-math")
    assert stage is None or verdict.stage == stage
    assert verdict.penalty == penalty
    assert verdict.key is None
    assert verdict.diagnostics
    assert judge(formula, "derl-math", "flat").penalty == -1.0


def test_a_usable_formula_has_key_and_certificate() -> None:
    first, second = (judge(f, "derl-math") for f in ("g1 + 0.5 * g3", "3 + 2 * g1 + g3"))
    assert first.penalty is None
    assert first.key == second.key is not None
    assert first.certificate is not None
    assert first.certificate["outcome_monotone"] is True
    # A reward that punishes being right is usable, and left to validation.
    assert judge("-(g1 + g2)", "derl-math").penalty is None


def test_every_stage_of_the_checker_has_a_penalty() -> None:
    errors = {code.stage for code in CODES.values() if code.severity == "error"}
    # What is found in data files, or says that a trainer cannot run it, is no mistake of a formula.
    assert errors - {"data", "export"} <= set(GRADED)
    assert sorted(GRADED.values()) == list(GRADED.values())
