"""No text crashes the checker or holds up the parser: mistakes are diagnostics, always."""

from __future__ import annotations

import json
import random
import time
from functools import cache
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.lark import from_lark
from lark import Lark

from derl_dsl.checker import check_source
from derl_dsl.elaborate.scope import Scope, build_scope
from derl_dsl.generate import llguidance_grammar
from derl_dsl.prove.checked import Checked
from derl_dsl.tools.fmt.fmt import format_source
from derl_grammar.diagnostics import CODES, Report, render
from derl_grammar.parser import grammar_text, parse
from derl_grammar.spans import Source
from tests.fuzz import texts

GOLDEN = Path(__file__).parents[1] / "golden" / "programs"
EXAMPLES = Path(__file__).parents[2] / "derl_dsl" / "derl_dsl" / "examples"
# Of processor time, so that other work on the machine does not count.
LONGEST_PARSE = 0.1
LONGEST_CHECK = 2.0


@cache
def scope(suite: str) -> Scope:
    return build_scope(suite)


@pytest.fixture(scope="session")
def corpus() -> list[str]:
    """Programs to mutate: golden ones, published rewards, and the cold-start formulas."""
    files = [*sorted(GOLDEN.glob("*.derl")), *sorted(EXAMPLES.rglob("*.derl"))]
    found = [chunk for file in files for chunk in file.read_text("utf-8").split("\n---\n")]
    formulas = Path(__file__).parents[3] / "shared" / "data" / "derl" / "cold_start.txt"
    if formulas.is_file():
        found += formulas.read_text("utf-8").splitlines()
    assert len(found) > 20
    return found


def parse_time(text: str) -> float:
    """The processor time of a parse; a second try counts where the first was slow."""
    taken = []
    while len(taken) < 3 and (not taken or taken[-1] > LONGEST_PARSE):
        start = time.thread_time()
        parse(text, Report(Source(text)))
        taken.append(time.thread_time() - start)
    return min(taken)


def check(text: str, suite: str) -> Checked:
    """Checks a text and holds against it what must be true of every text."""
    assert parse_time(text) < LONGEST_PARSE
    source = Source(text, "fuzz.derl")
    start = time.thread_time()
    checked = check_source(source, scope(suite))
    assert time.thread_time() - start < LONGEST_CHECK
    for found in checked.diagnostics:
        assert found.code in CODES
        assert 0 <= found.span.start <= found.span.end <= len(text)
        assert found.line >= 1
        assert found.column >= 1
        json.dumps(found.to_json())
    render(checked.diagnostics, source)
    shared = any("same for all rollouts of a group" in d.message for d in checked.diagnostics)
    proven = checked.certificate
    fine = proven is not None and proven.finite and not proven.constant and not shared
    if fine and proven is not None and proven.steps is not None:
        fine = proven.steps.finite
    assert checked.ok == fine
    return checked


def assert_survived(count: int, seed: int, corpus: list[str]) -> None:
    rng = random.Random(seed)
    for number in range(count):
        kind, text = texts.text(rng, corpus)
        suite = rng.choice(texts.SUITES)
        try:
            check(text, suite)
            if number % 10 == 0:
                format_source(Source(text))
        except Exception as error:
            raise AssertionError(f"{kind} over {suite}: {text[:2000]!r}") from error


def test_no_text_crashes_the_checker(corpus: list[str]) -> None:
    assert_survived(2500, 1, corpus)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(10, 20))
def test_100_000_texts(seed: int, corpus: list[str]) -> None:
    assert_survived(10_000, seed, corpus)


QUICK = settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck),
                 derandomize=True)  # fmt: skip


@cache
def language(suite: str) -> st.SearchStrategy[str]:
    """Texts of a typed grammar, which has no recursion to get lost in."""
    return from_lark(Lark(llguidance_grammar(scope(suite), levels=5)), start="start")


@QUICK
@given(st.data(), st.sampled_from(texts.SUITES))
def test_texts_of_typed_grammars(data: st.DataObject, suite: str) -> None:
    found = check(data.draw(language(suite)), suite).diagnostics
    assert [d for d in found if d.code[3] in "012"] == []


@settings(QUICK, max_examples=200)
@given(st.data(), st.sampled_from(texts.SUITES))
def test_typed_texts_with_pieces_exchanged(data: st.DataObject, suite: str) -> None:
    text = data.draw(language(suite))
    at = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(at, min(at + 3, len(text))))
    check(text[:at] + data.draw(st.text(st.characters(codec=None), max_size=3)) + text[end:], suite)


@settings(QUICK, max_examples=300)
@given(st.text(st.characters(exclude_categories=()), max_size=200), st.sampled_from(texts.SUITES))
def test_any_unicode(text: str, suite: str) -> None:
    check(text, suite)


@pytest.mark.slow
@settings(QUICK, max_examples=60)
@given(from_lark(Lark(grammar_text()), start="start"), st.sampled_from(texts.SUITES))
def test_texts_of_the_general_grammar(text: str, suite: str) -> None:
    check(text, suite)
