"""The scripts of examples/ run as they stand; tests/trainers has the one that trains."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from derl_runtime.data import read_rows
from tests.conftest import ROOT

EXAMPLES = ROOT / "examples"


def run(script: str, folder: Path, *arguments: str) -> str:
    command = [sys.executable, str(EXAMPLES / script), *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def test_every_script_is_tested_and_listed() -> None:
    page = (EXAMPLES / "README.md").read_text("utf-8")
    scripts = {file.name for file in EXAMPLES.glob("*.py")}
    assert scripts == {"score_parquet.py", "verl_reward.py", "train_trl.py"}
    assert all(f"[{name}]({name})" in page for name in scripts)


def test_scoring_a_parquet_file(tmp_path: Path) -> None:
    assert "240 rows of gsm8k.jsonl" in run("score_parquet.py", tmp_path)
    scored = tmp_path / "scored.parquet"
    again = run("score_parquet.py", tmp_path, str(scored), "--out", "again.parquet")
    assert "240 rows of scored.parquet" in again
    columns = read_rows(scored)
    assert {"reward", "ok", "length", "marked"} <= columns.keys()
    right = [r for r, ok in zip(columns["reward"], columns["ok"], strict=True) if ok]
    assert right
    assert min(right) >= 1


def test_a_file_for_verl(tmp_path: Path) -> None:
    printed = run("verl_reward.py", tmp_path)
    assert "custom_reward_function" in printed
    assert "'score': 1.2" in printed
    assert "compute_score" in (tmp_path / "reward_for_verl.py").read_text("utf-8")


def test_the_reward_passes_its_tests() -> None:
    command = [sys.executable, "-m", "derl_dsl", "test", str(EXAMPLES / "reward.derl")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert "4 passed" in done.stdout
