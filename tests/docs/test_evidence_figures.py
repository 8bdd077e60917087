"""The figures of the evidence: they say what the tables say, and are what the results make."""

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from benchmarks.evidence import figures, tables
from benchmarks.evidence.collect import RESULTS
from benchmarks.evidence.drawing import RED, Curve, Dots, Panel, Step, dots, panels
from benchmarks.evidence.plan import ARMS, CURVE, GRID, LONG, TRIED, TUNED
from benchmarks.evidence.secondary import risen
from derl_trainers.outer.ledger import area

SVG = "{http://www.w3.org/2000/svg}"
NAN = float("nan")
FOUND = tables.read(RESULTS)


def titles(drawn: str) -> list[str]:
    """What the rows or curves of a figure say, in their order."""
    return [g.findtext(f"{SVG}title") or "" for g in ElementTree.fromstring(drawn).iter(f"{SVG}g")]


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.replace("-", "−").strip("|").split("|")]


def check_headlines(evidence: tables.Evidence) -> None:
    drawn = figures.forest(tables.headlines(evidence))
    rows = [cells(line) for line in tables.headline_rows(evidence)[2:]]
    run = [row for row in rows if row[1] != "0"]
    assert titles(drawn) == [
        f"{name}: {mean}{'' if span == 'one pair' else f' ({span})'}, {pairs} pairs, {said}"
        for name, pairs, mean, span, _, _, said in run
    ]
    circles = list(ElementTree.fromstring(drawn).iter(f"{SVG}circle"))
    assert len(circles) == sum(int(row[1]) for row in run)


def check_rewards(evidence: tables.Evidence) -> None:
    shown = titles(figures.scores(tables.rewards(evidence)))
    rows = [line.strip("| ").split(" | ") for line in tables.reward_rows(evidence)[2:]]
    assert shown == [f"{name}: {value}, n = {count}" for name, count, value in rows]


def check_cost(evidence: tables.Evidence, arms: list[str]) -> None:
    """The area under each curve is that of its searches, by the ledger's own sum."""
    (name, axis, cost), _ = figures.COSTS
    drawn = figures.searched(evidence, axis, cost)
    assert (name, drawn is not None) == ("runs", True)
    seeds = evidence.seeds(*(arm for arm in (GRID, *ARMS) if evidence.seeds(arm)))
    said = titles(drawn or "")
    assert len(said) == len(arms)
    for arm, title in zip(arms, said, strict=True):
        ledgers = [
            figures.alone(evidence.of(GRID, s)) if arm == GRID else tables.paid(evidence.of(arm, s))
            for s in seeds
        ]
        last = max(ledger[-1].runs for ledger in ledgers)
        assert f", to {last};" in title
        steps = [(int(at), float(v)) for at, v in re.findall(r"(\d+): ([\d.]+)", title)]
        curve = [max(step for step in steps if step[0] <= run)[1] for run in range(1, last + 1)]
        if arm == GRID:  # a point a long run, and the curve has one a run
            best = [max(p.best for p in points if p.runs <= 7) for points in ledgers]
            assert curve[6] == pytest.approx(sum(best) / len(best), abs=6e-4)
        else:
            expected = sum(area(points, last) for points in ledgers) / len(ledgers)
            assert sum(curve) / last == pytest.approx(expected, abs=6e-4)


def job(arm: str, seed: int, kind: str, label: str, score: float) -> dict[str, object]:
    curve = [{"step": CURVE * k, "pass_at_1": score * k / LONG} for k in range(1, LONG + 1)]
    return {
        "task": "t", "arm": arm, "seed": seed, "job": 1, "kind": kind, "label": label,
        "pass_at_1": score, "status": "done", "tokens": 40_000, "seconds": 1.0, "job_seed": 0,
        "right": "10", "same_as_job": None, "formula": "g1",
        "curve": str(curve).replace("'", '"'),
    }  # fmt: skip


def made(seeds: int) -> tables.Evidence:
    """Three blocks of a few start policies, with scores that all differ."""
    jobs, runs = [], []
    for seed in range(seeds):
        for k, arm in enumerate((GRID, "grpo", "frozen")):
            runs.append({"task": "t", "arm": arm, "seed": seed, "versions": "{}"})
            low = 0.1 + 0.03 * seed + 0.01 * k * seed
            one = [("start", "s", low), ("final", "best formula", 0.5 + low)]
            if arm == GRID:
                one = [("start", "s", low), ("search", f"{TRIED} 0.3", 0.3 + low)]
                one += [("search", f"{TRIED} 1", 0.2 + low), ("final", TUNED, 0.7 - low * low)]
                one += [("final", "outcome only, long", 0.9 - low), ("search", "outcome + g2", 0.2)]
                one += [("final", "outcome + g2", 0.2 + low)]
            else:
                one += [("baseline", "outcome only", 0.2), ("search", "outer step 1", 0.4 + low)]
                one += [("search", "outer step 2", 0.45 + low)] * (seed + k)
            jobs += [job(arm, seed, *each) for each in one]
    return tables.Evidence("t", runs, jobs, [], [])


@pytest.mark.parametrize("seeds", [1, 2, 4])
def test_figures_of_a_made_table_say_what_its_tables_say(seeds: int) -> None:
    evidence = made(seeds)
    check_headlines(evidence)
    check_rewards(evidence)
    check_cost(evidence, ["grpo", "frozen", GRID])
    drawn = dict(figures.draw([evidence]))
    assert set(drawn) == {f"t-{name}.svg" for name in ("headlines", "rewards", "runs", "tokens")}
    assert drawn == dict(figures.draw([made(seeds)]))
    assert "nan" not in "".join(drawn.values())


@pytest.mark.parametrize("evidence", FOUND, ids=lambda evidence: evidence.task)
def test_figures_of_the_results_say_what_the_tables_say(evidence: tables.Evidence) -> None:
    check_headlines(evidence)
    check_rewards(evidence)
    run = {arm for arm in ARMS if evidence.seeds(arm)}
    each = [[arm for arm in named if arm in run] for _, named in figures.PANELS]
    check_cost(evidence, [arm for arms in each if arms for arm in (*arms, GRID)])


def test_a_task_of_which_little_is_complete_has_the_figures_it_can_have() -> None:
    jobs = [job(GRID, 0, "final", "outcome only, long", 0.5)]
    grid = tables.Evidence("t", [{"task": "t", "arm": GRID, "seed": 0}], jobs, [], [])
    assert set(dict(figures.draw([grid]))) == {"t-rewards.svg"}


def test_the_files_are_what_the_results_make() -> None:
    drawn = dict(figures.draw(FOUND, risen(RESULTS)))
    files = {path.name: path.read_text("utf-8") for path in tables.FIGURES.iterdir()}
    assert files == drawn, "run make evidence-tables"
    assert tables.PAGE.read_text("utf-8") == tables.page(RESULTS), "run make evidence-tables"
    for name in drawn:
        assert f"(figures/{name})" in tables.PAGE.read_text("utf-8")


def test_the_page_says_of_a_figure_what_the_figure_says_of_itself(tmp_path: Path) -> None:
    (tmp_path / "t-runs.svg").write_text(panels("a < b & c", [PANEL], "up", "cost"), "utf-8")
    line = f"![a < b & c]({tmp_path.name}/t-runs.svg)"
    assert tables.picture(tmp_path, "t", "runs") == [line, ""]
    assert tables.picture(tmp_path, "t", "tokens") == []


PANEL = Panel("p", [Curve("a & b", RED, [Step(0, 0.25, 0.2, 0.3), Step(4, 0.5, NAN, NAN)], 6, 8)])


def test_places_are_in_proportion() -> None:
    each = [("a", -0.1), ("b", 0.0), ("c", 0.2)]
    drawn = ElementTree.fromstring(dots("all", [Dots("row", "said", each, 0.0, -0.1, 0.1)], "axis"))
    a, b, c = (float(circle.attrib["cx"]) for circle in drawn.iter(f"{SVG}circle"))
    assert c - b == pytest.approx(2 * (b - a), abs=0.2)
    (zero,) = [line for line in drawn.iter(f"{SVG}line") if line.attrib["class"] == "axis"]
    assert float(zero.attrib["x1"]) == b
    root = ElementTree.fromstring(panels("all", [PANEL], "up", "cost"))
    whole, ended = (
        [tuple(map(float, point.split(","))) for point in line.attrib["points"].split()]
        for line in root.iter(f"{SVG}polyline")
    )
    assert whole[-1] == ended[0]  # 6 of 8: solid up to it, dotted from it
    assert whole[-1][0] - whole[0][0] == pytest.approx(3 * (ended[-1][0] - ended[0][0]), abs=0.3)
    assert [y for _, y in whole[:2]] != [y for _, y in whole[2:]]


@pytest.mark.parametrize(
    "names", [["short"], ["a name that is as long as names of rows can be"] * 2]
)
def test_texts_stay_inside(names: list[str]) -> None:
    said = "+0.123 (−0.456 to +0.789), 32 pairs, not shown"
    rows = [Dots(name, said, [("a", 0.1)], 0.1, 0.0, 0.2) for name in names]
    root = ElementTree.fromstring(dots("all", rows, "axis", [("group " * 5, RED)] * 4))
    wide, tall = map(float, root.attrib["viewBox"].split()[2:])
    lines: dict[float, float] = {}  # where the last text of a line ends
    for text in root.iter(f"{SVG}text"):
        x, y, letters = float(text.attrib["x"]), float(text.attrib["y"]), len(text.text or "")
        share = {"start": 0.0, "middle": 0.5, "end": 1.0}[text.attrib["text-anchor"]]
        low, high = x - share * 6.8 * letters, x + (1 - share) * 6.8 * letters
        assert 0 <= lines.get(y, 0.0) <= low < high <= wide, text.text
        assert 0 < y < tall, text.text
        lines[y] = high
