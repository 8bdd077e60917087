"""The outer loop with real, small pieces: what is trained, what is served, what the store says."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from derl_trainers.runs.store import Store, StoreError
from derl_trainers.settings.run import load_config

pytestmark = pytest.mark.xdist_group("training")

MINI: dict[str, Any] = {
    "name": "mini",
    "task": {"arithmetic": {"size": 80, "test_size": 32, "warmup_size": 400}},
    "policy": {"tiny": {"hidden_size": 32, "intermediate_size": 32, "layers": 1, "steps": 20}},
    "inner": {"steps": 2, "prompts": 2, "num_generations": 4, "updates": 1},
    "meta": {
        "hidden_size": 64, "cold_formulas": 200, "cold_steps": 60, "cold_valid": 0.3,
        "steps": 2, "formulas": 6, "probe": 16,
    },
    "final": {"seeds": 2, "steps": 1},
}  # fmt: skip


def toml(values: dict[str, Any], within: str = "") -> str:
    plain = "".join(f"{k} = {json.dumps(v)}\n" for k, v in values.items() if type(v) is not dict)
    tables = {f"{within}{k}": v for k, v in values.items() if type(v) is dict}
    return plain + "".join(f"[{k}]\n{toml(v, k + '.')}" for k, v in tables.items())


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A whole run by the command line, with two worker processes: its folder and its output."""
    folder = tmp_path_factory.mktemp("whole")
    (folder / "mini.toml").write_text(toml(MINI))
    command = [sys.executable, "-m", "derl_dsl", "meta-train", "mini.toml", "--run-dir", "run"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return folder / "run", done.stdout


def test_a_whole_run_explains_its_tables(finished: tuple[Path, str]) -> None:
    folder, output = finished
    with closing(Store.open(folder)) as store:
        assert store.run()["status"] == "finished"
        proposals = store.rows("SELECT * FROM proposals ORDER BY step, idx")
        assert [(p["step"], p["idx"]) for p in proposals] == [
            (s, i) for s in (1, 2) for i in range(6)
        ]
        jobs = {j["id"]: j for j in store.rows("SELECT * FROM jobs")}
        for p in proposals:
            if p["status"] == "failed":
                assert p["meta_reward"] < 0
                assert json.loads(p["diagnostics"])
                continue
            job = jobs[p["job"]]
            assert p["key"] == job["key"]
            assert p["meta_reward"] == job["pass_at_1"] == json.loads(job["result"])["pass_at_1"]
        trained = [p["key"] for p in proposals if p["status"] == "trained"]
        assert len(trained) == len(set(trained))
        for row in store.steps():
            rewards = [p["meta_reward"] for p in proposals if p["step"] == row.step]
            assert row.mean_reward == pytest.approx(sum(rewards) / 6)
            assert f"{row.share_valid:.0%}" in output
            assert f"{row.mean_reward:.3f}" in output
        assert [u["step"] for u in store.rows("SELECT step FROM updates ORDER BY step")] == [1, 2]
        probes = store.rows("SELECT step FROM probes ORDER BY step")
        assert [probe["step"] for probe in probes] == [-1, 0, 2]


def test_the_final_comparison_is_paired_and_from_the_store(finished: tuple[Path, str]) -> None:
    from derl_trainers.runs.store.comparison import comparison

    folder, output = finished
    with closing(Store.open(folder)) as store:
        rows = {row.label: row for row in comparison(store)}
        best, confirmed = store.best(), store.confirmed()
        seeds = store.rows(
            "SELECT label, group_concat(seed) AS seeds FROM jobs WHERE kind = 'final'"
            " AND label != 'start policy' GROUP BY label"
        )
        problems = store.rows("SELECT DISTINCT json_extract(result, '$.problems') AS n FROM jobs"
                              " WHERE kind = 'final' AND n IS NOT NULL")  # fmt: skip
    assert {tuple(sorted(row["seeds"].split(","))) for row in seeds} == {("1000", "1001")}
    assert problems == [{"n": 32}]
    wanted = {"outcome only", "outcome + format", "mean of primitives", "start policy"}
    assert set(rows) - {"best formula"} == wanted
    assert (best is None) == ("best formula" not in rows)
    if best is not None:
        assert rows["best formula"].formula == best["formula"]
        chosen = next(c for c in confirmed if c.key == best["key"])
        assert (len(chosen.scores), chosen.mean) == (3, pytest.approx(best["pass_at_1"]))
        assert all(c.mean <= chosen.mean for c in confirmed)
        assert "Confirmation  validation pass@1" in output
    outcome, mean = rows["outcome only"], rows["mean of primitives"]
    pairs = [a - b for a, b in zip(mean.scores, outcome.scores, strict=True)]
    assert mean.difference == pytest.approx(sum(pairs) / 2)
    for row in rows.values():
        assert f"{row.mean:.3f}" in output
    assert max(len(line) for line in output.splitlines() if "formula" in line) <= 100


def test_the_run_leaves_its_models(finished: tuple[Path, str]) -> None:
    from transformers import AutoModelForCausalLM

    folder, _ = finished
    (cold,) = (folder / "meta").glob("cold-*")
    for path in (cold, folder / "meta" / "trained"):
        assert AutoModelForCausalLM.from_pretrained(path).num_parameters() > 0
    assert len(list((folder / "policy").iterdir())) == 1


def test_runs_lists_and_shows_it(finished: tuple[Path, str]) -> None:
    folder, output = finished

    def show(*arguments: str) -> str:
        command = [sys.executable, "-m", "derl_dsl", "runs", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        return done.stdout

    listed = show(str(folder.parent))
    assert "finished" in listed
    assert "2/2" in listed
    shown = show("show", str(folder))
    # The same lines again, from the store alone.
    for line in output.splitlines():
        if line.startswith("  #") or "outcome only" in line:
            assert line in shown


def test_ctrl_c_ends_everything_and_keeps_what_was_done(tmp_path: Path) -> None:
    values = {**MINI, "inner": {**MINI["inner"], "steps": 500}}
    (tmp_path / "mini.toml").write_text(toml(values))
    command = [sys.executable, "-m", "derl_dsl", "meta-train", "mini.toml", "--run-dir", "run"]
    with subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        start_new_session=True, preexec_fn=_heed_interrupts,
    ) as process:  # fmt: skip
        workers = _wait_for_workers(tmp_path / "run")
        os.killpg(process.pid, signal.SIGINT)
        _, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert errors.splitlines() == [
        "derl-dsl: interrupted; what was done is in run",
        "go on with it: derl-dsl meta-train --resume run",
    ]
    with closing(Store.open(tmp_path / "run")) as store:
        assert store.run()["status"] == "interrupted"
        statuses = store.rows("SELECT status FROM jobs WHERE kind = 'baseline'")
        assert {row["status"] for row in statuses} == {"done", "interrupted"}
        assert store.rows("PRAGMA integrity_check") == [{"integrity_check": "ok"}]
    for pid in workers:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def _heed_interrupts() -> None:
    """A child of a background job would inherit that Ctrl-C is ignored."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def _wait_for_workers(folder: Path) -> list[int]:
    """The process ids of the workers, once both train a baseline."""
    end = time.monotonic() + 120
    while time.monotonic() < end:
        # Not there yet, or just being made.
        with contextlib.suppress(StoreError), closing(Store.open(folder)) as store:
            found = store.rows(
                "SELECT worker FROM jobs WHERE kind = 'baseline' AND status = 'running'"
            )
            if len(found) == 2:
                return [row["worker"] for row in found]
        time.sleep(0.2)
    raise AssertionError("no baseline is running")


@pytest.mark.slow
def test_smollm2_takes_one_outer_step(tmp_path: Path) -> None:
    config = load_config("smollm2").to_json()
    meta = {**config["meta"], "steps": 1, "formulas": 4, "cold_steps": 2, "probe": 4}
    values = {**config, **MINI, "name": "smollm2", "meta": meta}
    (tmp_path / "smoke.toml").write_text(toml(values))
    command = [sys.executable, "-m", "derl_dsl", "meta-train", "smoke.toml", "--run-dir", "run"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=1800)
    assert done.returncode == 0, done.stderr
    with closing(Store.open(tmp_path / "run")) as store:
        assert len(store.rows("SELECT * FROM proposals")) == 4
        assert store.run()["status"] == "finished"
