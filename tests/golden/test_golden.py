"""Golden programs: each chunk of a file has the expected codes on its offending lines.

Chunks are separated by `---`; `# suite: NAME` sets the suite (default derl-math), `#! DRL101` at
the end of a line expects that code there. The rendered diagnostics are kept beside the file, and
`pytest --update-golden` rewrites them.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from derl_dsl.checker import check_source
from derl_dsl.elaborate.scope import build_scope
from derl_dsl.prove.checked import Checked
from derl_grammar.diagnostics import render
from derl_grammar.spans import Source

FILES = sorted((Path(__file__).parent / "programs").glob("*.derl"))


def chunks(path: Path) -> list[str]:
    return [c.strip("\n") for c in re.split(r"^---$", path.read_text("utf-8"), flags=re.M)]


def checked(text: str, name: str) -> Checked:
    suite = re.search(r"# suite: (\S+)", text)
    return check_source(Source(text, name), build_scope(suite[1] if suite else "derl-math"))


def expected(text: str) -> list[tuple[int, str]]:
    return sorted(
        (number, code)
        for number, line in enumerate(text.split("\n"), 1)
        for marker in re.findall(r"#! ((?:DRL\d+ ?)+)", line)
        for code in marker.split()
    )


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_codes_are_on_their_lines(path: Path) -> None:
    for k, text in enumerate(chunks(path), 1):
        found = sorted({(d.line, d.code) for d in checked(text, f"chunk{k}").diagnostics})
        assert found == expected(text), f"{path.name}, chunk {k}:\n{text}"


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_rendered_diagnostics(path: Path, request: pytest.FixtureRequest) -> None:
    results = [checked(text, f"chunk{k}") for k, text in enumerate(chunks(path), 1)]
    shown = "\n\n".join(render(c.diagnostics, c.source) for c in results if c.diagnostics) + "\n"
    snapshot = path.with_suffix(".txt")
    if request.config.getoption("--update-golden"):
        snapshot.write_text(shown, "utf-8")
    assert snapshot.read_text("utf-8") == shown
