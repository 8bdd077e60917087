"""`derl-dsl import`: OpenAI graders as rewards that check and give the same numbers."""

from __future__ import annotations

import doctest
import json

import pytest
import typer
from typer.testing import CliRunner

import derl_dsl
from derl_dsl.cli.imports import import_command
from derl_dsl.tools import graders
from derl_dsl.tools.project import header_settings

APP = typer.Typer()
APP.command()(import_command)
ROWS = {
    "completion": ["Paris", "paris", "It is Paris.", "", "Rome"],
    "answer": ["Paris", "Paris", "Paris", "Paris", "Paris"],
}


def check(operation, reference="{{item.answer}}"):
    return {
        "type": "string_check", "name": f"is {operation}", "operation": operation,
        "input": "{{ sample.output_text }}", "reference": reference,
    }  # fmt: skip


def similar(metric):
    return {
        "type": "text_similarity", "name": metric, "evaluation_metric": metric,
        "input": "{{sample.output_text}}", "reference": "{{item.answer}}",
    }  # fmt: skip


def score(text):
    found = header_settings("r.derl", text)
    reward = derl_dsl.compile(text, found.suite, found.columns, found.outcome)
    return reward.score({n: ROWS[n] for n in ROWS}).values.tolist()


@pytest.mark.parametrize(
    ("operation", "expected"),
    [("eq", [1, 0, 0, 0, 0]), ("ne", [0, 1, 1, 1, 1]), ("like", [1, 0, 1, 0, 0]),
     ("ilike", [1, 1, 1, 0, 0])],
)  # fmt: skip
def test_string_checks(operation, expected):
    assert score(graders.convert(check(operation)).text) == expected


def test_multi_with_its_formula():
    grader = {
        "type": "multi",
        "graders": {"eq": check("eq"), "Like It": check("like", "Par")},
        "calculate_output": "0.5 * eq + ceil(0.2) * 0.25 + (2 ^ 2) / 16 * min(eq, 1)",
    }
    text = graders.convert(grader).text
    assert 'like_it = contains(completion, "Par")' in text
    assert score(text) == [1.0, 0.25, 0.25, 0.25, 0.25]


def test_near_metrics_say_so_and_others_are_refused():
    found = graders.convert(similar("fuzzy_match"))
    assert found.notes == ["fuzzy_match: edit_similarity is near fuzzy_match, its numbers differ"]
    assert score(found.text)[0] == 1.0
    assert graders.convert(similar("rouge_l")).notes == []
    with pytest.raises(graders.GraderError, match="meteor has no equal here"):
        graders.convert(similar("meteor"))


@pytest.mark.parametrize(
    ("grader", "said"),
    [
        ({"type": "python", "name": "p", "source": "x"}, "'python' has no equal as a reward"),
        ({**check("eq"), "operation": "gt"}, "unknown operation 'gt'"),
        ({**check("eq"), "input": "Q: {{sample.output_text}}"}, "mixes text and templates"),
        ({**check("eq"), "input": 5}, "input is no text"),
        ({"type": "multi", "graders": {"a": check("eq")}, "calculate_output": "__import__('os')"},
         "has no equal in a reward"),
        ({"type": "multi", "graders": {"a": check("eq")}, "calculate_output": "a +"},
         "is no formula"),
        ({"type": "multi", "graders": {"a": check("eq")}, "calculate_output": "b"}, "'b' has no"),
        ({"type": "multi", "graders": {"a": check("eq")}, "calculate_output": "a * 1e400"},
         "has no equal in a reward"),
        ({"type": "multi", "graders": {"a": check("eq")}, "calculate_output": "a - a"},
         "its nearest has errors: the reward is always 0"),
        *[({"type": "multi", "graders": g, "calculate_output": "a"}, "graders is no mapping")
          for g in (None, 3, "a", ["a"], {"a": "x"})],
        *[({"type": "multi", "graders": g, "calculate_output": "a"}, "none, or two of one name")
          for g in ({}, [], [check("eq"), check("ne") | {"name": "is eq"}])],
        (check("eq", "{{item.class}}"), "'class' is no name of a column here"),
        (check("eq", "{{item.completion}}"), "'completion' is no name of a column here"),
        (check("eq", "half \ud800"), "reference is no text of UTF-8"),
    ],
)  # fmt: skip
def test_what_has_no_equal_is_refused_by_name(tmp_path, grader, said):
    path = tmp_path / "g.json"
    path.write_text(json.dumps(grader))
    result = CliRunner().invoke(APP, [str(path)])
    assert result.exit_code == 1
    assert said in result.stderr


def test_parts_have_names_of_their_own():
    grader = {
        "type": "multi",
        "graders": {"a": check("eq"), "A": check("ne"), "answer": check("like"),
                    "chars": check("ilike"), "a\nreward = 1": check("eq")},
        "calculate_output": "a + 2 * A + 4 * answer + 8 * chars",
    }  # fmt: skip
    assert score(graders.convert(grader).text) == [13, 10, 14, 2, 2]


def test_notes_and_literals_stay_on_their_line():
    odd = "a\n\r\t\b\x00\x7f\u2028\u202e\\\"'😀\x85"
    found = graders.convert({**check("eq", odd), "name": odd, "pass_threshold": 1})
    assert len(found.text.splitlines()) == 4
    settings = header_settings("r.derl", found.text)
    reward = derl_dsl.compile(found.text, settings.suite, settings.columns)
    assert reward.score({"completion": [odd, odd[1:]]}).values.tolist() == [1, 0]
    assert "its pass_threshold is left out" in found.notes[0]


def test_a_grader_is_not_written_over(tmp_path):
    path = tmp_path / "g.json"
    path.write_text(json.dumps(check("eq")))
    result = CliRunner().invoke(APP, [str(path), "-o", str(path)])
    assert result.exit_code == 2
    assert "it is the grader itself" in result.stderr
    assert json.loads(path.read_text()) == check("eq")


def test_the_command(tmp_path):
    path, out = tmp_path / "g.json", tmp_path / "g.derl"
    path.write_text(json.dumps({"grader": check("eq", 'quotes " and \\ and é')}))
    result = CliRunner().invoke(APP, [str(path), "-o", str(out)])
    assert result.exit_code == 0, result.output
    assert score(out.read_text()) == [0, 0, 0, 0, 0]
    for text in ("[" * 100_000, "{", "[]", "{}"):
        path.write_text(text)
        result = CliRunner().invoke(APP, [str(path)])
        assert result.exit_code == 2
        assert len(result.stderr.splitlines()) == 1


def test_examples():
    assert doctest.testmod(graders).failed == 0
