"""The screen on surrogates: landscapes know what they were told, searches on them, the table."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks.evidence import landscape, screen, tries
from benchmarks.evidence.landscape import Landscape, measured, position
from benchmarks.evidence.surrogate import Answer
from benchmarks.evidence.tries import MASKED, Try
from derl_trainers.outer.cold_start import cold_start_formulas
from derl_trainers.outer.judge import judge

pytestmark = pytest.mark.xdist_group("training")


def worth(formula: str) -> float:
    """A made-up landscape: how much of a reward is the outcome."""
    return 0.4 + 0.3 * float(np.dot(position(formula), position("g1"))) / len(position("g1"))


def jobs_of(start: int, formulas: list[str]) -> list[dict[str, Any]]:
    found = []
    for formula in formulas:
        job = {
            "task": "arithmetic",
            "seed": start,
            "kind": "search",
            "label": "outer step 1",
            "status": "done",
        }
        key = judge(formula, "derl-math").key
        score = worth(formula)
        found.append({**job, "key": key, "job_seed": start, "formula": formula,
                      "pass_at_1": score})  # fmt: skip
    return found


@pytest.fixture(scope="module")
def jobs() -> list[dict[str, Any]]:
    return jobs_of(100, cold_start_formulas("derl-math", 120, 1))


def test_positions_are_of_what_a_group_sees() -> None:
    assert position("g1 + g2") == position("3 * (g2 + g1) - 7")
    assert position("g1") != position("g2")
    assert np.mean(position("g1 * g3")) == pytest.approx(0, abs=1e-6)
    # The gold answer is mentioned wherever it is the answer: no state tells these apart.
    assert position("g1 * g4") == pytest.approx(position("g1"), abs=1e-5)


def test_a_landscape_tells_rewards_it_has_not_seen(jobs: list[dict[str, Any]]) -> None:
    land = Landscape(100, measured(jobs, 100))
    known = {position(job["formula"]) for job in jobs}
    new = [f for f in cold_start_formulas("derl-math", 200, 2) if position(f) not in known]
    told = [land.value(formula) for formula in new]
    assert np.corrcoef(told, [worth(formula) for formula in new])[0, 1] > 0.9
    assert land.quality["r2"] > 0.8
    assert land.quality["rank"] > 0.8
    # A run that is longer than an inner run is none of them.
    longer = {**jobs[0], "label": "best formula, long, rate x 3", "pass_at_1": 1.0, "job_seed": 5}
    assert Landscape(100, measured([*jobs, longer], 100)).quality == land.quality
    # Scores that say nothing of the reward are not told.
    rng = np.random.default_rng(0)
    noise = [{**job, "pass_at_1": rng.random()} for job in jobs]
    assert Landscape(100, measured(noise, 100)).quality["r2"] < 0.2


def test_what_is_left_out_is_predicted_by_the_others_alone(
    jobs: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(landscape, "_LENGTHS", [0.8])
    monkeypatch.setattr(landscape, "_NOISES", [0.01])
    twice = [*jobs, {**jobs[5], "job_seed": 101, "pass_at_1": 0.9}]  # another seed of a reward
    whole = Landscape(100, measured(twice, 100))
    place = position(jobs[5]["formula"])
    rest = Landscape(100, measured([j for j in jobs if position(j["formula"]) != place], 100))
    own = np.all(whole.points.positions == place, axis=1)
    left = whole.points.scores[own] - whole.residuals[own]
    assert len(left) >= 2
    # But for the mean that both are told from, which has the reward's own scores in it.
    shift = whole.mean - rest.mean
    assert left == pytest.approx(rest.values([place])[0], abs=abs(shift) + 1e-9)


def test_a_draw_is_of_the_reward_and_the_seed(jobs: list[dict[str, Any]]) -> None:
    rng = np.random.default_rng(1)
    noisy = [{**j, "pass_at_1": j["pass_at_1"] * rng.choice([0.5, 1.0])} for j in jobs]
    land = Landscape(100, measured(noisy, 100))
    assert land.draw("g1 + g2", 7) == land.draw("2 * g2 + 2 * g1", 7)
    draws = [land.draw("g1 + g2", seed) for seed in range(400)]
    assert len(set(draws)) > 5
    assert np.mean(draws) == pytest.approx(land.value("g1 + g2"), abs=0.02)
    mean_of_many = [Answer(seeds=16).of(land, "g1 + g2", seed) for seed in range(50)]
    assert np.std(mean_of_many) < np.std(draws) / 2
    assert Answer(noise=False).of(land, "g1 + g2", 3) == land.value("g1 + g2")


TINY = ("meta.hidden_size=32", "meta.layers=1", "meta.cold_formulas=100", "meta.cold_steps=60",
        "meta.cold_valid=0.1", "meta.steps=2", "meta.formulas=4")  # fmt: skip


def test_a_screen_is_run_gone_on_with_and_shown(
    jobs: list[dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    results, work = tmp_path / "results", tmp_path / "work"
    results.mkdir()
    pq.write_table(pa.Table.from_pylist(jobs), results / "jobs.parquet")
    small = [
        Try(MASKED, "frozen+masked", TINY),
        Try("grpo+masked", "grpo+masked", TINY),
        Try("grpo+masked, no noise, two seeds", "grpo+masked", TINY, Answer(noise=False, seeds=2)),
    ]
    monkeypatch.setattr(screen, "TRIES", small)
    tries.run_all(small[:2], [100], 1, results, work)
    first = tries.rows(results)
    tries.run_all(small, [100], 1, results, work)
    rows = tries.rows(results)
    assert rows[:2] == first  # what is there is not run again
    assert [row["name"] for row in rows] == [one.name for one in small]
    frozen, trained, seeds = rows
    # The same cold start and seed wrote the first group.
    assert frozen["start"] == trained["start"] == 100
    assert all(row["proposals"] == 8 and 3 <= row["runs"] <= 11 for row in (frozen, trained))
    assert seeds["runs"] % 2 == 0
    for row in rows:
        steps, curve = json.loads(row["steps"]), json.loads(row["curve"])
        assert len(steps) == 2
        assert sum(step["new"] for step in steps) == row["distinct"]
        assert curve[-1]["proposals"] == 8
        assert curve[-1]["chosen"] == pytest.approx(row["value"])
        assert json.loads(row["sets"]) == list(TINY)
    assert [step["noise"] for step in json.loads(seeds["steps"])] == [0.0, 0.0]
    assert not (work / "run").exists()
    shown = screen.try_rows(rows)
    assert [line.split(" | ")[0] for line in shown[2:]] == [f"| {one.name}" for one in small]
    gain = trained["value"] - screen.chosen(json.loads(frozen["curve"]), "runs", trained["runs"])
    assert f" | {gain:+.3f} | " in shown[3]
    (ground,) = tries.landscapes(results, [100]).values()
    assert screen.quality_rows([ground])[2].startswith("| 100 | ")
    monkeypatch.setattr(screen, "_SAMPLES", 20)
    line = screen.chance_rows([ground])[2].split(" | ")
    mean, chosen, best, of_more, best_of_more, top = map(float, line[1:7])
    assert mean < chosen <= best <= best_of_more <= top
    assert of_more <= best_of_more


def test_what_training_hears_is_told_from_the_groups() -> None:
    def proposals(arm: str, start: int, rewards: list[float]) -> list[dict[str, Any]]:
        return [
            {"arm": arm, "start": start, "step": 1, "key": "k" if r >= 0 else None,
             "meta_reward": r}
            for r in rewards
        ]  # fmt: skip

    rows = proposals("grpo", 1, [-1.0, -1.0, 0.1, 0.3]) + proposals("frozen+masked", 1, [0.1, 0.3])
    free, masked = screen.advantage_rows(rows, [1])[2:]
    # Squares: 0.02 among the valid ones, 1.46 + ... of all four.
    assert free == "| grpo | 50%, 50% | 1.4% | 100% | 0.200, 0.200 |"
    assert masked == "| frozen+masked | 100%, 100% | 100.0% | 50% | 0.200, 0.200 |"
    curve = [{"runs": 3, "proposals": 8, "chosen": None}, {"runs": 5, "proposals": 16, "chosen": 1}]
    assert (screen.chosen(curve, "runs", 4), screen.chosen(curve, "proposals", 16)) == (0.0, 1.0)
