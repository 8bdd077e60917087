"""How many natural programs the proofs and keys understand, and that they understand no others."""

from __future__ import annotations

import numpy as np
import pytest

from derl_dsl.checker import check_source, prove_source
from derl_dsl.elaborate.scope import build_scope
from derl_dsl.prove.checked import Checked
from derl_grammar.spans import Source
from tests.differential.climbing import Climber
from tests.differential.conditional import Conditional
from tests.language import natural

# Values near 1e308 overflow in the comparisons of these tests, not in the programs.
pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")
SCOPE = natural.scope()


def proven(text: str) -> Checked:
    return prove_source(Source(text), SCOPE)


def errors(text: str) -> list[str]:
    found = check_source(Source(text), SCOPE).diagnostics
    return [f"{d.code} {d.message}" for d in found if d.severity == "error"]


def test_natural_finite_programs_are_accepted() -> None:
    refused = {text: found for text in natural.FINITE if (found := errors(text))}
    assert len(natural.FINITE) >= 180
    assert refused == {}


@pytest.mark.parametrize("text", [
    "1 / n if n > 0 else 0",
    "1 / a if a != 0 else 0",
    "a / b if b > 0 else 0",
    "(a - b) / (p - q) if p > q else 0",
    "1 / (a * b) if a > 0 and b > 0 else 0",
    "1 / (a + b) if a + b > 0 else 0",
    "1 / mean(xs) if mean(xs) > 0 else 0",
    "sqrt(a - b) if a > b - 0.1 else 0",
    "log(a) if a >= 0 else 0",
    "1 / k if k > -1 else 0",
    "1 / (ok + well) if ok or not well else 0",
    "a / group_max(b) if a > 0 else 0",
    "sqrt(group_max(a, where=ok) - a)",
    "ok / group_mean(well) if ok else 0",
    "sqrt(a * a + b * b - a * b - 0.5)",
    "sum(1 / min(xs) if xs > 0.5 else 0)",
    "sum(1 / sum(xs) if xs > 0.5 else 0) / (0 if min(xs) < 0.1 else 1)",
    "(a - group_mean(b)) / group_std(b) if group_std(b) > 0 else 0",
    "1 / (group_max(a) - group_min(a)) if group_max(a) > group_min(a) else 0",
    "guard(a / b, 1) / (a - b) if a > b else 0",
    "1 / guard(a / (a + b), 0)",
    "a / (a + b)",
    "1 / (2 * a - a)",
    "m = max(n, 1)\nreward = 1 / (3 * m - 2 * m - m)",
    "m = max(n, 1)\nreward = 1 / (2 * m - min(n, 2) * m)",
])  # fmt: skip
def test_what_can_fail_is_refused(text: str) -> None:
    """Each of these is infinite or undefined somewhere inside the declared ranges."""
    assert errors(text)


def test_a_divisor_that_is_only_above_zero() -> None:
    (found,) = check_source(Source("1 / n if n > 0 else 0"), SCOPE).diagnostics
    assert found.code == "DRL301"
    assert found.message.startswith("n can be as small as 4.94066e-324 here")
    assert "write n >= 0.001" in found.hints[0]
    (found,) = check_source(Source("1 / k if k < 0 else 0"), SCOPE).diagnostics
    assert "write k <= -0.001" in found.hints[0]


@pytest.mark.parametrize(("text", "most"), [
    ("a / (a + b) if a + b > 0 else 0", 1.0),
    ("n / (n + 1)", 1.0),
    ("a / max(a, b) if max(a, b) > 0 else 0", 1.0),
    ("(n - group_min(n)) / (group_max(n) - group_min(n)) if group_max(n) > group_min(n) else 0", 1),
    ("sum(fl) / count(fl) if any(fl) else 0", 1.0),
    ("sum(fl and gl) / max(sum(fl), 1)", 1.0),
    ("group_size(where=ok) / group_size()", 1.0),
    ("mean(xs) / max(xs) if max(xs) > 0 else 0", 1.0),
    ("2 * p * q / (p + q) if p + q > 0 else 0", 2.0),
    ("guard(a / (a + b), 0)", 1.0),
    ("guard(2 * p * q / (p + q), 0)", 2.0),
    ("guard(a / group_max(a), 0)", 1.0),
    ("guard(sum(fl) / count(fl), 0)", 1.0),
    ("guard(mean(xs) / max(xs), 0.5)", 1.0),
])  # fmt: skip
def test_bounds_of_ratios(text: str, most: float) -> None:
    checked = proven(text)
    assert checked.certificate is not None
    assert checked.certificate.hi <= most
    assert checked.certificate.lo == 0


@pytest.mark.parametrize(("text", "rises"), [
    ("a if ok else group_max(a)", False),
    ("ok * (a - group_mean(a))", False),
    ("ok * (group_rank(a) - 0.5)", False),
    ("ok * (0.1 - group_std(a))", False),
    ("ok * (group_quantile(a, 0.9) - 0.5)", False),
    ("ok * (group_rank(group_mean(a) - a) - 0.1)", False),
    ("ok * (group_size(where=well) - 2)", False),
    ("default(group_mean(a, where=well), 0) - 0.5 * ok", False),
    ("ok * group_max(a, where=well)", True),
    ("ok * (group_max(a, where=well) - group_min(a, where=well))", True),
    ("ok * (group_quantile(a, 0.9) - group_quantile(a, 0.1))", None),
])  # fmt: skip
def test_a_counterexample_is_a_group_that_there_can_be(text: str, rises: bool | None) -> None:
    certificate = proven(text).certificate
    assert certificate is not None
    assert certificate.outcome_monotone is rises


def test_values_of_one_group_have_an_order() -> None:
    for text in ("group_max(a) - a", "group_mean(a) - group_min(a) + 0 * b", "max(xs) - mean(xs)"):
        certificate = proven(f"ok * ({text})").certificate
        assert certificate is not None
        assert (certificate.lo, certificate.hi) == (0, 1)


def test_no_row_refutes_a_natural_program() -> None:
    rng = np.random.default_rng(3)
    pairs = [text for pair in natural.EQUAL for text in pair]
    wrong = {}
    for text in (*natural.FINITE, *natural.CONDITIONALS, *pairs):
        found = Climber(proven(text), rng).refuted()
        if found:
            wrong[text] = found
    assert wrong == {}


def climbed(count: int, seed: int) -> tuple[dict[str, list[str]], int]:
    draw, rng, wrong, finite = Conditional(seed), np.random.default_rng(seed), {}, 0
    for k in range(count):
        text = draw.program() if k % 4 else draw.stepwise()
        checked = proven(text)
        if checked.certificate is None or not checked.certificate.finite:
            continue
        finite += 1
        found = Climber(checked, rng).refuted()
        if found:
            wrong[text] = found
    return wrong, finite


def test_no_row_refutes_a_saved_operation() -> None:
    wrong, finite = climbed(400, seed=21)
    assert wrong == {}
    assert finite > 100


@pytest.mark.slow
def test_no_row_refutes_ten_thousand_saved_operations() -> None:
    wrong, _ = climbed(10_000, seed=22)
    assert wrong == {}


def test_most_monotone_conditionals_are_decided() -> None:
    """True where nothing refutes it, False where something does; few are left undecided."""
    undecided, false = [], 0
    for text in natural.CONDITIONALS:
        certificate = proven(text).certificate
        assert certificate is not None
        assert certificate.finite, text
        if certificate.outcome_monotone is None:
            undecided.append(text)
        false += certificate.outcome_monotone is False
    assert len(natural.CONDITIONALS) >= 140
    assert false == natural.FALLING
    assert len(undecided) <= 0.02 * (len(natural.CONDITIONALS) - false)


def chosen(count: int, seed: int) -> tuple[dict[str, list[str]], int]:
    draw, rng, wrong, rising = Conditional(seed), np.random.default_rng(seed), {}, 0
    for _ in range(count):
        text = draw.chosen()
        checked = proven(text)
        assert checked.certificate is not None
        rising += checked.certificate.outcome_monotone is True
        found = Climber(checked, rng).refuted()
        if found:
            wrong[text] = found
    return wrong, rising


def test_no_row_refutes_a_choice_by_the_outcome() -> None:
    wrong, rising = chosen(400, seed=23)
    assert wrong == {}
    assert rising > 200


@pytest.mark.slow
def test_no_row_refutes_ten_thousand_choices_by_the_outcome() -> None:
    wrong, _ = chosen(10_000, seed=24)
    assert wrong == {}


@pytest.mark.parametrize(("text", "holds"), [
    ("a if o > 0.5 else a / 2", True),
    ("a + b if o > 0.5 else a - (0.5 - o) * b", True),
    ("o * a + (1 - o) * a * b", True),
    ("max(a, o) if well else min(a, o)", True),
    ("a if o > 0.5 else b", False),
    ("o * (1 - o)", False),
])  # fmt: skip
def test_outcomes_between_zero_and_one(text: str, holds: bool) -> None:
    columns = {**natural.COLUMNS, "o": "number[0, 1]"}
    certificate = prove_source(Source(text), build_scope(None, columns, outcome="o")).certificate
    assert certificate is not None
    assert certificate.outcome_monotone is holds


def test_outcomes_of_several_values() -> None:
    columns = {**natural.COLUMNS, "o": "number{0, 0.5, 1}"}
    for text, holds in (("a if o == 1 else (a / 2 if o > 0 else a / 4)", True),
                        ("a if o == 1 else (a / 4 if o > 0 else a / 2)", False)):  # fmt: skip
        scope = build_scope(None, columns, outcome="o")
        certificate = prove_source(Source(text), scope).certificate
        assert certificate is not None
        assert certificate.outcome_monotone is holds


def nested(depth: int) -> str:
    """Conditions inside each other, all of them about the same numbers."""
    tests = [f"(a / {k + 2} if n > {k * 10} and (b > 0.{k} or ok) else " for k in range(depth)]
    return "reward = " + "".join(tests) + "0" + ")" * depth


def chained(depth: int) -> str:
    """Each part chooses by the one before it."""
    lines = [f"x{k} = max(x{k - 1}, b) if x{k - 1} > b or ok else min(x{k - 1}, n)"
             for k in range(1, depth)]  # fmt: skip
    return "\n".join(["x0 = a", *lines, f"reward = x{depth - 1} + ok"])


@pytest.mark.parametrize("text", [nested(9), chained(8), chained(15)])
def test_proofs_end_within_their_budget(text: str) -> None:
    """The first analysis may overdraw by what it has begun, and nothing after it does any work."""
    checked = proven(text)
    assert checked.prover is not None
    assert checked.prover.budget.left > -5_000
    assert checked.certificate is not None
    assert checked.certificate.finite
    assert not Climber(checked, np.random.default_rng(1)).refuted()


@pytest.mark.parametrize("text", [
    "group_mean(ok)",
    "progress + group_size()",
    "group_max(a) if progress > 0.5 else group_min(a)",
    "w = param(0.5, min=0, max=1)\nreward = w * group_std(a, where=ok) + group_size(where=ok)",
])  # fmt: skip
def test_what_a_group_shares_is_constant_to_grpo(text: str) -> None:
    (found,) = errors(text.replace("group_std(a, where=ok)", "default(group_std(a, where=ok), 0)"))
    assert found == "DRL304 the reward is the same for all rollouts of a group"


@pytest.mark.parametrize("text", ["group_rank(a)", "a - group_mean(a)", "a * progress"])
def test_what_tells_rollouts_apart_is_not(text: str) -> None:
    assert errors(text) == []


@pytest.mark.parametrize(("text", "vetoes"), [
    ("ok * all(fl)", ("fl",)),
    ("ok * any(fl)", ("fl",)),
    ("ok * mean(xs)", ("xs",)),
    ("ok if all(xs > 0.2) else 0", ("xs",)),
    ("(ok + a) * all(fl)", ("fl",)),
    ("ok * (group_mean(b) > 0.5)", ("group_mean",)),
    ("ok * a", ("a",)),
    ("ok * (0.1 + a)", ()),
    ("ok + 0.3 * all(fl) * well", ()),
    ("ok + b * any(fl)", ()),
])  # fmt: skip
def test_vetoes_by_lists_and_groups(text: str, vetoes: tuple[str, ...]) -> None:
    certificate = proven(text).certificate
    assert certificate is not None
    assert certificate.vetoes == vetoes


@pytest.mark.parametrize(("text", "vetoes"), [
    ("o * a", ("a",)),
    ("o + 100 * a", ()),
    ("o * (0.01 + a)", ()),
    ("o + 2000 * (a - a * o) * b - 2000 * (a - a * o) * b", ()),
])  # fmt: skip
def test_vetoes_of_a_number_as_outcome(text: str, vetoes: tuple[str, ...]) -> None:
    """What the outcome moves is measured where it moves something, not by wide bounds."""
    columns = {**natural.COLUMNS, "o": "number[0, 1]"}
    certificate = prove_source(Source(text), build_scope(None, columns, outcome="o")).certificate
    assert certificate is not None
    assert certificate.vetoes == vetoes


def test_conditions_about_each_other_are_read_to_a_depth() -> None:
    """Facts are handed from a condition to numbers and from them to conditions: it ends."""
    wrong, _ = climbed(60, seed=77)
    assert wrong == {}
    both = " or ".join(f"max(a, n - {k}) < min(b, k * {k})" for k in range(12))
    text = f"x = max(a, min(b, k))\ny = min(x, max(k, n))\nreward = x / (y + 9) if {both} else ok"
    assert proven(text).certificate is not None


@pytest.mark.parametrize("text", [
    "1 / (loss + group_size(where=ok)) if group_size(where=ok) > 0 else -1",
    "1 / (loss + group_size(where=ok) / 0.5) if loss < group_size(where=ok) / 0.5 else -1",
    "words(completion) + a if ok else words(completion) + 1.0005 * a",
])  # fmt: skip
def test_wide_bounds_prove_no_order(text: str) -> None:
    """Rounding is no share of a bound that no value comes near, nor of none."""
    certificate = proven(text).certificate
    assert certificate is not None
    assert certificate.finite
    assert not certificate.outcome_monotone
