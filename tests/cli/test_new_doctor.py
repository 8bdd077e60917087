"""`new` writes rewards that pass their tests; `doctor` says what is here; mistyped commands."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys

import pytest

from derl_dsl.cli.new import kinds
from derl_dsl.tools.doctor import EXTRAS, examine, fits


def derl(*args: str, cwd, env=None, **more):
    command = [sys.executable, "-m", "derl_dsl", *args]
    return subprocess.run(
        command, cwd=cwd, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL,
        env={**os.environ, **(env or {})}, **more,
    )  # fmt: skip


def test_every_starter_checks_without_findings_and_passes_its_tests(tmp_path):
    assert set(kinds()) == {"math", "code", "tools", "json", "format", "agent"}
    for kind in kinds():
        made = derl("new", f"rewards/{kind}", "--for", kind, cwd=tmp_path)
        assert made.returncode == 0, made.stderr
    checked = derl("check", ".", "--format", "json", cwd=tmp_path)
    record = json.loads(checked.stdout)
    assert [d for f in record["files"] for d in f["diagnostics"] if d["severity"] != "info"] == []
    assert len(record["files"]) == len(kinds())
    assert derl("fmt", "--check", ".", cwd=tmp_path).returncode == 0
    tested = derl("test", cwd=tmp_path)
    assert tested.returncode == 0, tested.stdout
    assert (tmp_path / "pyproject.toml").read_text().count("[tool.derl]") == 1


def test_nothing_is_overwritten_and_settings_are_added(tmp_path):
    (tmp_path / "pyproject.toml").write_text("[project]\nname = 'x'")
    assert derl("new", "a", "--for", "math", cwd=tmp_path).returncode == 0
    assert (tmp_path / "pyproject.toml").read_text().startswith("[project]\nname = 'x'\n\n[tool.")
    again = derl("new", "a.derl", "--for", "code", cwd=tmp_path)
    assert again.returncode == 2
    assert "a.derl exists already" in again.stderr
    near = derl("new", "b", "--for", "maths", cwd=tmp_path)
    assert near.returncode == 2
    assert "did you mean 'math'?" in near.stderr
    assert "--for" in derl("new", "b", cwd=tmp_path).stderr


def test_questions_are_asked_on_a_terminal(tmp_path):
    ours, theirs = pty.openpty()
    child = subprocess.Popen(
        [sys.executable, "-m", "derl_dsl", "new"], cwd=tmp_path, stdin=theirs, stdout=theirs,
        stderr=theirs,
    )  # fmt: skip
    os.write(ours, b"cod\ncode\nmine\n")
    assert child.wait(60) == 0
    os.close(theirs)
    os.close(ours)
    assert (tmp_path / "mine.derl").read_text().startswith("# Programs")


def test_doctor_finds_what_this_project_needs():
    checks = {check.name: check for check in examine()}
    assert checks["lark"].state == checks["kernels"].state == "ok"
    assert checks["python"].found.startswith(f"{sys.version_info[0]}.{sys.version_info[1]}.")
    assert {"train", "lsp", "math"} <= EXTRAS.keys() & checks.keys()
    for check in checks.values():
        assert check.state == "ok" or check.fix or check.name in ("gpu", "monty", "restricted")


def test_doctor_says_what_is_broken(tmp_path):
    """A package that is too old, by a copy of its metadata that comes first."""
    old = tmp_path / "lark-1.0.0.dist-info"
    old.mkdir()
    (old / "METADATA").write_text("Metadata-Version: 2.1\nName: lark\nVersion: 1.0.0\n")
    done = derl("doctor", "--format", "json", cwd=tmp_path, env={"PYTHONPATH": str(tmp_path)})
    assert done.returncode == 1
    (lark,) = (c for c in json.loads(done.stdout)["checks"] if c["name"] == "lark")
    assert (lark["state"], lark["found"]) == ("broken", "1.0.0, which is not >=1.2")
    assert lark["fix"] == "pip install 'lark>=1.2'"


@pytest.mark.parametrize(
    ("version", "wanted", "fit"),
    [("1.2", ">=1.2", True), ("1.10", ">=1.9,<2", True), ("2.0.0", "<2", False), ("3", "", True),
     ("0.45.1", "!=0.45.*", False), ("1.4.2", "~=1.4", True), ("2", "==2.0", True)],
)  # fmt: skip
def test_ranges(version, wanted, fit):
    assert fits(version, wanted) is fit


def test_a_mistyped_command_is_answered_once(tmp_path):
    done = derl("chekc", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.count("did you mean 'check'?") == 1
    assert done.stderr.lower().count("did you mean") == 1


def test_shells_complete_commands_and_options(tmp_path):
    def ask(words: str, count: int) -> list[str]:
        env = {"_DERL_DSL_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(count)}
        return derl(cwd=tmp_path, env=env).stdout.split()

    assert {"check", "explain", "train", "doctor"} <= set(ask("derl-dsl ", 1))
    assert "--fix" in ask("derl-dsl check --f", 2)
    shown = derl("--show-completion", "bash", cwd=tmp_path, env={"SHELL": "/bin/bash"})
    assert "_DERL_DSL_COMPLETE=complete_bash" in shown.stdout
