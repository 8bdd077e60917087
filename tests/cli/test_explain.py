"""`derl-dsl explain`: the record and the page."""

from __future__ import annotations

import json
from pathlib import Path

from typer import Typer
from typer.testing import CliRunner

from derl_dsl.cli.explain import explain_command

APP = Typer()
APP.command()(explain_command)


def run(*args: str) -> tuple[int, str]:
    result = CliRunner().invoke(APP, list(args))
    return result.exit_code, result.output


def test_directions_by_enumeration() -> None:
    code, output = run("--suite", "derl-math", "-e", "g1 + 0.3*g2 - 0.2*g3", "--format", "json")
    assert code == 0
    found = json.loads(output)
    directions = {i["name"]: i["direction"] for i in found["influences"]}
    assert directions == {"g1": "rises", "g2": "rises", "g3": "falls"}
    assert found["certificate"]["exact"] is True


def test_directions_by_intervals() -> None:
    text = "x * y - 0 * z + abs(x - 0.5)"
    columns = [f"--column={name}:number[0,1]" for name in "xyz"]
    _, output = run("-e", text, "--format", "json", *columns)
    directions = {i["name"]: i["direction"] for i in json.loads(output)["influences"]}
    assert directions == {"x": "mixed", "y": "rises", "z": "none"}


def test_page_shows_parts_ranges_and_operations(tmp_path: Path) -> None:
    file = tmp_path / "reward.derl"
    file.write_text("ok = exact(completion, answer)\nreward = 1 if ok else 0.1\n")
    code, output = run(str(file), "--suite", "math", "--graph")
    assert code == 0
    for shown in ("exact(completion, answer)", "[0.1, 1]", "never falls", "select", "margin"):
        assert shown in output


def test_errors_are_shown_instead() -> None:
    code, output = run("-e", "g1 / (g2 - g3)", "--suite", "derl-math")
    assert code == 1
    assert "DRL301" in output
