"""The commands' bad input: one clear message, exit code 2, nothing left behind."""

import importlib.util
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner, Result

from derl_dsl.cli.app import register
from derl_trainers.cli.commands import COMMANDS


def run(*arguments: str) -> Result:
    app = typer.Typer()
    app.callback()(lambda: None)
    register(app, COMMANDS)
    return CliRunner().invoke(app, list(arguments))


def fails(said: str, *arguments: str) -> None:
    done = run(*arguments)
    assert done.exit_code == 2
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""


def test_config_mistakes(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text("[inner]\nstep = 1\n")
    fails("unknown key 'step' in [inner]; did you mean 'steps'?", "meta-train",
          str(tmp_path / "a.toml"))  # fmt: skip
    fails("no such config file; did you mean 'demo'?", "meta-train", "demmo")


def test_run_folder_mistakes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    fails("the run folder is not empty", "meta-train", "demo", "--run-dir", str(tmp_path))
    fails("the run folder is a file", "meta-train", "--run-dir", str(tmp_path / "file"))
    fails("is a file", "meta-train", "--run-dir", str(tmp_path / "file" / "run"))
    monkeypatch.setattr("os.access", lambda *_: False)
    fails("no write access", "meta-train", "--run-dir", str(tmp_path / "new"))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file"]


def test_missing_extras(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = importlib.util.find_spec

    def find_spec(name: str, *rest: Any) -> Any:
        return None if name in ("torch", "trl") else real(name, *rest)

    monkeypatch.setattr("derl_trainers.cli.shared.find_spec", find_spec)
    fails("meta-train needs torch, trl: pip install 'derl-dsl[train]'", "meta-train", "--run-dir",
          str(tmp_path / "new"))  # fmt: skip
    assert not (tmp_path / "new").exists()


def test_runs_mistakes(tmp_path: Path) -> None:
    fails("no runs here; start one with", "runs", str(tmp_path))
    fails("no run here", "runs", "show", str(tmp_path))
    fails("usage: derl-dsl runs", "runs", "show")
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "run.db").write_text("not a database at all" * 100)
    fails("cannot be read", "runs", str(tmp_path))


def test_help_and_config_errors_need_no_torch() -> None:
    code = (
        "import sys; from contextlib import suppress; from derl_dsl.cli.app import main\n"
        "sys.argv = ['derl-dsl', '--help']\n"
        "with suppress(SystemExit): main()\n"
        "import derl_trainers.settings.run, derl_trainers.runs.store, derl_trainers.runs.view\n"
        "sys.exit(bool({'torch', 'transformers', 'trl'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
