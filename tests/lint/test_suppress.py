"""Comments that silence findings."""

from __future__ import annotations

import pytest

import derl_dsl
from derl_dsl.lint.suppress import named_target, pragmas
from derl_grammar.spans import Source


def codes(text: str, suite: str = "derl-math") -> list[str]:
    return [d.code for d in derl_dsl.check(text, suite=suite)]


def test_a_comment_at_the_end_silences_its_line_only() -> None:
    text = "a = 1 if g2 > 0.5 else 0{}\nb = 1 if g3 > 0.5 else 0\nreward = 4 * g1 + a + b"
    assert codes(text.format("")) == ["DRL525", "DRL525"]
    assert codes(text.format("  # derl: ignore[DRL525]")) == ["DRL525"]


def test_a_comment_above_the_program_silences_the_file() -> None:
    text = "a = 1 if g2 > 0.5 else 0\nb = 1 if g3 > 0.5 else 0\nreward = 4 * g1 + a + b"
    assert codes(f"# Why: a test.\n# derl: ignore[DRL525]\n{text}") == []


def test_several_codes() -> None:
    assert set(codes("g1 * g2 + 1")) == {"DRL503", "DRL506"}
    assert codes("g1 * g2 + 1  # derl: ignore[DRL503, DRL506]") == []


def test_a_statement_over_several_lines_is_silenced_by_its_last() -> None:
    assert codes("(g1 *\n g2)  # derl: ignore[DRL503]") == []


def test_warnings_of_the_proofs_can_be_ignored() -> None:
    assert codes("g2 - g1  # derl: ignore[DRL305]") == []


def test_errors_cannot_be_ignored() -> None:
    found = derl_dsl.check("g1 / (g3 - g4)  # derl: ignore[DRL301]", suite="derl-math")
    assert [d.code for d in found] == ["DRL301", "DRL530"]
    assert "cannot be ignored" in found[1].message


@pytest.mark.parametrize(
    ("comment", "message"),
    [
        ("ignore[DRL505]", "nothing on this line raises DRL505"),
        ("ignore[DRL999]", "there is no code 'DRL999'"),
        ("ignore[drl503]", "there is no code 'drl503'"),
    ],
)
def test_an_idle_ignore_is_told(comment: str, message: str) -> None:
    found = derl_dsl.check(f"g1 + 0.2 * g2  # derl: {comment}", suite="derl-math")
    assert [(d.code, d.message) for d in found] == [("DRL530", message)]
    assert found[0].severity == "info"


def test_a_hash_in_a_string_is_no_comment() -> None:
    text = 'exact(completion, answer) + contains(completion, "# derl: ignore[DRL506]")'
    assert pragmas(Source(text)) == []


def test_the_target_is_read_from_a_comment() -> None:
    assert named_target(Source("# derl: target[verl]\ng1")) == "verl"
    assert named_target(Source("g1  # no target")) is None
