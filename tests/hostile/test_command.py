"""`derl-dsl sandbox`."""

from __future__ import annotations

import json
import subprocess
import sys

from typer import Typer
from typer.testing import CliRunner

from derl_dsl.cli.sandbox import sandbox_command

APP = Typer()
APP.command()(sandbox_command)


def test_table_of_a_strict_machine() -> None:
    result = CliRunner().invoke(APP, ["--level", "strict"])
    assert result.exit_code == 0
    for word in ("memory", "seccomp", "landlock", "holds", "level strict", "engine monty: runs"):
        assert word in result.output


def test_json_of_a_strict_machine() -> None:
    result = CliRunner().invoke(APP, ["--format", "json"])
    record = json.loads(result.output)
    assert (record["level"], record["needed"], record["ok"]) == ("strict", "standard", True)
    assert all(wall["holds"] for wall in record["walls"])
    assert record["engines"]["restricted"] == {"ok": True, "why": ""}


def test_unknown_level() -> None:
    result = CliRunner().invoke(APP, ["--level", "lax"])
    assert result.exit_code == 2
    assert "one of strict, standard, reduced" in result.output


def test_a_machine_without_seccomp_fails() -> None:
    program = (
        "import sys\n"
        "from derl_runtime.sandbox.worker import seccomp, walls\n"
        "walls.prctl(38, 1)\n"
        "seccomp.install(seccomp.refusing_filter(['seccomp'], 22))\n"
        "sys.argv = ['derl-dsl', 'sandbox']\n"
        "from derl_dsl.cli.app import main\n"
        "main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1, done.stderr
    assert "level reduced: rlimits alone" in done.stdout
    assert "below level standard" in done.stdout
    assert "missing" in done.stdout
