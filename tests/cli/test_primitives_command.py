"""`derl-dsl primitives`."""

from __future__ import annotations

from typer import Typer
from typer.testing import CliRunner

from derl_dsl.cli.primitives import primitives_command
from derl_primitives.suites import SUITES

APP = Typer()
APP.command()(primitives_command)


def test_lists_every_suite() -> None:
    output = CliRunner().invoke(APP, []).output
    assert all(name in output for name in SUITES)


def test_documents_one() -> None:
    output = CliRunner().invoke(APP, ["exact"]).output
    assert "exact(completion: text, answer: text) -> bool" in output
    assert ">>>" in output


def test_unknown_name_gets_a_suggestion() -> None:
    result = CliRunner().invoke(APP, ["exct"])
    assert result.exit_code == 2
    assert "did you mean 'exact'?" in result.output
