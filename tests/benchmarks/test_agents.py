"""The table of the searches on games: shares by level, paired by seed."""

from __future__ import annotations

from pathlib import Path

from benchmarks.agents import CONFIGS, found, table
from derl_trainers.runs.store import Store
from derl_trainers.settings.run import builtin_configs, parse_config


def test_a_run_is_told_level_by_level_and_differences_are_paired(tmp_path: Path) -> None:
    config = parse_config({"task": {"name": "sokoban"}})
    store = Store.create(tmp_path, "boards", 0, config.to_json(), {})
    with store.running():
        for label, seed, solved in (
            ("start policy", 0, 0.5), ("outcome only", 0, 0.2), ("outcome only", 1, 0.6),
            ("best formula", 0, 0.3), ("best formula", 1, 0.7),
        ):  # fmt: skip
            formula = None if label == "start policy" else "g1 + g2"
            job = store.add_job("final", label, seed, formula)
            store.finish_job(job, solved / 2, 1.0, {"apart": {"L0": solved, "L1": 0.0}})
    store.close()
    run = found(tmp_path)
    assert (run["task"], run["games"]) == ("sokoban", 200)
    shown = table([run])
    assert "| sokoban L0 | best formula: `g1 + g2` | 0.500 ± 2.541 | +0.100 ± 0.000 |" in shown
    assert "| sokoban L0 | outcome only | 0.400 ± 2.541 |  |" in shown
    assert "| sokoban L0 | start policy | 0.500 |  |" in shown
    assert "| sokoban L1 | start policy | 0.000 |  |" in shown


def test_the_small_configs_are_there() -> None:
    assert set(CONFIGS) <= set(builtin_configs())
