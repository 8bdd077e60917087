"""check --data: what a data file lacks is a diagnostic at the input that needs it."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from derl_dsl.checker import check_source
from derl_dsl.elaborate.scope import build_scope
from derl_dsl.prove.checked import Checked
from derl_dsl.tools.audit.faults import check_data
from derl_grammar.diagnostics import CODES, Diagnostic
from derl_grammar.spans import Source
from derl_primitives.primitive import Primitive, primitive

OWN = sorted(code for code in CODES if code.startswith("DRL7"))


def on(text: str, data: dict[str, list], suite: str | None = None, **columns: str) -> Checked:
    return check_data(check_source(Source(text), build_scope(suite, columns)), data)


def of_data(checked: Checked) -> list[Diagnostic]:
    return [d for d in checked.diagnostics if d.code.startswith("DRL7")]


def codes(checked: Checked) -> list[str]:
    return [d.code for d in of_data(checked)]


def run_example(text: str) -> Checked:
    declared, program, *rows = text.split("\n")
    name, kind = declared.removeprefix("# ").split(": ", 1)
    read = [json.loads(row) for row in rows]
    data = {key: [row.get(key) for row in read] for key in read[0]}
    return on(program, data, **{name: kind})


@pytest.mark.parametrize("code", [c for c in OWN if c != "DRL706"])
def test_examples(code):
    assert codes(run_example(CODES[code].bad)) == [code]
    assert codes(run_example(CODES[code].good)) == []
    assert run_example(CODES[code].good).ok
    assert not run_example(CODES[code].bad).ok


def test_each_code_is_tested():
    assert [f"DRL70{i}" for i in range(1, 7)] == OWN


def primitive_of(source: str) -> Primitive:
    """The primitive of an example of DRL706."""
    space: dict[str, object] = {}
    exec(source, space)
    return primitive("(n: number) -> number[0, 1]", cost="constant")(space["points"])


@pytest.mark.parametrize("kind", ["bad", "good"])
def test_a_failing_primitive(kind):
    text = getattr(CODES["DRL706"], kind)
    source, _, row = text.rpartition("\n")
    data = {key: [value] for key, value in json.loads(row).items()}
    scope = build_scope(None, {"n": "number[0, 9]"})
    own = {**scope.primitives, "points": primitive_of(source)}
    checked = check_source(Source("points(n)"), replace(scope, primitives=own))
    assert checked.ok
    found = check_data(checked, data)
    assert codes(found) == (["DRL706"] if kind == "bad" else [])
    if kind == "bad":
        assert "KeyError" in of_data(found)[-1].message


def test_all_that_is_missing_is_told_where_it_is_needed():
    text = "a = exact(completion, answer)\nreward = a + 0.1 * boxed(completion) + n"
    found = on(text, {"solution": ["x"]}, "math", n="number[0, 1]")
    told = [(d.line, d.column, d.message) for d in of_data(found)]
    assert told == [
        (1, 5, "the data has no column 'completion' (text)"),
        (1, 5, "the data has no column 'answer' (text)"),
        (2, 40, "the data has no column 'n' (number[0, 1])"),
    ]
    assert of_data(found)[0].hints == ("its columns: solution",)


def test_rows_of_values_outside_their_range_and_the_range_they_need():
    found = on("0.5 * n", {"n": [0, 5, 12, 1, -3]}, n="number[0, 9]")
    (d,) = of_data(found)
    assert d.message == "n: 12 is no value of number[0, 9] in 2 of 5 rows (row 2, 4, from 0)"
    assert d.hints == ("the data spans number[-3, 12]: declare that, or fix the rows",)


def test_a_row_that_is_no_text_is_told():
    text = "boxed(completion) + exact(completion, answer)"
    found = on(text, {"completion": ["x", {"a": 5}], "answer": ["1", "2"]}, "math")
    (d,) = (d for d in of_data(found) if d.code == "DRL704")
    assert "row 1 holds dict: {'a': 5}, which is no text" in d.message


def test_a_bound_name_may_stand_in_the_data():
    assert codes(on("g1 + g2", {"g1": [1.000001], "g2": [1e-6]}, "derl-math")) == []
    found = on("g1 + g2", {"g1": [1.000001]}, "derl-math")
    assert [d.message for d in of_data(found)] == ["the data has no column 'completion' (text)"]


def test_an_undeclared_column_of_the_data_is_offered():
    found = on("0.5 * n + nn", {"n": [1, 7], "bad": [[[]], 1]})
    (n, nn) = found.diagnostics
    assert n.hints[-1] == "the data has it: declare it with --column 'n:number[1, 7]'"
    assert all("the data has it" not in hint for hint in nn.hints)
    assert on("0.5 * n", {"n": [1, 7]}, n="number[1, 7]").ok


def test_messages_are_safe_to_print():
    found = on("0.5 * n", {"n": ["\x1b[2J"], "\x1b]0;x\x07": [1]}, n="number")
    assert all(d.message.isprintable() for d in found.diagnostics)
    found = on("0.5 * n", {"\x1b]0;x\x07": [1]}, n="number")
    assert all(hint.isprintable() for d in found.diagnostics for hint in d.hints)


def test_lists_of_steps_and_optional_columns():
    text = "mean(xs) + default(n, 0)"
    kinds = {"xs": "list[number[0, 1]]", "n": "number[0, 1]?"}
    assert codes(on(text, {"xs": [[0.5, 1], []], "n": [None, 1]}, **kinds)) == []
    found = on(text, {"xs": [[0.5, 3], [], [1]], "n": [None, 1, 2]}, **kinds)
    assert codes(found) == ["DRL704", "DRL704"]
    assert "in 1 of 3 rows (row 0, from 0)" in of_data(found)[0].message
    assert codes(on(text, {"xs": [[0.5], None], "n": [0, 0]}, **kinds)) == ["DRL703"]
    assert codes(on(text, {"n": [0, 0]}, **kinds)) == ["DRL701"]
    assert codes(on(text, {"xs": [1, 2], "n": [0, 0]}, **kinds)) == ["DRL702"]


def test_a_row_that_is_no_text_is_told_once():
    found = on("1 * contains(c, 'a')", {"c": ["a", b"a", "b"]}, c="text")
    assert codes(found) == ["DRL704"]
    assert "in 1 of 3 rows (row 1, from 0)" in of_data(found)[0].message
    assert codes(on("1 * contains(c, 'a')", {"c": ["a", None, b"b"]}, c="text")) == [
        "DRL703",
        "DRL704",
    ]
