"""Findings for GitHub and SARIF, and the pre-commit hooks."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import typer
import yaml
from typer.testing import CliRunner

from derl_dsl.checker import check
from derl_dsl.cli.check import check_command
from derl_dsl.cli.formats import github, sarif
from derl_grammar.diagnostics import CODES
from derl_grammar.spans import Source

APP = typer.Typer()
APP.command()(check_command)

ROOT = Path(__file__).parents[2]


def findings(text: str, path: str = "r.derl"):
    return [(Source(text, path), check(text, suite="derl-math"))]


def run(*args: object, stdin: str | None = None):
    return CliRunner().invoke(APP, ["-s", "derl-math", *map(str, args)], input=stdin)


def test_github_commands_are_escaped():
    found = findings("a = g1\nreward = g5 + a", "a,b:c.derl")
    (line,) = github(found).splitlines()
    properties, _, message = line.removeprefix("::error ").partition("::")
    assert properties.split(",") == [
        "file=a%2Cb%3Ac.derl",
        "line=2",
        "endLine=2",
        "col=10",
        "endColumn=12",
        "title=DRL101 unknown name",
    ]
    assert message.startswith("unknown name 'g5'; names: completion, ")
    assert "endColumn" not in github(findings("(g1 /\n(g3 - g4))"))
    assert github(findings("0.5 * g2 + g3")).startswith("::warning ")


def test_github_through_the_command(tmp_path):
    path = tmp_path / "r.derl"
    path.write_text("g1 + g5")
    result = run(path, "--format", "github")
    assert result.exit_code == 1
    assert result.stdout.startswith(f"::error file={path},line=1,")
    path.write_text("g1 + g2")
    result = run(path, "--format", "github")
    assert (result.exit_code, result.stdout) == (0, "")


def required(record: dict, *keys: str) -> None:
    assert set(keys) <= set(record), record


def test_sarif_has_what_the_standard_requires(tmp_path):
    path = tmp_path / "my reward.derl"
    path.write_text("reward = g1 + g5 + maximum(g2)\n")
    result = run(path, "--format", "sarif")
    assert result.exit_code == 1
    log = json.loads(result.stdout)
    required(log, "version", "runs", "$schema")
    assert log["version"] == "2.1.0"
    (found,) = log["runs"]
    required(found, "tool", "results")
    required(found["tool"], "driver")
    required(found["tool"]["driver"], "name", "rules")
    rules = found["tool"]["driver"]["rules"]
    assert [r["id"] for r in rules] == ["DRL101", "DRL102"]
    for rule in rules:
        required(rule, "id", "shortDescription", "fullDescription", "help")
        assert rule["defaultConfiguration"]["level"] in {"none", "note", "warning", "error"}
        assert CODES[rule["id"]].bad in rule["help"]["text"]
    for one in found["results"]:
        required(one, "message", "ruleId", "level", "locations")
        assert rules[one["ruleIndex"]]["id"] == one["ruleId"]
        place = one["locations"][0]["physicalLocation"]
        assert place["artifactLocation"]["uri"] == path.as_uri()
        assert min(place["region"].values()) >= 1
    region = found["results"][0]["locations"][0]["physicalLocation"]["region"]
    assert region == {"startLine": 1, "startColumn": 15, "endLine": 1, "endColumn": 17}


def test_sarif_paths_are_uri_references():
    uri = sarif(findings("g5", "my rewards/a.derl"))["runs"][0]["results"][0]["locations"][0]
    assert uri["physicalLocation"]["artifactLocation"]["uri"] == "my%20rewards/a.derl"


def test_sarif_without_findings():
    (found,) = sarif(findings("g1 + g2"))["runs"]
    assert found["results"] == []
    assert found["tool"]["driver"]["rules"] == []


@dataclass(frozen=True)
class Fix:
    message: str
    edits: tuple[tuple[int, int, str], ...]


@dataclass(frozen=True)
class Mendable:
    fix: Fix
    code: str = "DRL101"
    severity: str = "info"
    message: str = "m"
    hints: tuple[str, ...] = ()
    line: int = 1
    column: int = 1
    end_line: int = 1
    end_column: int = 3


def test_sarif_carries_fixes():
    found = Mendable(Fix("write g1", ((0, 2, "g1"),)))
    log = sarif([(Source("g5", "r.derl"), [found])])  # type: ignore[list-item]
    (result,) = log["runs"][0]["results"]
    assert result["level"] == "note"
    assert result["fixes"] == [
        {
            "description": {"text": "write g1"},
            "artifactChanges": [
                {
                    "artifactLocation": {"uri": "r.derl"},
                    "replacements": [
                        {
                            "deletedRegion": {"charOffset": 0, "charLength": 2},
                            "insertedContent": {"text": "g1"},
                        }
                    ],
                }
            ],
        }
    ]


# Pre-commit

HOOKS = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text("utf-8"))


@pytest.mark.parametrize("hook", HOOKS, ids=lambda hook: hook["id"])
def test_hooks_run_on_reward_files(hook, tmp_path):
    required(hook, "id", "name", "entry", "language", "files")
    assert hook["language"] == "python"
    assert re.search(hook["files"], "rewards/a.derl")
    assert not re.search(hook["files"], "a.derl.md")
    assert re.search(hook["exclude"], "rewards/a.test.derl")
    command, *args = hook["entry"].split()
    assert command == "derl-dsl"
    path = tmp_path / "r.derl"
    words = [sys.executable, "-m", "derl_dsl", *args, str(path)]
    path.write_text("# suite: derl-math\nreward=g1+g2")
    assert subprocess.run(words, capture_output=True).returncode == 0
    if "fmt" in args:  # pre-commit itself fails on files that changed
        assert path.read_text() == "# suite: derl-math\nreward = g1 + g2\n"
    path.write_text("reward = g1 +\n")
    assert subprocess.run(words, capture_output=True).returncode == 1


def test_there_is_a_hook_for_check_and_for_fmt():
    assert {hook["id"] for hook in HOOKS} == {"derl-check", "derl-fmt"}
