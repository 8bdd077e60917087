"""The site: its commands print what its pages show, its pairs are the tested ones, links hold."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from derl_dsl.checker import check
from docs.from_python import PAIRS
from docs.stage import PAGES, stage
from tests.conftest import ROOT
from tests.docs.test_readme import STEP, agrees, run
from tests.gallery.public import PUBLIC

WRITTEN = sorted((ROOT / "docs/pages").glob("*.md"))
ROW = re.compile(r"^\| `.+?`.* \| `(.+)` \|$", re.M)
CONFIG = (ROOT / "docs/mkdocs.yml").read_text("utf-8")


@pytest.fixture(scope="module")
def staged(tmp_path_factory) -> tuple[Path, dict[str, str]]:
    folder = tmp_path_factory.mktemp("site") / "pages"
    return folder, stage(folder)


@pytest.mark.parametrize("page", WRITTEN, ids=lambda p: p.stem)
def test_commands_of_a_page(page: Path, tmp_path: Path) -> None:
    shutil.copy(ROOT / "derl_dsl/derl_dsl/examples/gsm8k.jsonl", tmp_path)
    for step in STEP.finditer(page.read_text("utf-8")):
        if step["file"]:
            (tmp_path / step["file"]).write_text(step["body"] + "\n", "utf-8")
            continue
        if step["kind"] != "console":
            continue
        for block in re.split(r"^\$ ", step["body"], flags=re.M)[1:]:
            command, *shown = block.rstrip("\n").split("\n")
            printed = run(command, tmp_path)
            assert agrees(shown, printed), "\n".join([command, *printed])


def test_every_line_of_the_table_is_a_reward() -> None:
    rows = ROW.findall((ROOT / "docs/pages/from-python.md").read_text("utf-8"))
    assert len(rows) >= 15
    for text in rows:
        found = check(f"_x = {text}\nreward = boxed(completion)", suite="math+format+length")
        assert [d for d in found if d.severity == "error"] == [], text


def test_the_pairs_are_those_that_are_compared(staged: tuple[Path, dict[str, str]]) -> None:
    page = staged[1]["from-python.md"]
    assert len(PAIRS) == 10
    for file, function, title, _ in PAIRS:
        assert PUBLIC[file][1].__name__ == function
        section = page.split(f"### {title}\n")[1].split("\n### ")[0]
        assert f"def {function}(row" in section
        text = (ROOT / f"derl_dsl/derl_dsl/gallery/{file}.derl").read_text("utf-8")
        assert text.strip() in section


def test_every_page_has_its_place(staged: tuple[Path, dict[str, str]]) -> None:
    named = set(re.findall(r"[\w-]+\.md", CONFIG.split("\nnav:")[1]))
    assert named == set(staged[1])
    assert set(PAGES) < named


@pytest.mark.skipif(find_spec("material") is None, reason="the extra `site` is not installed")
def test_it_builds_and_every_link_holds(tmp_path: Path) -> None:
    """Strict: a link or an anchor that is not there fails the build."""
    stage()
    command = [sys.executable, "-m", "mkdocs", "build", "-q", "-f", "docs/mkdocs.yml"]
    done = subprocess.run(
        [*command, "-d", str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "score_many" in (tmp_path / "api.html").read_text("utf-8")
