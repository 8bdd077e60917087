"""What a run hands over: its trained model, its best formulas; transfer."""

import json
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from benchmarks.evidence import transfer as evidence
from derl_trainers.outer.compare import Outcome
from derl_trainers.outer.inherit import best, cold_model, inherited, trained_model
from derl_trainers.outer.transfer import reached
from derl_trainers.reading import as_toml
from derl_trainers.runs.store import Store, StoreError
from derl_trainers.settings.run import parse_config
from tests.trainers.test_meta import MINI, toml

pytestmark = pytest.mark.xdist_group("training")


def command(folder: Path, *words: str, rc: int = 0) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "derl_dsl", *words],
        cwd=folder, capture_output=True, text=True, timeout=900,
    )  # fmt: skip
    assert done.returncode == rc, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_a_config_survives_toml(tmp_path: Path) -> None:
    config = parse_config({**MINI, "meta": {**MINI["meta"], "given": ["g1 + g2"]},
                           "trl": {"lr_scheduler_kwargs": {"a b": 1.5}}})  # fmt: skip
    (tmp_path / "c.toml").write_text(as_toml(config.to_json()))
    from derl_trainers.settings.run import load_config

    assert load_config(str(tmp_path / "c.toml")) == config


@pytest.mark.slow
def test_a_run_hands_over_what_it_learnt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mini.toml").write_text(toml({**MINI, "executor": {"kind": "inprocess"}}))
    command(tmp_path, "meta-train", "mini.toml", "--run-dir", "first")
    first = tmp_path / "first"
    assert trained_model(first) != cold_model(first)
    words = inherited(first)
    assert words[0] == f"meta.origin={json.dumps(str(first / 'meta' / 'trained'))}"
    said = command(tmp_path, "meta-train", "mini.toml", "--from", "first", "--run-dir", "second")
    assert "Outer step 0" in said
    with closing(Store.open(tmp_path / "second")) as store:
        given = store.rows("SELECT formula, status, meta_reward FROM proposals WHERE step = 0")
        assert [row["formula"] for row in given] == best(first, 8)
        assert all(row["meta_reward"] is not None for row in given)
        assert store.steps_scored() == 2
        # Nothing was taught again: what the first run trained is what this one began with.
        origin = json.loads((tmp_path / "second" / "meta" / "trained" / "origin.json").read_text())
        begun = (tmp_path / "second" / origin["cold_started"] / "model.safetensors").read_bytes()
    assert begun == (first / "meta" / "trained" / "model.safetensors").read_bytes()
    said = command(
        tmp_path, "transfer", "first", "--seeds", "2", "--formulas", "2", "--dir", "moved",
        "--set", "task.arithmetic.terms=3",
    )  # fmt: skip
    assert "2 of 2" in said.split("formulas")[-1]  # the level is a score of this arm
    monkeypatch.setattr(evidence, "TARGETS", {"shorter": ("task.arithmetic.terms=3",)})
    monkeypatch.setattr(evidence, "STEPS", 1)
    rows = evidence.run_target(first, 0, "shorter", tmp_path / "evidence")
    assert [row["arm"] for row in rows] == ["cold", "trained", "formulas"]
    assert {(row["source"], row["seed"]) for row in rows} == {(0, evidence.AWAY)}
    assert rows[-1]["reached"]
    # Once more, from its stores.
    assert rows == evidence.run_target(first, 0, "shorter", tmp_path / "evidence")
    assert "no trained meta-optimizer" in command(
        tmp_path, "transfer", "moved/cold-0", "--dir", "again", rc=2
    )


def outcome(seed: int, bests: list[float], scores: dict[str, float] | None = None) -> Outcome:
    points = tuple((k, 10 * k, 1.0 * k, b) for k, b in enumerate(bests))
    return Outcome("frozen", seed, (0.5,), (0.1,), "g1", 0.5, {}, 1, 0, 1.0, ledger=points,
                   scores=scores or {})  # fmt: skip


def test_the_level_is_what_the_best_formula_scores_there() -> None:
    found = [
        ("cold", outcome(3, [0.1, 0.2, 0.3, 0.3])),
        ("trained", outcome(3, [0.1, 0.2, 0.6])),
        ("formulas", outcome(3, [0.1, 0.5, 0.5, 0.7], {"g1 + g3": 0.5, "g1": 0.4})),
        ("cold", outcome(4, [0.1, 0.2])),  # its other arms are not complete
    ]
    rows = {row.arm: row for row in reached(found, "g1 + g3")}
    assert {row.level for row in rows.values()} == {0.5}
    assert rows["cold"].paid is None
    assert [rows[arm].paid.runs for arm in ("trained", "formulas")] == [2, 1]  # type: ignore[union-attr]
    assert [rows[arm].area for arm in ("cold", "trained", "formulas")] == [0.25, 0.4, 0.5]


def test_a_run_without_a_trained_model_is_told(tmp_path: Path) -> None:
    Store.create(tmp_path / "run", "n", 0, {"meta": {"steps": 1}}, {}).close()
    with pytest.raises(StoreError, match="no trained meta-optimizer"):
        inherited(tmp_path / "run")
    with pytest.raises(StoreError, match="no run here"):
        inherited(tmp_path)
