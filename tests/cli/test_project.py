"""`[tool.derl]` of pyproject.toml and the header of a reward file."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from derl_dsl.checker import check
from derl_dsl.cli import app as cli
from derl_dsl.cli.check import check_command
from derl_dsl.elaborate.custom import REGISTRY
from derl_dsl.tools.project import ProjectError, Settings, find_project, settings_of

APP = typer.Typer()
APP.command()(check_command)


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A function that writes pyproject.toml and files of one folder, where the test then runs."""
    monkeypatch.chdir(tmp_path)

    def write(config: str, **files: str):
        (tmp_path / "pyproject.toml").write_text(config)
        for name, text in files.items():
            path = tmp_path / name.replace("__", "/")
            path = path.with_name(path.name + ".derl")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return tmp_path

    return write


def run(*args: object, stdin: str | None = None):
    return CliRunner().invoke(APP, list(map(str, args)), input=stdin)


def codes(*args: object) -> list[list[str]]:
    """The codes found in each file, without the advice of the lints."""
    result = run(*args, "--format", "json")
    assert result.exit_code < 2, result.stderr
    found = [f["diagnostics"] for f in json.loads(result.stdout)["files"]]
    return [[d["code"] for d in one if not d["code"].startswith("DRL5")] for one in found]


def test_suite_columns_and_outcome(project):
    config = (
        '[tool.derl]\nsuite = "math"\noutcome = "ok"\ncolumns = { ok = "bool", n = "number" }\n'
    )
    project(config, a="0.5 * ok + clip(n, 0, 1) + boxed(completion)")
    assert codes("a.derl") == [[]]
    assert codes("-e", "ok + 0.1 * boxed(completion)") == [[]]
    assert run("-", stdin="ok + clip(n, 0, 1)").exit_code == 0


def test_flags_win(project):
    project('[tool.derl]\nsuite = "math"\ncolumns = { ok = "bool" }\n', a="g1 + g2")
    assert codes("a.derl") == [["DRL101", "DRL101"]]
    assert codes("a.derl", "--suite", "derl-math") == [[]]
    # Whoever names the suite names the columns; a column alone is added to the project's.
    assert codes("-e", "g1 + ok", "--suite", "derl-math") == [["DRL101"]]
    assert codes("-e", "exact(completion, answer) + ok * n", "--column", "n:bool") == [[]]


def test_patterns_are_for_files_below_the_project(project):
    config = """
[tool.derl]
suite = "derl-math"
ignore = ["DRL306"]
[tool.derl.files]
"rewards/agent/*.derl" = { suite = "derl-agent" }
"*/strict.derl" = { ignore = [] }
"""
    root = project(
        config,
        plain="g1 + step_scores_mean",
        rewards__agent__a="g2 + g3",
        rewards__agent__deep__b="0.5 * solved + g2",
        rewards__agent__strict="g2 + g3",
    )
    assert settings_of("plain.derl").suite == "derl-math"
    assert settings_of("rewards/agent/deep/b.derl").suite == "derl-agent"
    assert codes("rewards/agent/a.derl", "rewards/agent/strict.derl") == [[], ["DRL306"]]
    assert settings_of(str(root / "rewards/agent/a.derl")).suite == "derl-agent"
    assert settings_of(str(root.parent / "elsewhere.derl")).suite is None


def test_the_nearest_table_counts(project):
    root = project('[tool.derl]\nsuite = "math"\n', sub__deeper__a="1 * exact(completion, answer)")
    (root / "sub" / "pyproject.toml").write_text("[tool.ruff]\nline-length = 100\n")
    assert settings_of("sub/deeper/a.derl").suite == "math"
    (root / "sub" / "pyproject.toml").write_text('[tool.derl]\nsuite = "derl-math"\n')
    assert settings_of("sub/deeper/a.derl").suite == "derl-math"


def test_edits_are_seen(project):
    root = project('[tool.derl]\nsuite = "math"\n')
    assert settings_of("a.derl").suite == "math"
    (root / "pyproject.toml").write_text('[tool.derl]\nsuite = "derl-math"\n')
    os.utime(root / "pyproject.toml", ns=(1, 1))
    assert settings_of("a.derl").suite == "derl-math"


def test_ignore_and_select_leave_errors():
    warned, failed = check("g2 + g3", suite="derl-math"), check("g2 + g5", suite="derl-math")
    assert [d.code for d in warned] == ["DRL306"]
    assert Settings(ignore=("DRL306",)).shown(warned) == ()
    assert Settings(ignore=("DRL3",)).shown(warned) == ()
    assert Settings(select=("DRL5",)).shown(warned) == ()
    assert Settings(select=("DRL3",)).shown(warned) == tuple(warned)
    assert Settings(ignore=("DRL1",), select=()).shown(failed) == tuple(failed)


def test_limits(project):
    project('[tool.derl]\nsuite = "derl-math"\n', a="g1" + " + g2" * 300)
    assert codes("a.derl") == [["DRL404"]]
    assert codes("a.derl", "--limits", "wide") == [[]]
    project('[tool.derl]\nsuite = "derl-math"\nlimits = "wide"\n')
    assert codes("a.derl") == [[]]


MISTAKES = {
    'suit = "math"': "unknown key 'suit' in [tool.derl]; did you mean 'suite'?",
    'fils = { "*" = {} }': "unknown section [tool.derl.fils]; did you mean 'files'?",
    'suite = "maht"': "unknown suite 'maht'; did you mean 'math'?",
    "suite = 3": "[tool.derl] suite: expected a text, not 3",
    'columns = { n = "numbr" }': "unknown type 'numbr'",
    'columns = ["n"]': "columns: expected a table, such as { g1 =",
    'limits = "wid"': "limits: expected 'default' or 'wide', not 'wid'; did you mean 'wide'?",
    'ignore = "DRL306"': 'ignore: expected a list of texts, such as ["DRL306"',
    'ignore = ["DRL999"]': "no code begins with 'DRL999'",
    'ignore = [""]': "no code begins with ''",
    'ignore = ["DRL101"]': "DRL101 is an error and cannot be ignored",
    'select = ["X1"]': "no code begins with 'X1'",
    'files = { "*.derl" = "math" }': '[tool.derl.files."*.derl"]: expected a table',
    'files = { "*.derl" = { suit = "math" } }': "files.\"*.derl\"]; did you mean 'suite'?",
    'files = "math"': "files: expected a table of patterns",
}


@pytest.mark.parametrize("line", MISTAKES)
def test_mistakes_name_the_file_and_the_mend(project, line):
    root = project(f"[tool.derl]\n{line}\n", a="g1")
    result = run("a.derl")
    assert result.exit_code == 2
    assert str(root / "pyproject.toml") in result.stderr
    assert MISTAKES[line] in result.stderr


@pytest.mark.parametrize("config", ["[tool.derl\n", "[tool]\nderl = 3\n"])
def test_unreadable_tables_are_exit_2(project, config):
    root = project(config)
    result = run("-e", "1")
    assert result.exit_code == 2
    assert str(root / "pyproject.toml") in result.stderr


def test_a_project_without_the_table_is_none(project):
    root = project("[tool.other]\nname = 'derl'\n")
    found = find_project(root)
    assert found is None or found.path.parent != root


def test_the_header_names_the_suite(project):
    project(
        '[tool.derl]\nsuite = "math"\n',
        a="# What it pays for.\n\n#suite: derl-math\n# more\nreward = g1 + g2",
        late="reward = 1 * exact(completion, answer)\n# suite: derl-math",
        bad="# suite: maht\nreward = 1",
    )
    assert codes("a.derl", "late.derl") == [[], []]
    assert codes("a.derl", "--suite", "math") == [["DRL101", "DRL101"]]
    result = run("bad.derl")
    assert result.exit_code == 2
    assert "bad.derl: unknown suite 'maht'; did you mean 'math'?" in result.stderr
    with pytest.raises(ProjectError):
        settings_of("bad.derl", "# suite: maht\n")


def test_the_header_types_columns_and_names_the_outcome(project):
    project(
        '[tool.derl]\nsuite = "math"\ncolumns = { n = "number" }\n',
        own="# Why.\n# column: ok: bool\n# column: n: number[0, 9]\n# outcome: ok\n2 * ok + n / 9",
        late="reward = 1 * exact(completion, answer)\n# column: ok: bool\n",
        bad="# column: n: numbr\nreward = n",
    )
    own = settings_of("own.derl", Path("own.derl").read_text())
    assert (own.columns, own.outcome) == ({"ok": "bool", "n": "number[0, 9]"}, "ok")
    assert codes("own.derl") == [[]]
    assert "ok" not in settings_of("late.derl", Path("late.derl").read_text()).columns
    result = run("bad.derl")
    assert result.exit_code == 2
    assert "bad.derl: cannot read type 'numbr'" in result.stderr


def test_settings_cost_no_numpy_and_little_time(project):
    project('[tool.derl]\nsuite = "derl-math"\n', a="g1 + g2")
    code = (
        "import sys; from derl_dsl.cli.app import main\n"
        "sys.argv = ['derl-dsl', 'check', 'a.derl']\n"
        "try: main()\nexcept SystemExit as e: assert not e.code\n"
        "assert not {'numpy', 'torch', 'pygls', 'yaml'} & set(sys.modules), 'heavy'"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_a_module_named_as_trusted_is_known_to_commands(project, monkeypatch):
    folder = project(
        '[tool.derl]\nsuite = "math"\nprimitives = ["trusted:polite_words"]\n',
        a="exact(completion, answer) + 0.1 * pleases(completion)",
    )
    (folder / "polite_words.py").write_text(
        "import derl_dsl\n\n\n"
        '@derl_dsl.primitive("(completion: text) -> number[0, 1]")\n'
        "def pleases(completion):\n"
        '    """Whether it says please."""\n'
        '    return ["please" in text for text in completion]\n'
    )
    (folder / "rows.jsonl").write_text('{"completion": "5, please", "answer": "5"}\n')
    data = ["--data", "rows.jsonl"]
    monkeypatch.syspath_prepend(folder)
    try:
        assert codes("a.derl") == [[]]
        cli.register_all()
        for command in (
            ["explain", "a.derl"],
            ["eval", "a.derl", *data],
            ["audit", "a.derl", *data],
            ["why", "a.derl", *data, "--row", "0"],
            ["bench", "a.derl"],
            ["primitives", "pleases"],
        ):
            told = CliRunner().invoke(cli.app, command)
            assert told.exit_code == 0, (command, told.output)
    finally:
        REGISTRY.clear()
        sys.modules.pop("polite_words", None)


@pytest.mark.parametrize(
    ("module", "message"), [("no_such_module", "cannot be imported"), ("json", "no primitive")]
)
def test_a_trusted_module_that_cannot_be_used_is_told(project, module, message):
    project(f'[tool.derl]\nprimitives = ["trusted:{module}"]\n', a="1.0 * progress")
    result = run("a.derl")
    assert result.exit_code == 2
    assert message in result.stderr
