"""The tutorial of the README runs and prints what the page shows; `...` stands for other lines."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from tests.conftest import ROOT

STEP = re.compile(r"(?:`(?P<file>[\w.]+)`:\n)?```(?P<kind>\w+)\n(?P<body>.*?)\n```", re.S)


def run(command: str, folder: Path) -> list[str]:
    scripts = str(Path(sys.executable).parent)
    env = {
        **os.environ,
        "COLUMNS": "96",
        "NO_COLOR": "1",
        "PATH": f"{scripts}:{os.environ['PATH']}",
    }
    done = subprocess.run(
        command, shell=True, cwd=folder, env=env, capture_output=True, text=True, check=False
    )
    assert "Traceback" not in done.stderr
    return [line.rstrip() for line in (done.stdout + done.stderr).rstrip("\n").split("\n")]


def agrees(shown: list[str], printed: list[str]) -> bool:
    """Whether `printed` is `shown`, whose `...` lines stand for any lines."""
    pieces = "\n".join(shown).split("\n...\n")
    pattern = "(?:\n.*)*\n".join(re.escape(piece) for piece in pieces)
    return re.fullmatch(pattern, "\n".join(printed)) is not None


def test_tutorial(tmp_path: Path) -> None:
    page = (ROOT / "README.md").read_text("utf-8")
    tutorial = page.split("<!-- tutorial -->")[1].split("<!-- /tutorial -->")[0]
    shutil.copy(ROOT / "derl_dsl/derl_dsl/examples/gsm8k.jsonl", tmp_path)
    commands = 0
    for step in STEP.finditer(tutorial):
        if step["file"]:
            (tmp_path / step["file"]).write_text(step["body"] + "\n", "utf-8")
        else:
            command, *shown = step["body"].split("\n")
            printed = run(command.removeprefix("$ "), tmp_path)
            assert agrees(shown, printed), "\n".join([command, *printed])
            commands += 1
    assert commands >= 6


def test_python_of_the_first_page_loads(tmp_path: Path) -> None:
    import derl_dsl

    page = (ROOT / "README.md").read_text("utf-8")
    (tmp_path / "short.derl").write_text(
        page.split("`short.derl`:\n```python\n")[1].split("```")[0]
    )
    assert 'derl_dsl.load("short.derl")' in page
    certificate = derl_dsl.load(tmp_path / "short.derl").certificate
    assert certificate.outcome_monotone is True
    assert certificate.margin == 0.9
