"""The run store: round trip, what it refuses, and what is left after a crash."""

import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from derl_trainers.estimates import interval
from derl_trainers.runs.store import FILE, Store, StoreError

PROVEN = {"lo": 0, "hi": 1, "margin": 1, "vetoes": [], "outcome_monotone": True}
FAILED = {"completion": "g1 +\n", "formula": "g1 +", "stage": "syntax", "key": None,
          "diagnostics": [{"code": "DRL001", "severity": "error", "message": "no"}],
          "certificate": None,
          "meta_reward": -1.0}  # fmt: skip
USABLE = {**FAILED, "completion": "g1", "formula": "g1", "stage": None, "diagnostics": [],
          "key": "k1", "certificate": PROVEN, "meta_reward": None}  # fmt: skip


def new(path: Path) -> Store:
    return Store.create(path, "t", 0, {"meta": {"steps": 2}}, {})


def test_a_step_as_its_view_shows_it(tmp_path: Path) -> None:
    store = new(tmp_path / "run")
    with store.running():
        ids = store.add_proposals(1, [FAILED, USABLE, USABLE])
        job = store.add_job("search", "outer step 1", 7, "g1", "k1")
        assert store.find_score("k1", 7, "") is None
        store.start_job(job, 123)
        store.finish_job(job, 0.25, 1.5, {"pass_at_1": 0.25})
        store.score_proposal(ids[1], "trained", job, 0.25)
        store.score_proposal(ids[2], "reused", job, 0.25)
        assert store.find_score("k1", 7, "") == job
        assert store.find_score("k1", 8, "") is None
        assert store.find_score("k1", 7, "another policy") is None
    (row,) = store.steps()
    assert (row.formulas, row.failed, row.trained, row.reused) == (3, 1, 1, 1)
    assert row.share_valid == pytest.approx(2 / 3)
    assert row.mean_reward == pytest.approx((-1 + 0.25 + 0.25) / 3)
    assert (row.best_reward, row.best_formula) == (0.25, "g1")
    best = store.best()
    assert best is not None
    assert (best["formula"], best["idx"], best["pass_at_1"]) == ("g1", 1, 0.25)
    assert store.run()["status"] == "finished"
    store.close()
    again = Store.open(tmp_path / "run")
    assert again.steps() == [row]
    with pytest.raises(sqlite3.OperationalError):
        again.add_job("search", "x", 0)


def test_a_step_without_a_usable_formula_has_no_best_formula(tmp_path: Path) -> None:
    store = new(tmp_path / "run")
    store.add_proposals(1, [FAILED])
    (row,) = store.steps()
    assert (row.best_reward, row.best_formula) == (-1.0, None)
    assert store.best() is None


def test_rows_that_explain_nothing_are_refused(tmp_path: Path) -> None:
    store = new(tmp_path / "run")
    (proposal,) = store.add_proposals(1, [USABLE])
    job = store.add_job("search", "x", 0, "g1", "k1")
    with pytest.raises(sqlite3.IntegrityError):
        store.score_proposal(proposal, "trained", job, None)
    with pytest.raises(sqlite3.IntegrityError):
        store.score_proposal(proposal, "trained", 99, 0.5)
    with pytest.raises(sqlite3.IntegrityError):
        store.finish_job(job, None, 1.0, {})
    with pytest.raises(sqlite3.IntegrityError):
        store.add_proposals(2, [USABLE, {**FAILED, "meta_reward": 0.5}])
    # The group was one transaction: its first proposal is not there either.
    assert store.rows("SELECT * FROM proposals WHERE step = 2") == []


def test_how_a_run_ended(tmp_path: Path) -> None:
    store = new(tmp_path / "a")
    job = store.add_job("search", "x", 0)
    with pytest.raises(KeyboardInterrupt), store.running():
        raise KeyboardInterrupt
    assert store.run()["status"] == "interrupted"
    assert store.rows("SELECT status FROM jobs WHERE id = ?", (job,)) == [{"status": "interrupted"}]
    store = new(tmp_path / "b")
    with pytest.raises(ValueError, match="no"), store.running():
        raise ValueError("no")
    assert (store.run()["status"], store.run()["error"]) == ("failed", "ValueError: no")


def test_a_folder_in_use_or_unusable_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="not empty"):
        new(tmp_path)
    with pytest.raises(StoreError, match="cannot write the run folder"):
        new(tmp_path / "file" / "run")
    with pytest.raises(StoreError, match="no run here"):
        Store.open(tmp_path)
    (tmp_path / FILE).write_text("this is no database, however long it is " * 100)
    with pytest.raises(StoreError, match="cannot be read"):
        Store.open(tmp_path)


_CRASH = """
import os, signal, sys
from pathlib import Path
from derl_trainers.runs.store import Store
from tests.trainers.test_store import FAILED, USABLE
store = Store.create(Path(sys.argv[1]), "t", 0, {"meta": {"steps": 9}}, {})
with store.running():
    for step in range(1, 4):
        ids = store.add_proposals(step, [FAILED, USABLE])
        job = store.add_job("search", "x", 0, "g1", f"k{step}")
        store.finish_job(job, 0.5, 1.0, {})
        store.score_proposal(ids[1], "trained", job, 0.5)
    store.db.execute("BEGIN")
    store.db.execute("UPDATE proposals SET formula = 'half'")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_killed_run_keeps_all_it_committed_and_nothing_half(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", _CRASH, str(folder)], cwd=root, check=False)
    assert done.returncode == -signal.SIGKILL
    store = Store.open(folder)
    assert store.rows("PRAGMA integrity_check") == [{"integrity_check": "ok"}]
    assert [(r.step, r.mean_reward) for r in store.steps()] == [(1, -0.25), (2, -0.25), (3, -0.25)]
    assert store.rows("SELECT * FROM proposals WHERE formula = 'half'") == []
    assert store.run()["status"] == "died"


def test_a_running_run_is_shown_as_running(tmp_path: Path) -> None:
    store = new(tmp_path / "run")
    assert (store.run()["status"], store.run()["pid"]) == ("running", os.getpid())


def test_intervals_are_those_of_the_t_distribution() -> None:
    # Mean 0.5, standard deviation 0.1, t of 2 degrees of freedom 4.302653.
    assert interval([0.4, 0.5, 0.6]) == pytest.approx((0.5, 4.302653 * 0.1 / 3**0.5))
    assert interval([0.3, 0.3]) == (0.3, 0.0)
