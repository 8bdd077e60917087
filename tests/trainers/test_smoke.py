"""Every feature once, by the command line, with the smallest settings: it ends well and says so."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from derl_trainers.policy.tiny import build_policy
from derl_trainers.runs.store import Store
from derl_trainers.settings.sections import TinySection
from derl_trainers.tasks.arithmetic import arithmetic
from tests.trainers.test_meta import MINI, toml

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("training")]

REWARD = "exact(completion, answer) + 0.1 * boxed(completion)"
SMALL = toml(MINI)
# Over a built-in config, which has another task or policy.
TINY = [
    "task.arithmetic.size=80", "task.arithmetic.test_size=32", "task.arithmetic.warmup_size=400",
    "policy.tiny.hidden_size=32", "policy.tiny.intermediate_size=32", "policy.tiny.layers=1",
    "policy.tiny.steps=20", "inner.steps=1", "inner.prompts=2", "inner.num_generations=4",
    "inner.updates=1", "meta.hidden_size=64", "meta.cold_formulas=100", "meta.cold_steps=20",
    "meta.steps=1", "meta.formulas=4", "meta.probe=8", "final.seeds=2", "final.steps=1",
    "final.confirm=1",
]  # fmt: skip
CONFIGS = ("demo", "ablation-drop-g3", "ablation-flip-g3")
ROWS = {
    **{kind: [f"proposer.kind={kind}"] for kind in ("grpo", "frozen", "evolution", "graph-rl")},
    "graph-fit": ["proposer.kind=graph-fit", "proposer.graph.rollouts=16",
                  "proposer.graph.fit_steps=5"],
    "prompted": ["proposer.kind=prompted", "meta.model=smollm2", "meta.decoding=masked",
                 "meta.steps=1", "meta.formulas=2"],
    "start=best": ["meta.start=best"],
    "patience": ["meta.patience=1"],
    "history": ["meta.history=4"],
    "masked": ["meta.decoding=masked"],
    "mixed": ["meta.decoding=mixed"],
    "lora": ["meta.lora_rank=2", "policy.lora_rank=2"],
    "flat": ["meta.penalty=flat"],
    "average": ["meta.repeats=average"],
    "raw": ["inner.rewards=raw"],
    "inprocess": ["executor.kind=inprocess"],
    "ray": ["executor.kind=ray", "executor.workers=1"],
    "checkpoints": ["executor.save_every=1"],
    "given": ['meta.given=["g1 + g3", "g9"]'],
    "curve": ["inner.curve=1"],
    "race": ["meta.race=[1]", "inner.steps=2"],
}  # fmt: skip


def derl(folder: Path, *words: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "derl_dsl", *words],
        cwd=folder, capture_output=True, text=True, timeout=1800,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout


def sets(flags: list[str]) -> list[str]:
    return [part for flag in flags for part in ("--set", flag)]


def finished(folder: Path) -> None:
    with closing(Store.open(folder)) as store:
        assert store.run()["status"] == "finished"
        assert store.rows("SELECT 1 FROM jobs WHERE kind = 'final' AND status = 'done'")


@pytest.mark.parametrize("config", CONFIGS)
def test_configs(config: str, tmp_path: Path) -> None:
    derl(tmp_path, "meta-train", config, "--run-dir", "run", *sets(TINY))
    finished(tmp_path / "run")


@pytest.mark.parametrize("name", ROWS)
def test_settings_of_a_search(name: str, tmp_path: Path) -> None:
    (tmp_path / "mini.toml").write_text(SMALL)
    derl(tmp_path, "meta-train", "mini.toml", "--run-dir", "run", *sets(ROWS[name]))
    finished(tmp_path / "run")


def test_a_cold_start_file(tmp_path: Path, shared_data: Path) -> None:
    (tmp_path / "mini.toml").write_text(SMALL)
    file = json.dumps(str(shared_data / "derl" / "cold_start.txt"))
    flags = [f"meta.cold_file={file}", "meta.max_tokens=128"]
    derl(tmp_path, "meta-train", "mini.toml", "--run-dir", "run", *sets(flags))
    finished(tmp_path / "run")


@pytest.mark.parametrize("flags", [[], ["meta.start=best"]], ids=["base", "best"])
def test_compare(flags: list[str], tmp_path: Path) -> None:
    (tmp_path / "mini.toml").write_text(SMALL)
    said = derl(
        tmp_path, "compare", "mini.toml", "--proposers", "frozen,evolution,graph-rl",
        "--seeds", "1", "--dir", "c", *sets(flags),
    )  # fmt: skip
    assert "Cost: " in said


def test_reports_of_inner_runs_stay(tmp_path: Path) -> None:
    (tmp_path / "mini.toml").write_text(SMALL)
    flags = ["trl.report_to=tensorboard", "proposer.kind=evolution"]
    derl(tmp_path, "meta-train", "mini.toml", "--run-dir", "run", *sets(flags))
    assert list((tmp_path / "run" / "inner").rglob("events.out*"))


def rows_file(folder: Path) -> list[str]:
    rows = [json.dumps({"prompt": f"{a}+{a}=?\n", "answer": str(2 * a)}) for a in range(40)]
    (folder / "rows.jsonl").write_text("\n".join(rows[:20]))
    (folder / "test.jsonl").write_text("\n".join(rows[20:]))
    return ["--task", "rows.jsonl", "--set", "task.test=test.jsonl"]


def gsm8k_file(folder: Path) -> list[str]:
    rows = [{"question": f"{a}+1=?", "answer": f"so #### {a + 1}"} for a in range(20)]
    (folder / "g.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return ["--task", "gsm8k", "--data", "g.jsonl", "--set", "task.template={prompt}\\n"]


def math_folder(folder: Path) -> list[str]:
    """The published layout: seven subjects, a file a problem, five levels."""
    subjects = ("algebra", "counting_and_probability", "geometry", "intermediate_algebra",
                "number_theory", "prealgebra", "precalculus")  # fmt: skip
    for part in ("train", "test"):
        for k, subject in enumerate(subjects):
            for level in range(1, 6):
                file = folder / "MATH" / part / subject / f"{level}.json"
                file.parent.mkdir(parents=True, exist_ok=True)
                asked = f"{k}+{level}{'=' if part == 'train' else '-0='}?"
                row = {"problem": asked, "level": f"Level {level}", "type": subject,
                       "solution": f"It is $\\boxed{{{k + level}}}$."}  # fmt: skip
                file.write_text(json.dumps(row))
    return ["--task", "math", "--data", "MATH/train", "--test", "MATH/test",
            "--set", "task.template={prompt}\\n"]  # fmt: skip


@pytest.mark.parametrize("make", [rows_file, gsm8k_file, math_folder])
@pytest.mark.parametrize("more", [[], ["policy.lora_rank=2"]], ids=["whole", "lora"])
def test_train(make: Callable[[Path], list[str]], more: list[str], tmp_path: Path) -> None:
    task = arithmetic(size=80, test_size=16, warmup_size=400, terms=3)
    tiny = TinySection(hidden_size=32, intermediate_size=64, heads=2, steps=5)
    policy = build_policy(task, tiny, tmp_path)
    small = ["inner.prompts=2", "inner.num_generations=4", "inner.updates=1", *more]
    final = ["split=final"] if make is math_folder else []
    derl(
        tmp_path, "train", "-e", REWARD, "--suite", "math",
        "--policy", str(policy), "--steps", "1", "--out", "out", *make(tmp_path),
        *sets([*small, *final]),
    )  # fmt: skip
    found = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert found["steps"] == 1
    if make is math_folder:
        assert found["task"] == {"name": "math", "split": "final", "train": 35, "scored": 35,
                                 "left_out": 0}  # fmt: skip
