"""The table of the searches on games: shares by level, paired by seed."""

from __future__ import annotations

from pathlib import Path

import pytest

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
            taken = {"generate_seconds": 6.0, "reward_seconds": 1.0, "update_seconds": 3.0,
                     "environment_seconds": 10 * solved}  # fmt: skip
            apart = {"L0": solved, "L1": 0.0}
            store.finish_job(job, solved / 2, 1.0, {"apart": apart, **taken})
    store.close()
    run = found(tmp_path)
    assert (run["task"], run["games"]) == ("sokoban", 200)
    # The jobs that trained: of 40 seconds 2, 6, 3 and 7 were waiting for games.
    assert run["environment_share"] == pytest.approx(0.45)
    shown = table([run])
    assert "| sokoban L0 | best formula: `g1 + g2` | 0.500 ± 2.541 | +0.100 ± 0.000 |" in shown
    assert "| sokoban L0 | outcome only | 0.400 ± 2.541 |  |" in shown
    assert "| sokoban L0 | start policy | 0.500 |  |" in shown
    assert "| sokoban L1 | start policy | 0.000 |  |" in shown


def test_the_small_configs_are_there() -> None:
    assert set(CONFIGS) <= set(builtin_configs())
