"""`check` on folders and many files: what git ignores, what cannot be read, --fix and --watch."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from derl_dsl.cli import folders
from derl_dsl.cli.check import check_command
from derl_dsl.cli.fmt import fmt_command
from derl_dsl.tools.files import rewards_below
from tests.conftest import ROOT

APP = typer.Typer()
APP.command("check")(check_command)
APP.command("fmt")(fmt_command)
GOOD, BAD, PLAIN = "# suite: derl-math\ng1\n", "# suite: derl-math\ng5\n", "g1 - -g2"


def run(*args: object, stdin: bytes | None = None):
    return CliRunner().invoke(APP, [str(a) for a in args], input=stdin)


def write(folder: Path, **files: str) -> None:
    for name, text in files.items():
        path = folder / name.replace("__", "/")
        path = path.with_name(path.name + ".derl")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def names(folder: Path) -> list[str]:
    return [p.relative_to(folder).as_posix() for p in rewards_below(folder)]


def test_folders_are_searched_as_git_would(tmp_path):
    write(tmp_path, a=GOOD, sub__b=GOOD, sub__deep__c=GOOD, build__d=GOOD, sub__old__e=GOOD)
    write(tmp_path, sub__kept=GOOD)
    (tmp_path / "a.test.derl").write_text("")
    (tmp_path / ".hidden").mkdir()
    (tmp_path / ".hidden/x.derl").write_text(BAD)
    (tmp_path / "loop").symlink_to(tmp_path)
    (tmp_path / ".gitignore").write_text("/build/\nkept.derl\nold\n")
    (tmp_path / "sub/.gitignore").write_text("!kept.derl\ndeep/*\n")
    assert names(tmp_path) == ["a.derl", "sub/b.derl", "sub/kept.derl"]
    # Above a folder, patterns count up to the top of its repository.
    assert "b.derl" in names(tmp_path / "sub")
    assert names(tmp_path / "sub/old") == ["e.derl"]
    (tmp_path / ".git").mkdir()
    assert names(tmp_path / "sub") == ["b.derl", "kept.derl"]


def test_what_git_itself_says(tmp_path):
    """The same files as `git ls-files --others --exclude-standard`, on patterns of every kind."""
    patterns = "*.tmp.derl\n/top.derl\nx/**/y.derl\n!x/q/y.derl\nd?r/\n[ab].derl\n\\#h.derl\n# no\n"
    for name in ("a", "c", "top", "n/top", "k.tmp", "x/y", "x/p/y", "x/q/y", "dir/f", "#h", "# no"):
        write(tmp_path, **{name: GOOD})
    (tmp_path / ".gitignore").write_text(patterns)
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    said = subprocess.run(
        ["git", "-c", "core.quotepath=off", "ls-files", "-o", "--exclude-standard", "--", "*.derl"],
        cwd=tmp_path, capture_output=True, text=True, check=True,
    ).stdout.split("\n")  # fmt: skip
    assert sorted(filter(None, said)) == sorted(names(tmp_path))


def test_an_unreadable_file_hides_no_other(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(tmp_path, good=GOOD, bad=BAD, suite="# suite: mahts\ng1\n", empty=" \n")
    write(tmp_path, outcome="# suite: derl-math\n# outcome: zz\ng1\n")
    (tmp_path / "latin.derl").write_bytes(b"# caf\xe9\ng1")
    files = ["gone.derl", "latin.derl", "suite.derl", "empty.derl", "outcome.derl", "bad.derl"]
    result = run("check", *files, "good.derl")
    assert result.exit_code == 2
    assert "bad.derl:2:1: error DRL101" in result.stdout
    assert "2 programs checked: 1 ok, 1 error" in result.stdout
    for told in ("cannot read gone.derl", "latin.derl is not UTF-8", "unknown suite 'mahts'",
                 "empty.derl is empty", "outcome.derl: outcome 'zz'"):  # fmt: skip
        assert told in result.stderr
    record = json.loads(run("check", *files, "--format", "json").stdout)
    assert [f["path"] for f in record["files"]] == ["bad.derl"]
    assert [f["path"] for f in record["unread"]] == files[:-1]
    log = json.loads(run("check", *files, "--format", "sarif").stdout)["runs"][0]
    assert log["invocations"][0]["executionSuccessful"] is False
    assert len(log["invocations"][0]["toolExecutionNotifications"]) == 5
    lines = run("check", *files, "--format", "github").stdout.splitlines()
    assert sum("title=not checked" in line for line in lines) == 5
    assert run("check", "bad.derl", "good.derl").exit_code == 1


def test_folder_without_rewards(tmp_path):
    result = run("check", tmp_path)
    assert result.exit_code == 2
    assert "derl-dsl new" in result.stderr
    write(tmp_path, a=GOOD)
    assert run("check", tmp_path).exit_code == 0
    assert run("fmt", "--check", tmp_path).exit_code == 0


def test_many_files_are_shared_out_in_order(tmp_path, monkeypatch):
    write(tmp_path, **{f"r{k:03}": BAD if k % 7 == 0 else GOOD for k in range(40)})
    files = [str(p) for p in rewards_below(tmp_path)]
    alone = [one.to_json() for one in folders.check_files(folders.Flags(), files)]
    monkeypatch.setattr(folders, "_MANY", 4)
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    assert [one.to_json() for one in folders.check_files(folders.Flags(), files)] == alone
    assert [one["ok"] for one in alone] == [k % 7 != 0 for k in range(40)]


def test_a_byte_order_mark_is_read(tmp_path):
    write(tmp_path, a="")
    (tmp_path / "a.derl").write_bytes(b"\xef\xbb\xbf" + GOOD.encode())
    assert run("check", tmp_path / "a.derl").exit_code == 0
    assert run("check", "-", stdin=b"\xef\xbb\xbf" + GOOD.encode()).exit_code == 0


def test_fix_makes_what_is_safe_and_leaves_the_rest(tmp_path):
    write(tmp_path, a=f"# suite: derl-math\nreward = {PLAIN}  # why\n", b=BAD)
    write(tmp_path, c="# suite: derl-math\nreward = (g1 + 0.5 * g2) / 2 + 1\n")
    result = run("check", "--fix", tmp_path)
    assert "fixed DRL521: cancel both" in result.stdout
    assert (tmp_path / "a.derl").read_text() == "# suite: derl-math\nreward = g1 + g2  # why\n"
    # Without scale and offset it ranks alike, but pays other numbers.
    assert "/ 2 + 1" in (tmp_path / "c.derl").read_text()
    assert "DRL506" in result.stdout
    assert result.exit_code == 1
    assert (tmp_path / "b.derl").read_text() == BAD
    assert "fixed" not in run("check", "--fix", tmp_path).stdout


@pytest.mark.parametrize("more", [["-e", "g1"], ["-"], ["--lines", "x.derl"]])
def test_fix_needs_files(more):
    assert run("check", "--fix", *more).exit_code == 2


def test_watch_checks_what_is_saved(tmp_path):
    write(tmp_path, a=BAD)
    child = subprocess.Popen(
        [sys.executable, "-u", "-m", "derl_dsl", "check", "--watch", str(tmp_path)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT,
    )  # fmt: skip
    try:
        assert child.stdout is not None
        lines = iter(child.stdout.readline, "")
        assert next(line for line in lines if "checked" in line).startswith(
            "1 program checked: 0 ok"
        )
        (tmp_path / "a.derl").write_text(GOOD)
        assert next(line for line in lines if "checked" in line).startswith(
            "1 program checked: 1 ok"
        )
        write(tmp_path, b=BAD)
        told = next(line for line in lines if "checked" in line)
        assert told.startswith("2 programs checked: 1 ok, 1 error")
        child.send_signal(signal.SIGINT)
        assert child.wait(60) == 130
    finally:
        child.kill()
        child.wait()
