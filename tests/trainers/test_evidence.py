"""The evidence: blocks that go on where they were, collected rows, tables that claim no more."""

import json
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks.evidence import collect as collecting
from benchmarks.evidence import figures, tables
from benchmarks.evidence import run as running
from benchmarks.evidence.plan import (
    ARMS,
    GRID,
    LATER,
    OTHERS,
    RATES,
    SIGNS,
    Block,
    Row,
    blocks,
    grid,
    signs,
    tuning,
)
from benchmarks.evidence.secondary import families, language, raced_rows, risen, rises, transfer
from derl_trainers.estimates import holm, over_problems, sign_flip
from derl_trainers.outer.ledger import Paid, area, ledger, paid_for
from derl_trainers.runs.store import Store
from derl_trainers.settings.run import parse_config
from tests.trainers.test_meta import MINI

pytestmark = pytest.mark.xdist_group("training")


def test_a_grid_is_run_collected_and_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = parse_config({**MINI, "executor": {"kind": "inprocess"}, "final": {"seeds": 2}})
    monkeypatch.setattr(running, "config_of", lambda task: config)
    rows = [grid("derl-math")[0], Row("outcome + g3", "g1 + g3"), Row("one", "g1 / g1")]
    monkeypatch.setattr(running, "grid", lambda suite: rows)
    monkeypatch.setattr(running, "tuning", lambda suite: tuning(suite)[1:])
    block = Block("arithmetic", 100, GRID)
    assert running.run_block(block, tmp_path, 0.0)
    assert running.run_block(block, tmp_path, 0.0)  # complete: nothing is done again
    with closing(Store.open(tmp_path / "arithmetic" / block.name)) as store:
        jobs = store.rows("SELECT kind, label, seed, pass_at_1, result FROM jobs ORDER BY id")
    assert [(j["kind"], j["label"], j["seed"]) for j in jobs[3:]] == [
        ("final", "outcome only, long", 11000),
        ("final", "outcome only, long", 11001),
        ("search", "outcome + g3", 100),
        ("final", "outcome + g3", 11000),
        ("final", "outcome + g3", 11001),
        ("search", "outcome only, long, rate x 1", 100),
        ("search", "outcome only, long, rate x 3", 100),
        ("final", "outcome only, long, tuned", 11000),
        ("final", "outcome only, long, tuned", 11001),
    ]
    slow, fast = jobs[8:10]
    assert slow["result"] != fast["result"]
    if slow["pass_at_1"] >= fast["pass_at_1"]:  # then these are the runs of the task's own rate
        assert jobs[10]["pass_at_1"] == jobs[3]["pass_at_1"]
    curve = json.loads(jobs[3]["result"])["curve"]
    assert [point["step"] for point in curve] == [2, 4, 6, 8, 10]
    results = tmp_path / "results"
    assert {path.stem for path in collecting.collect(tmp_path, results)} >= {"runs", "jobs"}
    (found,) = tables.read(results)
    kept = found.of(GRID, 100)
    assert tables.test(kept, "outcome + g3") == pytest.approx(
        sum(json.loads(j["result"])["pass_at_1"] for j in jobs[6:8]) / 2
    )
    assert tables.best_pair(kept) == "outcome + g3"
    # The searched reward with as many steps as the outcome has, once there is one.
    later = Block("arithmetic", 100, LATER)
    monkeypatch.setattr(running, "RESULTS", results)
    assert not running.run_block(later, tmp_path, 0.0)
    searched = {"task": "arithmetic", "seed": 100, "arm": "grpo", "best_formula": "g1 - g2"}
    for status, known in (("running", None), ("finished", "g1 - g2")):
        (tmp_path / status).mkdir()
        rows_of = pa.Table.from_pylist([{**searched, "status": status}])
        pq.write_table(rows_of, tmp_path / status / "runs.parquet")
        monkeypatch.setattr(running, "RESULTS", tmp_path / status)
        assert running.found(Block("arithmetic", 100, "grpo"), tmp_path) == known
    monkeypatch.setattr(running, "found", lambda block, work: "g1 + g3")
    assert running.run_block(later, tmp_path, 0.0)
    collecting.collect(tmp_path, results)
    (found,) = tables.read(results)
    labels = [j["label"] for j in found.of(LATER, 100) if j["kind"] in ("search", "final")]
    assert labels[1:] == [
        *(f"best formula, long, rate x {rate:g}" for rate in RATES),
        *2 * ["best formula, long, tuned"],
    ]
    assert "| best formula, grpo, long, tuned less outcome only, long, tuned | 1 | " in "\n".join(
        tables.later_rows(found)
    )
    # What was collected stays when its store is gone, and is not run again.
    assert collecting.finished(results) == {("arithmetic", arm, 100) for arm in (GRID, LATER)}
    before = {path.stem: path.read_bytes() for path in results.iterdir()}
    collecting.collect(tmp_path / "elsewhere", results)
    assert {path.stem: path.read_bytes() for path in results.iterdir()} == before
    shown = tables.page(results)
    assert "| outcome + g3 | 1 |" in shown
    assert "| trained less frozen | 0 | | | | | not run |" in shown
    assert "shown |" not in shown.replace("not shown |", "")


def jobs_of(arm: str, seed: int, score: float, label: str = "best formula") -> list[dict[str, Any]]:
    right = "1" * round(100 * score) + "0" * (100 - round(100 * score))
    shared = {"task": "t", "arm": arm, "seed": seed, "status": "done", "tokens": 10, "seconds": 1.0}
    start = {**shared, "job": 0, "kind": "start", "label": "s", "pass_at_1": 0.1}
    yard = {**shared, "job": 1, "kind": "baseline", "label": "outcome only", "pass_at_1": 0.3}
    won = {**shared, "job": 2, "kind": "search", "label": "outer step 1", "pass_at_1": 0.5}
    final = {**shared, "job": 3, "kind": "final", "label": label, "pass_at_1": score}
    more = {"job_seed": 0, "right": right, "same_as_job": None, "curve": None, "formula": "g1"}
    return [{**job, **more} for job in (start, yard, won, final)]


def evidence(pairs: list[tuple[float, float]]) -> tables.Evidence:
    jobs, runs = [], []
    for seed, scores in enumerate(pairs):
        for arm, score in zip(("grpo", "frozen"), scores, strict=True):
            jobs += jobs_of(arm, seed, score)
            runs.append({"task": "t", "arm": arm, "seed": seed, "versions": "{}"})
    return tables.Evidence("t", runs, jobs, [{"arm": a, "status": "trained"} for a in ARMS], [])


def test_a_claim_needs_pairs_and_a_p_that_is_corrected() -> None:
    def first(pairs: list[tuple[float, float]]) -> str:
        return tables.headline_rows(evidence(pairs))[2]

    clear = [(0.7 + 0.01 * k, 0.5) for k in range(8)]
    assert first(clear[:7]).endswith("| too few |")
    assert first(clear).endswith("| 0.031 | shown |")  # 4 * 2 / 2**8
    assert first([(0.6, 0.5), (0.5, 0.6)] * 4).endswith("| 1.000 | not shown |")
    row = tables.cost_rows(evidence(clear))[2]
    assert row.startswith("| grpo | 8 | 2 | 0.00 | 2 | 0.400 ± 0.000 | 100% | 8 of 8 | 2, 2")


def test_tests_of_differences_by_hand() -> None:
    assert sign_flip([1.0] * 8) == 2 / 2**8
    assert sign_flip([0.3, -0.3]) == 1.0
    assert sign_flip([1.0] * 20) == pytest.approx(1e-5, rel=1.0)
    assert holm([0.02, 0.5, 0.02, 0.9]) == pytest.approx([0.08, 1.0, 0.08, 1.0])
    with pytest.raises(ValueError, match="same problems"):
        over_problems(["10"], ["100"])
    mean, low, high = over_problems(["11110000"] * 2, ["00000000"] * 2)
    assert (mean, low < 0.5 < high) == (0.5, True)


def test_a_ledger_charges_runs_in_their_order(tmp_path: Path) -> None:
    with closing(Store.create(tmp_path / "run", "n", 0, {"meta": {"steps": 1}}, {})) as store:
        store.finish_job(store.add_job("start", "s", 0), 0.1, 1.0, {"tokens": 5})
        for kind, label, score in (
            ("baseline", "outcome only", 0.2),
            ("search", "outer step 1", 0.5),
            ("search", "confirmation", 0.9),
            ("final", "best formula", 0.8),
        ):
            store.finish_job(store.add_job(kind, label, 0), score, 2.0, {"tokens": 10})
        store.fail_job(store.add_job("search", "outer step 2", 0), "broke")
        points = ledger(store)
    assert points == [
        Paid(0, 0, 0.0, 0.1),
        Paid(1, 10, 2.0, 0.2),
        Paid(2, 20, 4.0, 0.5),
        Paid(3, 30, 6.0, 0.5),  # a confirmation is paid for, and its score is no new find
        Paid(4, 30, 6.0, 0.5, broken=1),
    ]
    assert area(points, 2) == 0.35
    assert paid_for(points, 0.6) is None


def test_another_proposer_is_reported_once_it_has_three() -> None:
    found = evidence([(0.5, 0.4), (0.6, 0.4), (0.7, 0.4)])
    for seed in range(2):
        found.jobs.extend(jobs_of("evolution", seed, 0.5))
    assert tables.other_rows(found) == []
    found.jobs.extend(jobs_of("evolution", 2, 0.5))
    assert [line.split(" | ")[1:] for line in tables.other_rows(found)[2:]] == [
        ["3", "+0.100 ± 0.000 |"],
        ["3", "-0.100 ± 0.248 |"],
    ]


def test_the_ceiling_says_what_each_search_falls_short_of() -> None:
    found = evidence([(0.7, 0.6)])
    assert tables.sign_rows(found) == []
    found.runs.append({"task": "t", "arm": SIGNS, "seed": 0, "versions": "{}"})
    (job,) = (j for j in jobs_of(SIGNS, 0, 0.5) if j["kind"] == "search")
    for formula, score in (("g1", 0.4), ("g1 + g3", 0.62), ("- g1", 0.1), ("g1 - g2", 0.44)):
        found.jobs.append({**job, "formula": formula, "pass_at_1": score})
    confirmed = {**job, "arm": "frozen", "label": tables.CONFIRMATION, "pass_at_1": 0.9}
    found.jobs.append(confirmed)  # what was chosen, under another seed
    first, *rows = tables.sign_rows(found)
    assert "4 sign vectors, the best `g1 + g3` 0.620, `g1 - g2` 0.440" in first
    assert first.endswith("25% are more than .05 above the outcome alone.")
    assert rows[3:] == ["| grpo | 0.500 | -0.120 |", "| frozen | 0.500 | -0.120 |", ""]


def test_the_plan_has_every_block_once_and_signs_are_all() -> None:
    every = list(blocks("arithmetic"))
    assert len(every) == len(set(every)) == 32 * 6 + 1 + 3 * 8
    assert [b.name for b in every[-24::8]] == [f"{arm}-101" for arm in OTHERS]
    assert [b.name for b in every[:6]] == [f"{arm}-100" for arm in (GRID, *ARMS, LATER)]
    assert every[12] == Block("arithmetic", 101, SIGNS)
    second = list(blocks("equations"))
    assert len(second) == len(set(second)) == 8 * 9 + 1
    assert Block("equations", 100, SIGNS) in second
    assert len({row.formula for row in signs("derl-math")}) == 80


def test_transfer_is_paired_by_source_and_told_by_target(tmp_path: Path) -> None:
    assert transfer(tmp_path) == []
    rows = [
        {"target": "longer", "source": source, "arm": arm, "level": 0.5, "reached": runs < 20,
         "area": area, "valid": 0.25, "runs": runs}
        for source, arms in {
            1: {"cold": (20, 0.2), "trained": (10, 0.3), "formulas": (4, 0.4)},
            2: {"cold": (20, 0.1), "trained": (8, 0.2), "formulas": (5, 0.4)},
        }.items()
        for arm, (runs, area) in arms.items()
    ]  # fmt: skip
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "transfer.parquet")
    cold, trained, formulas = (line.split(" | ") for line in transfer(tmp_path)[-4:-1])
    assert cold[1:] == ["cold", "2", "0.500", "0", "20.0", "", "0.150", "", "25% |"]
    # Differences -10 and -12: a half width of 12.706 (t of one degree) times 1.
    assert trained[4:9] == ["2", "9.0", "-11.0 ± 12.7", "0.250", "+0.100 ± 0.000"]
    assert formulas[5:8] == ["4.5", "-15.5 ± 6.4", "0.400"]


def test_families_say_why_they_fell_out(tmp_path: Path) -> None:
    assert families(tmp_path) == []
    found = {
        "long": {"out": "questions up to 900, answers 3"},
        "hard": {"tried": [{"steps": 100, "pass_at_1": 0.01}]},
        "kept": {"tried": [{"steps": 100, "pass_at_1": 0.2}], "taken": True,
                 "runs": [{"rate": 1.0, "pass_at_1": 0.3}, {"rate": 3.0, "pass_at_1": 0.1}]},
    }  # fmt: skip
    (tmp_path / "families.json").write_text(json.dumps(found))
    lines = families(tmp_path)
    assert lines[2].startswith("3 in alphabetical order; 1 fell out")
    assert lines[-3:-1] == [
        "| hard | 0.010 (100) |  | not in range |",
        "| kept | 0.200 (100) | 0.300, 0.100 | taken |",
    ]


def test_a_race_that_ended_the_best_says_so() -> None:
    best = {"formula": "g1 + g2", "key": "k", "validation": 0.5, "seeds": []}
    cost = {"runs": 4, "steps": 80, "tokens": 1000, "seconds": 8.0}
    costs = {"all": cost, "valid": cost, "plain": cost, "raced": {**cost, "tokens": 250}}
    shared = {"task": "t", "race": [5], "plain": best, "ended": 1, "of": 4, "alike": True,
              "cost": costs}  # fmt: skip
    other = {"formula": "g1", "key": "j", "validation": 0.4, "seeds": []}
    lines = raced_rows([
        {**shared, "start": 1, "raced": best, "ended_best": ""},
        {**shared, "start": 2, "raced": other, "ended_best": "below .3"},
    ])  # fmt: skip
    assert lines[2].endswith("| 0.500 | yes | 1 of 4 |")
    assert lines[3].endswith("| `g1` | 0.400 | below .3 | 1 of 4 |")
    assert lines[-3].endswith("| 0.25 |")
    assert lines[-1].startswith("T, race 5: the same best reward in 1 of 2; ")


def scored(greedy: str, *sampled: str) -> dict[str, object]:
    """Verdicts as gsm8k.json has them."""
    return {"greedy": greedy, "sampled": list(sampled)}


def ran(seed: int, reward: str, greedy: str, *sampled: str) -> dict[str, object]:
    """A run as gsm8k.json has it."""
    history = [{"reward": r, "tokens": 9.0} for r in (0.2, None, 0.4)]
    cost = {"steps": 3, "tokens": 1234, "seconds": 90.0, "faults": 0, "history": history}
    return {"reward": reward, "seed": seed, **cost, **scored(greedy, *sampled)}


def test_a_language_model_rises_where_runs_and_problems_show_it(tmp_path: Path) -> None:
    low, high = "0" * 90 + "1" * 10, "0" * 60 + "1" * 40
    runs = [ran(seed, "up", high if seed else high[:-1] + "0", high, low) for seed in range(3)]
    # Each run gained, and what they gained lies in two problems of a hundred.
    runs += [ran(seed, "luck", low[:50] + "11" + low[52:], low, low) for seed in range(3)]
    runs += [ran(seed, "once", high, high, high) for seed in range(2)]
    found = {"problems": 100, "start": scored(low, low, low), "runs": runs}
    each = {(r.reward, r.measure): r for r in rises(found)}
    assert {reward for reward, _ in each} == {"up", "luck"}  # of two runs nothing is reported
    up = each["up", "sampled"]
    assert (up.before, up.said) == (pytest.approx(0.1), "rises")
    assert up.each == pytest.approx({0: 0.15, 1: 0.15, 2: 0.15})
    assert each["up", "greedy"].mean == pytest.approx((0.29 + 0.3 + 0.3) / 3)
    luck = each["luck", "greedy"]
    assert (luck.mean, luck.half) == (pytest.approx(0.02), pytest.approx(0, abs=1e-9))
    assert luck.low == 0
    assert luck.said == "not shown"
    (tmp_path / "gsm8k.json").write_text(json.dumps(found))
    text = "\n".join(language(tmp_path))
    assert "| up | 3 | sampled | 0.100 | 0.250 | +0.150 ± 0.000 |" in text
    assert "| luck | 1 | 3 | 1,234 | 2 | 0.200 to 0.400 |" in text.splitlines()
    assert "once" not in text
    assert "+0.150" in figures.learnt(rises(found))
    # A second try's intervals are wider, and stand beside the first's.
    (tmp_path / "gsm8k-step.json").write_text(json.dumps(found))
    first, second = [r for r in risen(tmp_path) if (r.reward, r.measure) == ("up", "greedy")]
    assert (first.level, second.level) == (0.95, 0.975)
    assert second.half > 1.4 * first.half > 0
    assert (second.high - second.low) > (first.high - first.low)
    assert language(tmp_path)[:2] == ["## GSM8K with a language model: up", ""]
    assert "at 97.5 %" in figures.learnt(risen(tmp_path))
    assert language(tmp_path / "nowhere") == []
