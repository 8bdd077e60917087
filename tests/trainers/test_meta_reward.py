"""Repeats over seeds, halving, DERL-pop and patience: what is trained, from where, its scores."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from derl_trainers.runs.executors import InProcess
from derl_trainers.runs.store import Store
from derl_trainers.runs.view import View
from derl_trainers.settings.run import parse_config
from tests.trainers.test_meta import MINI

pytestmark = pytest.mark.xdist_group("training")


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> str:
    from derl_trainers.runs.jobs import PolicyJob

    config = parse_config(MINI)
    job = PolicyJob(config.task, config.policy, str(tmp_path_factory.mktemp("policy")), 0)
    return str(job.run(lambda *_: None)["path"])


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with closing(Store.create(tmp_path / "run", "t", 0, MINI, "0")) as found:
        yield found


def reward_with(store: Store, policy: str, step: int = 0, **meta: Any) -> Any:
    from derl_trainers.outer.reward import MetaReward
    from derl_trainers.runs.runner import Runner

    config = parse_config(MINI)
    config = replace(config, meta=replace(config.meta, **meta))
    runner = Runner(store, InProcess(), View(Console(file=StringIO())))
    return MetaReward(config, runner, policy, store.path.parent, step)


def jobs(store: Store) -> list[tuple[str, str, int, int]]:
    rows = store.rows(
        "SELECT kind, formula, seed, json_extract(result, '$.steps') AS steps FROM jobs ORDER BY id"
    )
    return [(r["kind"], r["formula"], r["seed"], r["steps"]) for r in rows]


def test_repeats_train_a_further_seed_each_and_score_the_mean(store: Store, policy: str) -> None:
    reward = reward_with(store, policy, repeats="average")
    first = reward(["g1 + g3", "g4", "2 * g3 + 2 * g1"])
    assert jobs(store) == [
        ("search", "g1 + g3", 0, 2), ("search", "g4", 0, 2), ("search", "2 * g3 + 2 * g1", 1, 2),
    ]  # fmt: skip
    scores = {r["id"]: r["pass_at_1"] for r in store.rows("SELECT * FROM jobs")}
    # The first of the two had one seed to be scored by, the second both.
    assert first == [scores[1], scores[2], pytest.approx((scores[1] + scores[3]) / 2)]
    second = reward(["g3 + g1"])
    assert jobs(store)[3] == ("search", "g3 + g1", 2, 2)
    assert second == [pytest.approx((scores[1] + scores[3] + reward.runner.score(4)) / 3)]
    board = store.rows("SELECT DISTINCT pass_at_1 FROM leaderboard WHERE job IN (1, 3, 4)")
    assert [row["pass_at_1"] for row in board] == [pytest.approx(second[0])]


def test_halving_trains_the_best_part_in_full(store: Store, policy: str) -> None:
    reward = reward_with(store, policy, halving=2)
    rewards = reward(["g1", "g2", "g4"])
    kinds = [(kind, steps) for kind, _, _, steps in jobs(store)]
    assert kinds == [("rung", 1)] * 3 + [("search", 2)] * 2
    assert all(r >= 0 for r in rewards)
    short = {r["formula"]: r["pass_at_1"] for r in store.rows("SELECT * FROM jobs LIMIT 3")}
    full = {r["formula"] for r in store.rows("SELECT formula FROM jobs WHERE kind = 'search'")}
    left = (set(short) - full).pop()
    assert min(short[name] for name in full) >= short[left]
    assert {row["formula"] for row in store.rows("SELECT formula FROM leaderboard")} == full
    # Proposed again, an early score is not trained anew.
    reward([left, "g3"])
    assert jobs(store).count(("rung", left, 0, 1)) == 1


def test_the_best_is_confirmed_on_further_seeds(store: Store, policy: str, tmp_path: Path) -> None:
    from derl_trainers.outer.judge import judge
    from derl_trainers.runs.memo import Memo
    from derl_trainers.runs.runner import digest

    reward = reward_with(store, policy)
    reward.config = replace(reward.config, final=replace(reward.config.final, confirm=3))
    known = {"g1 + g4": (0.9, 0.1, 0.2), "g1 + g3": (0.8, 0.6, 0.7), "g1": (0.5,), "g4": (0.6,)}
    with closing(Memo(tmp_path / "inner-runs.db")) as memo:
        reward.runner.memo = memo
        reward.runner.executor = None  # Whatever else was asked for would fail.
        for formula, scores in known.items():
            key = judge(formula, reward.config.suite).key
            for seed, score in enumerate(scores):
                context = digest(reward._job(formula, seed))
                memo.put(f"{context}/{key}/{seed}", {"pass_at_1": score}, 1.0)
        reward(list(known))
        assert store.best() is not None
        assert store.best()["formula"] == "g1 + g4"
        reward.confirm()
        # The lucky one falls behind, the next one stays, and those behind it are left alone.
        assert [(c.formula, c.scores) for c in store.confirmed()] == [
            ("g1 + g3", known["g1 + g3"]), ("g1 + g4", known["g1 + g4"]),
        ]  # fmt: skip
        assert store.best()["formula"] == "g1 + g3"
        assert store.best()["pass_at_1"] == pytest.approx(0.7)
        # Once more changes nothing: all that is asked for is there.
        count = len(jobs(store))
        reward.confirm()
        assert len(jobs(store)) == count == 8


def test_population_starts_each_step_from_the_best_policy(store: Store, policy: str) -> None:
    reward = reward_with(store, policy, start="best")
    reward(["g1", "g4", "g1 + g9"])
    left = list((store.path.parent / "population").iterdir())
    assert [str(folder) for folder in left] == [reward.policy]
    best = store.best()
    assert best is not None
    assert best["key"][:12] in left[0].name
    assert (left[0] / "config.json").is_file()
    # From another start the same reward is trained anew, and resuming finds that start again.
    reward(["g1"])
    assert len(jobs(store)) == 3
    again = reward_with(store, policy, step=1, start="best")
    assert again.policy == str(left[0])
    assert reward_with(store, policy, start="best").policy == policy


def test_patience(store: Store, policy: str) -> None:
    reward = reward_with(store, policy, patience=2)
    assert not reward.converged
    for wanted in (False, False, True):
        reward(["g1 + g3"])
        assert reward.converged is wanted


def test_a_memo_serves_other_runs(store: Store, policy: str, tmp_path: Path) -> None:
    from derl_trainers.runs.memo import Memo

    memo = Memo(tmp_path / "shared" / "inner-runs.db")
    first = reward_with(store, policy)
    first.runner.memo = memo
    score = first(["g1 + g3"])
    with closing(Store.create(tmp_path / "other", "t", 0, MINI, "0")) as other:
        second = reward_with(other, policy)
        second.runner.memo = memo
        # No executor is asked: there is nobody to compute it.
        second.runner.executor = None
        assert second(["3 * g1 + 3 * g3 - 1"]) == score
        row = other.rows("SELECT status, seconds FROM jobs")[0]
    assert row["status"] == "done"
    assert row["seconds"] == store.rows("SELECT seconds FROM jobs")[0]["seconds"]
    memo.close()
