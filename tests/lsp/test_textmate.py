"""The TextMate grammar: its patterns compile, and name what the lexer of the language sees."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import pytest

from derl_dsl.elaborate.functions import FUNCTIONS
from derl_dsl.elaborate.scope import build_scope
from derl_dsl.generate.sample import EVERYTHING, sample_program
from derl_grammar.parser import tokens

GRAMMAR = json.loads((files("derl_dsl") / "editors" / "reward.tmLanguage.json").read_text("utf-8"))


def rules(patterns: list[dict]) -> Iterator[dict]:
    """The rules of a list, includes resolved."""
    for rule in patterns:
        if "include" in rule:
            yield from rules([GRAMMAR["repository"][rule["include"].removeprefix("#")]])
        elif "match" in rule or "begin" in rule:
            yield rule
        else:
            yield from rules(rule["patterns"])


def spans(match: re.Match, name: str, captures: dict) -> Iterator[tuple[str, str]]:
    if name:
        yield match[0], name
    for group, capture in captures.items():
        if match[int(group)]:
            yield match[int(group)], capture["name"]


def first(patterns: list[dict], line: str, at: int) -> tuple[re.Match, dict] | None:
    """The rule that matches first, as an editor chooses it; of several the one listed first."""
    found = [
        (match, rule)
        for rule in rules(patterns)
        if (match := re.compile(rule.get("match") or rule["begin"]).search(line, at))
    ]
    return min(found, key=lambda pair: pair[0].start()) if found else None


def scopes(line: str) -> list[tuple[str, str]]:
    """The stretches of a line with their scopes."""
    out, at = [], 0
    while (found := first(GRAMMAR["patterns"], line, at)) is not None:
        match, rule = found
        out += spans(
            match, rule.get("name", "") if "match" in rule else "", rule.get("captures", {})
        )
        at = match.end()
        if "begin" not in rule:
            continue
        start = match.start()
        while True:
            end = re.compile(rule["end"]).search(line, at)
            inner = first(rule.get("patterns", []), line, at)
            if inner is None or (end and end.start() <= inner[0].start()):
                break
            out.append((inner[0][0], inner[1]["name"]))
            at = inner[0].end()
        at = end.end()
        out.append((line[start:at], rule["name"]))
    return out


def test_every_pattern_compiles_and_every_include_exists():
    count = 0
    for rule in rules([*GRAMMAR["patterns"], *GRAMMAR["repository"].values()]):
        for key in ("match", "begin", "end"):
            if key in rule:
                re.compile(rule[key])
                count += 1
        names = [rule.get("name"), *(c["name"] for c in rule.get("captures", {}).values())]
        assert all(name.endswith(".derl") for name in names if name)
    assert count > 20


@pytest.mark.parametrize(
    ("line", "text", "scope"),
    [
        ("reward = g1", "reward", "keyword.other.reward.derl"),
        ("  part = g1", "part", "variable.other.definition.derl"),
        ("a = b == c", "b", "variable.other.derl"),
        ("a = 1 if b else c", "if", "keyword.control.conditional.derl"),
        ("a = not b and c", "and", "keyword.operator.logical.derl"),
        ("a = True", "True", "constant.language.derl"),
        ("a = iffy", "iffy", "variable.other.derl"),
        ("a = 1.5e-3 + b", "1.5e-3", "constant.numeric.derl"),
        ("a = .5", ".5", "constant.numeric.derl"),
        ("a = g1", "g1", "variable.other.derl"),
        ("a = mean(x, where=y > 0)", "where", "variable.parameter.derl"),
        ("a = mean (x)", "mean", "entity.name.function.derl"),
        ("a = x ** 2", "**", "keyword.operator.arithmetic.derl"),
        ("a = x <= 2", "<=", "keyword.operator.comparison.derl"),
        ('a = x == "s # 1"', '"s # 1"', "string.quoted.double.derl"),
        (r"a = x == 's\'1'", r"'s\'1'", "string.quoted.single.derl"),
        (r"a = x == 's\n'", r"\n", "constant.character.escape.derl"),
        (r"a = x == 's\d'", r"\d", "invalid.illegal.escape.derl"),
        (r'a = count(x, r"\d+\"")', r'r"\d+\""', "string.quoted.other.raw.derl"),
        ("a = 1  # if 2", "# if 2", "comment.line.number-sign.derl"),
        ("# suite: math", "suite:", "keyword.other.directive.derl"),
        ("a = 1  # derl: ignore[DRL501]", "derl: ignore", "keyword.other.directive.derl"),
        ("a = 1  # derl: ignore[DRL501]", "DRL501", "constant.other.code.derl"),
        ("a = b ^ 2", "^", "invalid.illegal.character.derl"),
        ('a = "open', '"open', "string.quoted.double.derl"),
    ],
)
def test_scopes(line, text, scope):
    assert (text, scope) in scopes(line)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions(name):
    assert (name, "entity.name.function.derl") in scopes(f"a = {FUNCTIONS[name].example}")


KINDS = {
    "NUMBER": "constant.numeric.derl",
    "STRING": "string.",
    "COMPARE": "keyword.operator.comparison.derl",
    "IF": "keyword.control.conditional.derl",
    "AND": "keyword.operator.logical.derl",
    "TRUE": "constant.language.derl",
    "POWER": "keyword.operator.arithmetic.derl",
}


def test_random_programs_are_coloured_as_the_lexer_reads_them():
    scope = build_scope("math")
    for seed in range(30):
        for line in sample_program(scope, random.Random(seed), EVERYTHING).splitlines():
            found = scopes(line)
            assert not [pair for pair in found if pair[1].startswith("invalid")], line
            read = [(str(t), KINDS[t.type]) for t in tokens(line) if t.type in KINDS]
            for text, kind in read:
                assert any(t == text and s.startswith(kind) for t, s in found), (line, text)


def test_the_extension_fits_the_grammar():
    extension = Path(__file__).parents[2] / "editors" / "vscode"
    package, language = (
        json.loads((extension / name).read_text("utf-8"))
        for name in ("package.json", "language.json")
    )
    (grammar,) = package["contributes"]["grammars"]
    assert grammar["scopeName"] == GRAMMAR["scopeName"]
    assert (files("derl_dsl") / "editors" / Path(grammar["path"]).name).is_file()
    assert language["comments"]["lineComment"] == "#"
