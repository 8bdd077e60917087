"""The table of lints: complete, documented, and quiet where a reward is good."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

import derl_dsl
from derl_dsl import lint
from derl_dsl.checker import check_source
from derl_dsl.elaborate.scope import build_scope
from derl_dsl.prove.checked import Checked
from derl_grammar.diagnostics import CODES
from derl_grammar.spans import Source
from derl_primitives.primitive import primitive, table

PROGRAMS = Path(__file__).parents[1] / "golden" / "programs"
HELPERS = {"__init__", "context", "suppress"}


def codes(text: str, suite: str | None = "derl-math", severity: str | None = None) -> set[str]:
    found = derl_dsl.check(text, suite=suite)
    return {d.code for d in found if severity in (None, d.severity)}


def test_every_rule_file_is_in_the_table() -> None:
    files = {p.stem for p in Path(lint.__file__).parent.glob("*.py")} - HELPERS
    assert files == {rule.look.__module__.rsplit(".", 1)[1] for rule in lint.RULES}
    found = [rule.code.code for rule in lint.RULES]
    assert len(found) == len(set(found)) >= 22


def test_rules_only_advise() -> None:
    for rule in lint.RULES:
        assert rule.code is CODES[rule.code.code]
        assert rule.code.severity in ("warning", "info")
        assert rule.code.stage == "degenerate"


def test_every_rule_has_a_golden_chunk() -> None:
    marked = {
        code
        for path in PROGRAMS.glob("*.derl")
        for codes in re.findall(r"#! ((?:DRL\d+ ?)+)", path.read_text("utf-8"))
        for code in codes.split()
    }
    assert {rule.code.code for rule in lint.RULES} <= marked


@pytest.mark.parametrize("rule", lint.RULES, ids=lambda r: r.code.code)
def test_findings_never_change_ok(rule: lint.Rule) -> None:
    checked = check_source(Source(rule.code.bad), build_scope(rule.code.suite))
    assert checked.ok
    assert checked.certificate is not None


def test_no_lint_beside_an_error() -> None:
    assert codes("g1 / (g3 - g4) + 0.0001 * g2") == {"DRL301"}


def test_the_target_can_be_given_by_the_caller() -> None:
    text = "exact(completion, answer) * (1.2 - 0.2 * group_rank(words(completion)))"
    checked: Checked = check_source(Source(text), build_scope("math"))
    assert "DRL512" not in {d.code for d in lint.run(checked)}
    assert "DRL512" in {d.code for d in lint.run(checked, target="verl")}


@pytest.mark.parametrize(
    "text",
    [
        "0.6*g1 + 0.4*g2",
        "g1",
        "g1 + 0.2 * g2 + 0.1 * g3",
        "g1 + 0.5 * g2 * g3",
        "2 * g1 + g2 if g3 > 0.5 else g1",
        "g1 + 0.3 * max(g2, 0.5 * g3)",
    ],
)
def test_nothing_about_a_plain_reward(text: str) -> None:
    assert codes(text) == set()


@pytest.mark.parametrize(
    "text",
    [
        "n = words(completion)\nok = exact(completion, answer)\n"
        "small = param(0.1, min=0, max=0.5)\n"
        "reward = 1 + 0.2 * (1 - ramp(n, 256, 1024)) if ok else small * boxed(completion)",
        "1 if exact(completion, answer) else 0.1 if boxed(completion) else 0",
        "exact(completion, answer) + 0.25 * boxed(completion)",
        "exact(completion, answer) - 0.5 * ramp(words(completion), 2000, 4000)",
    ],
)
def test_at_most_infos_about_published_rewards(text: str) -> None:
    assert codes(text, "math", "warning") | codes(text, "math", "error") == set()


def test_the_examples_of_outscoring_are_real() -> None:
    found = derl_dsl.check("0.3 * g1 + 0.4 * g2 + 0.3 * g3", suite="derl-math")
    told = next(d for d in found if d.code == "DRL523")
    assert "score 0.7 and a right one 0.3" in told.message
    assert told.hints == (
        "wrong: g1 = 1e-06, g2 = 1, g3 = 1",
        "right: g1 = 1, g2 = 1e-06, g3 = 1e-06",
    )


def test_an_outcome_that_changes_nothing_is_told() -> None:
    assert "DRL306" in codes("1 + g2 if g1 > 0 else 0.1 * g3", severity="warning")


def test_units_of_length_go_together() -> None:
    chars = "exact(completion, answer) + 0.5 * (1 - ramp(chars(completion), 0, 2000))"
    assert "DRL511" in codes(chars, "math")
    long = "exact(completion, answer) + 0.5 * ramp(words(completion), 0, 100)"
    assert "DRL511" not in codes(long, "math")


def test_primitives_say_what_lints_should_know_of_them() -> None:
    @primitive("(completion: text) -> number[0, 1e6]", per_word=1.4, whole=True)
    def syllables(completion: list[str]) -> list[float]:
        """The number of syllables."""
        return [0.0 for _ in completion]

    @primitive("(completion: text) -> number[0, 1e6]")
    def plain(completion: list[str]) -> list[float]:
        """A number of which nothing is said."""
        return [0.0 for _ in completion]

    @primitive("(completion: text) -> bool", good=True)
    def cited(completion: list[str]) -> list[bool]:
        """Whether sources are named."""
        return [False for _ in completion]

    math = build_scope("math")
    scope = replace(math, primitives={**math.primitives, **table([syllables, plain, cited])})

    def found(text: str) -> set[str]:
        checked = check_source(Source(text), scope)
        assert checked.ok
        return {d.code for d in checked.diagnostics}

    short = "exact(completion, answer) + 0.5 * (1 - ramp({}(completion), 0, 800))"
    assert "DRL511" in found(short.format("syllables"))
    assert "DRL511" not in found(short.format("plain"))
    equal = "exact(completion, answer) if {0}(completion) + 1 == 3 else 0.1"
    assert "DRL509" not in found(equal.format("syllables"))
    assert "DRL509" in found(equal.format("plain"))
    assert "DRL502" in found("exact(completion, answer) - 0.2 * cited(completion)")


def test_a_guard_of_what_may_not_apply_is_told_of_default() -> None:
    text = "reward = exact(completion, answer) + 0.1 * guard(number(completion) > 3, 0)"
    (found,) = [d for d in derl_dsl.check(text, suite="math") if d.code == "DRL528"]
    assert "where it is applicable" in found.message
    assert found.hints == ("write default(…) for a value where it is not",)
    whole = "reward = exact(completion, answer) + guard(0.1 * boxed(completion), 0)"
    (found,) = [d for d in derl_dsl.check(whole, suite="math") if d.code == "DRL528"]
    assert found.message.endswith("is always finite")
    assert not found.hints
