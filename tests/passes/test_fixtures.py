"""Each pass alone on small programs: the graph it makes, and that the values stay bit for bit.

A fixture, between blank lines, is `# title` lines, a program, and after `=>` the graph after the
pass. The title
`# ranges` gives the pass the proven ranges, and data that keeps them. `pytest --update-golden`
rewrites the graphs.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from derl_dsl.elaborate.scope import build_scope
from derl_dsl.graph.ir import Graph
from derl_dsl.passes import PASSES, Pass, verify
from derl_dsl.prove.analyse import Analysis
from tests.differential.programs import COLUMNS, graph_of
from tests.passes.graphs import differing

FOLDER = Path(__file__).parent / "fixtures"
SCOPE = build_scope(columns={**COLUMNS, "w": "number[0.5, 3]"})


@dataclass(frozen=True, slots=True)
class Fixture:
    titles: tuple[str, ...]
    program: str
    after: str

    @property
    def ranged(self) -> bool:
        return "# ranges" in self.titles

    def graph(self) -> Graph:
        return graph_of([self.program], SCOPE)

    def lowered(self, one: Pass) -> Graph:
        graph = self.graph()
        return one(graph, Analysis(graph, graph.roots()).ranges if self.ranged else None)


def fixtures(name: str) -> list[Fixture]:
    found = []
    for block in (FOLDER / f"{name}.txt").read_text().strip().split("\n\n"):
        before, _, after = block.partition("\n=>\n")
        lines = before.split("\n")
        titles = tuple(line for line in lines if line.startswith("# "))
        found.append(Fixture(titles, "\n".join(lines[len(titles) :]), after))
    return found


@pytest.mark.parametrize("one", PASSES, ids=lambda p: p.name)
def test_graph_after_the_pass(one: Pass, request: pytest.FixtureRequest) -> None:
    texts = []
    for fixture in fixtures(one.name):
        after = fixture.lowered(one)
        verify(after, dense=True)
        shown = after.text().replace("0.reward", "reward")
        texts.append("\n".join([*fixture.titles, fixture.program, "=>", shown]))
    path = FOLDER / f"{one.name}.txt"
    if request.config.getoption("--update-golden"):
        path.write_text("\n\n".join(texts) + "\n")
    assert path.read_text() == "\n\n".join(texts) + "\n"


@pytest.mark.parametrize("one", PASSES, ids=lambda p: p.name)
def test_values_stay_bit_for_bit(one: Pass) -> None:
    rng = np.random.default_rng(5)
    for fixture in fixtures(one.name):
        graph, after = fixture.graph(), fixture.lowered(one)
        for _ in range(3):
            assert differing(graph, after, rng, in_range=fixture.ranged) == [], fixture.program


@pytest.mark.parametrize("one", PASSES, ids=lambda p: p.name)
def test_every_pass_has_fixtures_that_it_changes(one: Pass) -> None:
    """`share` drops what nothing needs; elaboration shared the rest already."""
    changed = [f for f in fixtures(one.name) if f.lowered(one).text() != f.graph().text()]
    assert len(changed) >= (1 if one.name == "share" else 3)
