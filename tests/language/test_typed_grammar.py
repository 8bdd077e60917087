"""Whatever the typed grammar of a suite generates parses, type-checks and keeps the limits."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from functools import cache
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lark import Lark

from derl_dsl.checker import check_source
from derl_dsl.elaborate.custom import Registry
from derl_dsl.elaborate.expressions import Elaborator
from derl_dsl.elaborate.scope import Scope, build_scope
from derl_dsl.generate import Grammar, llguidance_grammar, prompt_text, typed_grammar
from derl_dsl.generate.leaves import LITERALS
from derl_dsl.graph.ir import Graph
from derl_dsl.prove.checked import Checked
from derl_grammar.diagnostics import Report
from derl_grammar.limits import MODEL
from derl_grammar.parser import parse, tokens
from derl_grammar.spans import Source
from derl_primitives.suites import SUITES, SuiteConflict, find_suite

# Columns of every type, beside what the suites have.
COLUMNS = {
    "o": "number[0, 3]?",
    "b": "bool",
    "xs": "list[number[-1, 2]]",
    "ys": "list[bool]?",
    "names": "list[text]",
    "note": "text?",
    "a_column_with_a_very_long_name_that_takes_more_than_one_unit": "number",
}


def unions() -> list[str]:
    found = list(SUITES)
    for pair in combinations(SUITES, 2):
        try:
            found.append(find_suite("+".join(pair)).name)
        except SuiteConflict:
            continue
    return found


@cache
def scope_of(suite: str) -> Scope:
    return build_scope(columns=COLUMNS) if suite == "columns" else build_scope(suite)


@cache
def grammar_of(suite: str, programs: bool) -> Grammar:
    return typed_grammar(scope_of(suite), programs)


def faults(text: str, suite: str) -> list[str]:
    """The findings of syntax, names, types and limits; proofs may fail."""
    found = check_source(Source(text), scope_of(suite)).diagnostics
    return [
        f"{d.code} {d.message}" for d in found if d.code[:4] in ("DRL0", "DRL1", "DRL2", "DRL4")
    ]


def assert_samples_type_check(suite: str, count: int) -> None:
    rng = random.Random(suite)
    for number in range(count):
        text = grammar_of(suite, bool(number % 2)).sample(rng)
        assert not faults(text, suite), text


@pytest.mark.parametrize("suite", ["columns", *SUITES, "math+length", "agent+format"])
def test_samples_type_check(suite: str) -> None:
    assert_samples_type_check(suite, 500)


@pytest.mark.slow
@pytest.mark.parametrize("suite", ["columns", *unions()])
def test_many_samples_type_check(suite: str) -> None:
    """Without the proofs, which take most of the time."""
    rng = random.Random(suite)
    for number in range(10_000):
        text = grammar_of(suite, bool(number % 2)).sample(rng)
        report = Report(Source(text))
        program = parse(text, report)
        assert program is not None, (text, report.found)
        Elaborator(scope_of(suite), report, Graph()).program(program)
        assert not report.found, (text, report.found)


@pytest.mark.parametrize("suite", ["columns", *unions()])
def test_the_largest_text_keeps_the_limits(suite: str) -> None:
    bound = grammar_of(suite, True).bound()
    assert bound.bytes <= MODEL.bytes
    assert bound.tokens <= MODEL.tokens
    assert bound.nodes <= MODEL.nodes


def test_the_bounds_are_those_of_samples() -> None:
    rng = random.Random(4)
    grammar = grammar_of("columns", True)
    bound = grammar.bound()
    for _ in range(200):
        text = grammar.sample(rng)
        assert len(text) <= bound.bytes
        assert len(tokens(text)) <= bound.tokens


def test_all_functions_and_columns_occur(monkeypatch: pytest.MonkeyPatch) -> None:
    # What other tests have registered makes each of them rarer.
    monkeypatch.setattr("derl_dsl.elaborate.scope.REGISTRY", Registry())
    rng, scope = random.Random(5), build_scope(columns=COLUMNS)
    grammar = typed_grammar(scope, True)
    functions = {"group_quantile", "third", "part", "default", "param", "guard", "ramp", "where"}
    missing = {*scope.names, *scope.primitives, *functions, "skip", "part3"}
    for _ in range(10):
        text = "\n".join(grammar.sample(rng) for _ in range(3000))
        missing -= {str(t) for t in tokens(text)}
        if not missing:
            break
    assert missing == set()


def test_literals_pass_their_checks() -> None:
    rng = random.Random(6)
    for accepts, terminal in LITERALS.items():
        grammar = Grammar()
        grammar.add("start", terminal)
        for _ in range(300):
            assert accepts(grammar.sample(rng).strip('"')) is None


def test_lark_reads_the_printed_grammar() -> None:
    parser = Lark(llguidance_grammar(scope_of("derl-agent")))
    for text in ("g1 + 0.5*g2", "mean(third(step_scores, 1)) if solved else -1"):
        assert parser.parse(text)


@pytest.mark.parametrize("levels", [2, 7])
def test_levels_that_break_the_limits_are_refused(levels: int) -> None:
    with pytest.raises(ValueError, match="3 to 6"):
        typed_grammar(scope_of("math"), levels=levels)


# Constrained decoding


class _Bytes:
    """A tokenizer with one token a byte, and an end."""

    eos_token_id = 256
    bos_token_id = None
    tokens = (*(bytes([b]) for b in range(256)), b"<end>")
    special_token_ids = (256,)

    def __call__(self, text: bytes) -> list[int]:
        return list(text)


@cache
def matcher(suite: str, programs: bool) -> Any:
    llguidance = pytest.importorskip("llguidance")
    tokenizer = llguidance.LLTokenizer(llguidance.TokenizerWrapper(_Bytes()))
    grammar = llguidance_grammar(scope_of(suite), programs)
    assert llguidance.LLMatcher.validate_grammar(grammar, tokenizer) == ""
    return llguidance.LLMatcher(tokenizer, grammar, log_level=0)


def accepts(suite: str, programs: bool, text: str) -> bool:
    found = matcher(suite, programs).deep_copy()
    return bool(found.consume_tokens(list(text.encode()))) and bool(found.is_accepting())


@pytest.mark.parametrize("suite", ["columns", "derl-math", "math+length"])
@pytest.mark.parametrize("programs", [False, True])
def test_llguidance_accepts_samples(suite: str, programs: bool) -> None:
    rng = random.Random(7)
    for _ in range(60):
        text = grammar_of(suite, programs).sample(rng)
        assert accepts(suite, programs, text), text


def masked(suite: str, programs: bool, rng: np.random.Generator) -> str:
    """A text of random tokens, each one that the mask allows."""
    found = matcher(suite, programs).deep_copy()
    out: list[int] = []
    while True:
        allowed = np.flatnonzero(np.frombuffer(found.compute_logit_bias(), np.uint8))
        assert len(allowed), f"no token goes on from {bytes(out)!r}"
        token = int(rng.choice(allowed))
        if token == _Bytes.eos_token_id:
            return bytes(out).decode()
        assert found.consume_token(token)
        out.append(token)


@pytest.mark.parametrize("suite", ["columns", "derl-math", "agent", "math+length"])
@pytest.mark.parametrize("programs", [False, True])
def test_masked_generation_type_checks(suite: str, programs: bool) -> None:
    rng = np.random.default_rng(8)
    for _ in range(25):
        text = masked(suite, programs, rng)
        assert not faults(text, suite), text


@pytest.mark.parametrize(
    "text",
    ["g1 +", "g1 g2", "g5", "completion + 1", "1 if g1 else 0", "mean(g1)", "(g1", "skip",
     'matches(completion, completion)', "exact(completion, answer)"],
)  # fmt: skip
def test_llguidance_refuses_what_does_not_check(text: str) -> None:
    assert faults(text, "derl-math")
    assert not accepts("derl-math", False, text)


def test_the_cold_start_formulas_can_be_generated(shared_data: Path) -> None:
    lines = (shared_data / "derl" / "cold_start.txt").read_text("utf-8").splitlines()
    valid = [line.strip() for line in lines if line.strip() and not faults(line, "derl-math")]
    assert len(valid) > 100
    assert [line for line in valid if not accepts("derl-math", False, line)] == []


# Prompts and the command


def test_the_prompt_names_everything_and_its_example_checks() -> None:
    for suite in SUITES:
        text, scope = prompt_text(scope_of(suite)), scope_of(suite)
        assert all(f"\n{name}: {source.type}" in text for name, source in scope.names.items())
        example = text.split("For example: ", 1)[1].split("\n", 1)[0]
        assert checked(example, suite).ok, (suite, example)


def checked(text: str, suite: str) -> Checked:
    return check_source(Source(text), scope_of(suite))


def run(*args: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "derl_dsl", "grammar", *args]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_command_prints_each_grammar() -> None:
    assert "start: statement" in run().stdout
    typed = run("--for", "llguidance", "--column", "x:number[0, 1]").stdout
    assert Lark(typed).parse("x + 0.5")
    assert "x: number[0, 1]" in run("--for", "prompt", "--column", "x:number[0, 1]").stdout
    unknown = run("--for", "prompt", "--suite", "meth")
    assert (unknown.returncode, "did you mean 'math'" in unknown.stderr) == (2, True)


def test_strings_of_the_grammar_are_quoted() -> None:
    grammar = Grammar()
    grammar.add("start", 'a "quoted"\n', nodes=1)
    assert json.loads(grammar.text().split("start: ")[1]) == 'a "quoted"\n'
