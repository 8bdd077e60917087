"""Games as tasks of `train`, `meta-train` and `compare`: settings, levels, and a run of seconds."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from rich.console import Console

from derl_dsl import compile
from derl_trainers.outer.baselines import baselines
from derl_trainers.outer.judge import judge
from derl_trainers.outer.meta import meta_train
from derl_trainers.outer.plan import plan
from derl_trainers.outer.proposers.rollouts import sample_rollouts
from derl_trainers.reading import ConfigError
from derl_trainers.runs.jobs import check_task
from derl_trainers.runs.store import Store
from derl_trainers.runs.store.comparison import comparison, parts
from derl_trainers.runs.view import View
from derl_trainers.settings.run import load_config, parse_config
from derl_trainers.tasks.environments import sokoban
from derl_trainers.tasks.environments.base import Turn
from derl_trainers.tasks.environments.played import PLAYED_COLUMNS
from derl_trainers.tasks.environments.sokoban import Sokoban
from derl_trainers.tasks.table import TaskSection

SMALL: dict[str, Any] = {
    "name": "boards",
    "suite": "derl-agent",
    "eval_batch": 16,
    "task": {"name": "sokoban", "sokoban": {"size": 20, "test_size": 4, "warmup_size": 8}},
    "policy": {"tiny": {"hidden_size": 16, "intermediate_size": 32, "layers": 1, "heads": 2,
                        "steps": 10, "batch_size": 4}},
    "inner": {"steps": 1, "prompts": 2, "num_generations": 2, "updates": 1,
              "agent": {"limit": 3}},
    "budget": {"cap": 0.0},
    "meta": {"steps": 1, "formulas": 2, "cold_steps": 5, "cold_formulas": 30, "probe": 2,
             "hidden_size": 16, "layers": 1, "heads": 2, "decoding": "masked"},
    "final": {"confirm": 1, "seeds": 2},
    "executor": {"kind": "inprocess"},
}  # fmt: skip


class Seat(Sokoban):
    """A board that says who holds one; a run that ends gives back those that it took."""

    held: ClassVar[set[int]] = set()
    taken: ClassVar[int] = 0

    def reset(self, game: str) -> Turn:
        Seat.taken += 1
        self.held.add(id(self))
        return super().reset(game)

    def close(self) -> None:
        self.held.discard(id(self))
        super().close()


def test_a_search_on_boards_scores_each_level(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sokoban, "Sokoban", Seat)
    config = parse_config(SMALL)
    meta_train(config, tmp_path / "run", View(Console(quiet=True)))
    assert Seat.taken > 0
    assert not Seat.held
    with closing(Store.open(tmp_path / "run")) as store:
        assert store.run()["status"] == "finished"
        rows = {row.label: row for row in comparison(store)}
        assert {"outcome only", "mean of primitives", "RLVMR"} <= rows.keys()
        assert parts(store) == ["L0", "L1", "L2"]
        by_level = [{r.label: r.mean for r in comparison(store, part)} for part in parts(store)]
        for label, row in rows.items():
            assert row.mean == pytest.approx(sum(one[label] for one in by_level) / 3)
        trained = store.rows("SELECT result FROM jobs WHERE kind = 'baseline'")
        results = [json.loads(row["result"]) for row in trained]
        assert all(r["lost"] == 0 and r["environment_seconds"] > 0 for r in results)
    # What proposers that fit a model to rollouts read.
    (policy,) = (tmp_path / "run").rglob("policy-*")
    rollouts = sample_rollouts(str(policy), config)
    assert rollouts.group_size == 2
    values = compile("(g1 + g2 + g3 + g4) / 4", suite="derl-agent").score(rollouts.columns).values
    assert len(values) >= 16
    assert not np.isnan(values).any()


def test_rlvmr_is_another_reward_than_the_outcome() -> None:
    found = baselines("derl-agent")
    assert found["RLVMR"] == "steps = step_scores\nreward = g1"
    keys = {label: judge(formula, "derl-agent").key for label, formula in found.items()}
    assert len(set(keys.values())) == len(found)
    assert "RLVMR" not in baselines("derl-math")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"task.name": "alfwrld"}, "expected 'arithmetic' or .*'alfworld'"),
        (
            {"suite": "derl-math"},
            "suite: the outcome of 'derl-math' is of an answer, and games have none",
        ),
        ({"inner.agent.advantage": "ppo"}, r"\[inner.agent\] advantage: expected 'rlvmr'"),
        ({"inner.agent.limit": 0}, r"\[inner.agent\] limit: expected at least 1, not 0"),
        ({"task.sokoban.levels": ["L3"]}, "levels: expected some of L0, L1, L2"),
        ({"task.sokoban.levels": []}, "levels: expected some of L0, L1, L2"),
        ({"task.sokoban.warmup_size": 8, "task.size": 9}, "size: is for data"),
    ],
)
def test_settings_that_do_not_fit_are_named(change: dict[str, Any], said: str) -> None:
    table = json.loads(json.dumps(SMALL))
    for name, value in change.items():
        part = table
        *path, key = name.split(".")
        for step in path:
            part = part.setdefault(step, {})
        part[key] = value
    with pytest.raises(ConfigError, match=said):
        check_task(parse_config(table, "mine.toml"))


@pytest.mark.alfworld
def test_alfworld_as_a_task_is_whole() -> None:
    section = TaskSection(name="alfworld")
    task = section.load(PLAYED_COLUMNS)
    assert task.name == "generated ALFWorld"
    assert (len(task.warmup), len(task.train), len(task.validation)) == (300, 480, 120)
    assert [e.source for e in task.test].count("L0") == 200
    every = [
        e.prompt for part in (task.warmup, task.train, task.validation, task.test) for e in part
    ]
    assert len(set(every)) == len(every)
    kinds = {e.columns["kind"] for e in task.train}
    assert len(kinds) == 6


@pytest.mark.alfworld
def test_the_third_level_of_alfworld_needs_a_run_of_its_own() -> None:
    config = load_config("alfworld", {"task.alfworld.levels": ["L0", "L2"]})
    with pytest.raises(ConfigError, match="L2 trains on other games than the rest"):
        check_task(config)


@pytest.mark.java
def test_scienceworld_as_a_task_has_the_counts_of_the_paper() -> None:
    task = load_config("paper-scienceworld").task.load(PLAYED_COLUMNS)
    levels = [e.source for e in task.test]
    assert (levels.count("L0"), levels.count("L1")) == (1661, 1684)
    assert len(task.train) + len(task.validation) == 3322


def test_what_scienceworld_lacks_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    pytest.importorskip("scienceworld", reason="extra agents")
    with pytest.raises(ConfigError, match=r"\[task\]: no java on the path; ScienceWorld needs"):
        check_task(load_config("scienceworld", {"task.scienceworld.seed": 12345}))


@pytest.mark.java
@pytest.mark.alfworld
@pytest.mark.parametrize("name", ["paper-alfworld", "paper-scienceworld"])
def test_the_papers_settings_are_planned_without_weights(name: str) -> None:
    config = load_config(name)
    inner, meta = config.inner, config.meta
    assert (inner.prompts, inner.num_generations, inner.agent.limit) == (16, 8, 30)
    assert (inner.beta, inner.learning_rate, meta.formulas) == (0.01, 1e-6, 8)
    lines: list[str] = []
    refused = plan(config, lines.append, lines.append)
    said = "\n".join(lines)
    assert "16 games x 8 episodes of at most 30 steps" in said
    assert "worker hours of inner steps" in said
    # What this machine lacks is named, and nothing else.
    assert all("vLLM is not installed" in one or "ALFWORLD_DATA" in one for one in refused)
