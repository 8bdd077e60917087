"""The outer loop with real, small pieces: what is trained, what is served, what the store says."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from derl_trainers.runs.executors import InProcess
from derl_trainers.runs.store import Store, StoreError
from derl_trainers.runs.view import View
from derl_trainers.settings.run import RunConfig, load_config, parse_config

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
def policy(tmp_path_factory: pytest.TempPathFactory) -> str:
    from derl_trainers.runs.jobs import PolicyJob

    config = parse_config(MINI)
    job = PolicyJob(config.task, config.policy, str(tmp_path_factory.mktemp("policy")), 0)
    return str(job.run(lambda *_: None)["path"])


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with closing(Store.create(tmp_path / "run", "t", 0, MINI, "0")) as found:
        yield found


def meta_reward(store: Store, policy: str, config: RunConfig | None = None) -> Any:
    from derl_trainers.outer.reward import MetaReward
    from derl_trainers.runs.runner import Runner

    runner = Runner(store, InProcess(), View(Console(file=StringIO())))
    return MetaReward(config or parse_config(MINI), runner, policy, store.path.parent)


def test_equal_rewards_are_trained_once_and_failures_stay_in_the_group(
    store: Store, policy: str
) -> None:
    reward = meta_reward(store, policy)
    first = reward(["g1 + g9", "g1 + 0.5 * g3", "2 * g1 + g3 + 7\n", "(g1", "g1 + 0.5*g3", "g4"])
    assert first[0] == -0.8
    assert first[3] == -1.0
    assert first[1] == first[2] == first[4]
    assert 0 <= first[1] <= 1
    statuses = [r["status"] for r in store.rows("SELECT status FROM proposals ORDER BY idx")]
    assert statuses == ["failed", "trained", "reused", "failed", "reused", "trained"]
    # The next step knows what this one trained.
    second = reward(["0.5 * g3 + g1", "3 * g4", "g2"])
    assert second[:2] == [first[1], first[5]]
    assert store.rows("SELECT COUNT(*) AS n FROM jobs") == [{"n": 3}]
    row = store.rows("SELECT job, status FROM proposals WHERE step = 2 AND idx = 0")[0]
    origin = store.rows("SELECT job FROM proposals WHERE step = 1 AND idx = 1")[0]
    assert (row["job"], row["status"]) == (origin["job"], "reused")
    key = store.rows("SELECT DISTINCT key FROM proposals WHERE job = ?", (row["job"],))
    assert len(key) == 1


def test_a_formula_equal_to_a_baseline_is_served_from_it(store: Store, policy: str) -> None:
    from derl_trainers.outer.meta import baselines

    reward = meta_reward(store, policy)
    reward.train_baselines(baselines("derl-math"))
    reward(["2 * g1", "g1 + g2 + g3 + g4"])
    rows = store.rows(
        "SELECT p.status, j.kind, j.label FROM proposals AS p JOIN jobs AS j ON j.id = p.job"
    )
    assert rows == [
        {"status": "reused", "kind": "baseline", "label": "outcome only"},
        {"status": "reused", "kind": "baseline", "label": "mean of primitives"},
    ]


def test_a_broken_run_is_neither_praised_nor_blamed(
    store: Store, policy: str, tmp_path: Path
) -> None:
    from derl_trainers.runs.runner import JobFailed

    reward = meta_reward(store, policy)
    good = reward(["g1", "g1 + g9"])
    # By its name it is the same policy still, whose scores are known.
    reward.policy = str(tmp_path / "nowhere" / Path(policy).name)
    assert reward(["g4", "g1", "g1 + g9"]) == [sum(good) / 2, *good]
    row = store.rows("SELECT * FROM proposals WHERE step = 2 AND idx = 0")[0]
    assert (row["status"], row["meta_reward"]) == ("faulted", None)
    job = store.rows("SELECT status, error FROM jobs WHERE id = ?", (row["job"],))[0]
    assert job["status"] == "failed"
    assert "nowhere" in job["error"]
    with pytest.raises(JobFailed, match="every inner run of the step broke"):
        reward(["g2", "g3"])
    # What broke was not remembered as a score: it is trained once the policy is there again.
    reward.policy = policy
    assert reward(["g4"])[0] >= 0


def test_flat_penalty(store: Store, policy: str) -> None:
    config = parse_config(MINI)
    config = replace(config, meta=replace(config.meta, penalty="flat"))
    assert meta_reward(store, policy, config)(["g1 + g9", "g1 / (g3 - g4)"]) == [-1.0, -1.0]


def test_completions_of_a_chat_model_are_read(store: Store, policy: str) -> None:
    reward = meta_reward(store, policy)
    chat = [[{"role": "assistant", "content": "```python\n\ng1 + g9\n```\nThat is it."}]]
    assert reward(chat) == [-0.8]
    row = store.rows("SELECT formula, completion FROM proposals")[0]
    assert row == {"formula": "g1 + g9", "completion": chat[0][0]["content"]}


def test_baselines_of_the_suites_compile() -> None:
    import derl_dsl
    from derl_trainers.outer.meta import baselines

    assert baselines("derl-math") == {
        "outcome only": "g1",
        "outcome + format": "(g1 + g2) / 2",
        "mean of primitives": "(g1 + g2 + g3 + g4) / 4",
    }
    for formula in baselines("math").values():
        assert derl_dsl.compile(formula, suite="math").certificate.outcome_monotone


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
    for name in ("meta/cold-0", "meta/trained"):
        assert AutoModelForCausalLM.from_pretrained(folder / name).num_parameters() > 0
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
