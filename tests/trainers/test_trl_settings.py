"""Settings of TRL in meta-training: handed through untouched, mistakes told first."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("trl")

from derl_trainers.runs.executors import Event, InProcess
from derl_trainers.runs.jobs import PolicyJob
from derl_trainers.settings import run as c
from derl_trainers.tasks.arithmetic import ArithmeticSection
from tests.trainers.toys import changed, inner, placed

TASK = c.TaskSection(arithmetic=ArithmeticSection(size=40, test_size=8, warmup_size=100, terms=3))
TINY = c.TinySection(hidden_size=16, intermediate_size=16, heads=2, steps=1, batch_size=8)
INNER = c.InnerSection(steps=1, prompts=2, num_generations=4, updates=2)


def load(tmp_path: Path, text: str) -> c.RunConfig:
    path = tmp_path / "run.toml"
    path.write_text(text)
    return c.load_config(path)


def test_both_sections_are_read_as_they_are_and_survive_the_store(tmp_path: Path) -> None:
    config = load(
        tmp_path,
        "[trl]\nuse_vllm = true\nvllm_mode = 'colocate'\ndeepspeed = 'zero3.json'\n"
        "[meta.trl]\nweight_decay = 0.25\naccelerator_config = {split_batches = true}\n",
    )
    assert config.trl == {"use_vllm": True, "vllm_mode": "colocate", "deepspeed": "zero3.json"}
    assert config.meta.trl == {"weight_decay": 0.25, "accelerator_config": {"split_batches": True}}
    assert c.parse_config(config.to_json()) == config
    with pytest.raises(c.ConfigError, match=r"run.toml: trl: expected a table, not 3"):
        load(tmp_path, "trl = 3")
    with pytest.raises(c.ConfigError, match=r"expected a table, not 'x'"):
        load(tmp_path, "[meta]\ntrl = 'x'")


def test_an_inner_job_hands_them_to_trl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import derl_trainers.inner.loop as module

    given: list[Any] = []
    real = module.trainer_settings
    monkeypatch.setattr(module, "trainer_settings", lambda *a: given.append(real(*a)) or given[-1])
    executor = InProcess()
    events: list[Event] = []
    policy = PolicyJob(TASK, c.PolicySection(tiny=TINY), str(tmp_path / "policy"), 0)
    executor.submit(0, policy)
    executor.poll(events.append, block=True)
    job = inner(
        "g1 + 0.5 * g2", "derl-math", placed(policy, events[-1].result), task=TASK, inner=INNER,
        trl={"weight_decay": 0.25, "loss_type": "dr_grpo"},
    )  # fmt: skip
    executor.submit(1, job)
    executor.submit(2, changed(job, trl={"gradient_accumulation_steps": 3}))
    for _ in range(2):
        executor.poll(events.append, block=True)
    done, failed = (e for e in events if e.job and e.kind in ("done", "failed"))
    assert done.result["steps"] == 1
    assert (given[0].weight_decay, given[0].loss_type) == (0.25, "dr_grpo")
    assert "gradient accumulation 3 does not divide the 8 completions" in failed.error


def test_the_outer_loop_hands_its_own_to_trl(tmp_path: Path) -> None:
    from derl_trainers.outer.trainer import meta_settings

    config = load(tmp_path, "[meta.trl]\nweight_decay = 0.25\n[trl]\nweight_decay = 0.5\n")
    assert meta_settings(config, tmp_path, 2).weight_decay == 0.25


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[trl]\nweight_deccay = 1", "unknown key 'weight_deccay' in [trl]; did you mean 'weight"),
        ("[trl]\nmax_steps = 1", "[trl] max_steps: is set by [inner] steps here"),
        ("[trl]\nlr_scheduler_type = 'liner'", "[trl], with [inner]: "),
        ("[trl]\nnum_iterations = 2", "[trl] num_iterations: is set by [inner] updates, which"),
        ("[trl]\nloss_type = 'foo'", "[trl] loss_type: expected one of 'grpo', "),
        ("[trl]\nscale_rewards = 'grup'", "not 'grup'; did you mean 'group'?"),
        ("[trl]\nepsilon = 'abc'", "[trl] epsilon: expected float, not 'abc'"),
        ("[trl]\nmask_truncated_completions = 1", "completions: expected bool, not 1"),
        ("[trl]\nuse_vllm = true", "[trl] use_vllm: vLLM is not installed"),
        ("[meta.trl]\ngradient_accumulation_steps = 2", "accumulation_steps: is set by [meta] upd"),
        ("[meta.trl]\nlos_type = 'grpo'", "unknown key 'los_type' in [meta.trl]; did you mean"),
        ("[meta.trl]\nnum_iterations = 2", "[meta.trl] num_iterations: is set by [meta] updates"),
        ("[meta.trl]\nlr_scheduler_type = 'liner'", "[meta.trl], with [meta]: "),
    ],
)  # fmt: skip
def test_mistakes_are_told_before_a_run_is_begun(tmp_path: Path, text: str, said: str) -> None:
    from rich.console import Console

    from derl_trainers.outer.meta import meta_train
    from derl_trainers.runs.view import View

    with pytest.raises(c.ConfigError) as error:
        meta_train(load(tmp_path, text), tmp_path / "run", View(Console(quiet=True), True))
    assert said in str(error.value)
    assert not (tmp_path / "run").exists()
