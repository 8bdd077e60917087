"""Teaching a policy a task's own solutions, before any reward."""

import json
from pathlib import Path

import pytest
import torch
from transformers import MixtralConfig, MixtralForCausalLM
from trl import SFTTrainer

from derl_trainers.policy import teach as teaching
from derl_trainers.policy.loading import load_model, small_llama
from derl_trainers.policy.teach import RECORD, Lessons, teach
from derl_trainers.policy.tiny import build_policy, build_tokenizer
from derl_trainers.settings.sections import PolicySection, TinySection
from derl_trainers.tasks.base import TaskError
from derl_trainers.tasks.table import TaskSection

pytestmark = pytest.mark.xdist_group("training")


def lines(tmp_path: Path, rows: list[dict[str, str]]) -> TaskSection:
    data = tmp_path / "data.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return TaskSection(name="gsm8k", data=str(data), template="{prompt}\n")


def sums() -> list[dict[str, str]]:
    return [
        {"question": f"What is {a} plus {b}?",
         "answer": f"It is {a}+{b}=<<{a}+{b}={a + b}>>{a + b}.\n#### {a + b}"}
        for a in range(8) for b in range(4)
    ]  # fmt: skip


def test_a_policy_is_taught_by_solutions_alone(tmp_path: Path) -> None:
    task = lines(tmp_path, sums())
    (example, *_) = task.load().train
    assert example.solution.endswith(f"{example.answer}.\n\\boxed{{{example.answer}}}")
    assert "<<" not in example.solution
    gym = TaskSection(name="reasoning-gym")
    plain = gym.reasoning_gym.__class__(size=20, test_size=10, warmup_size=20).load()
    start = build_policy(plain, TinySection(hidden_size=64, heads=2, steps=2), tmp_path)
    policy = PolicySection(model=str(start))
    seen: list[float] = []
    lessons = Lessons(steps=30, batch=8, learning_rate=3e-3, seed=0)
    out = tmp_path / "taught"
    assert teach(task, policy, lessons, out, lambda *a: seen.append(a[2]["loss"]))
    assert sum(seen[-3:]) / 3 < 0.6 * sum(seen[:3]) / 3
    record = json.loads((out / RECORD).read_text())
    assert (record["problems"], len(record["losses"])) == (len(task.load().train), 30)
    load_model(out)
    assert not teach(task, policy, lessons, out)  # equal lessons: there already
    with pytest.raises(TaskError, match="holds something else"):
        teach(task, policy, Lessons(31, 8, 3e-3, 0), out)
    with pytest.raises(TaskError, match="0 training problems with a solution"):
        teach(TaskSection(), policy, lessons, tmp_path / "other")


def losses(task: TaskSection, policy: PolicySection, out: Path) -> list[float]:
    seen: list[float] = []
    lessons = Lessons(steps=4, batch=8, learning_rate=3e-3, seed=0)
    assert teach(task, policy, lessons, out, lambda *a: seen.append(a[2]["loss"]))
    return seen


def mixture(tmp_path: Path, balanced: bool) -> PolicySection:
    """A small mixture of experts, which pays for uneven use of them if `balanced`."""
    tokenizer = build_tokenizer(plain=True)
    torch.manual_seed(0)
    config = MixtralConfig(
        vocab_size=len(tokenizer), hidden_size=32, intermediate_size=32, num_hidden_layers=2,
        num_attention_heads=2, num_key_value_heads=2, num_local_experts=4, num_experts_per_tok=2,
        max_position_embeddings=256, output_router_logits=balanced,
        pad_token_id=tokenizer.pad_token_id, eos_token_id=tokenizer.eos_token_id,
    )  # fmt: skip
    MixtralForCausalLM(config).save_pretrained(tmp_path / "mixture")
    tokenizer.save_pretrained(tmp_path / "mixture")
    return PolicySection(model=str(tmp_path / "mixture"))


def dense(tmp_path: Path) -> PolicySection:
    tokenizer = build_tokenizer(plain=True)
    torch.manual_seed(0)
    small_llama(tokenizer, 32, 32, 2, 2, 256).save_pretrained(tmp_path / "dense")
    tokenizer.save_pretrained(tmp_path / "dense")
    return PolicySection(model=str(tmp_path / "dense"))


POLICIES = {
    "dense": dense,
    "experts": lambda folder: mixture(folder, False),
    "experts, balanced": lambda folder: mixture(folder, True),
}


@pytest.mark.parametrize("kind", POLICIES)
def test_the_loss_on_a_cpu_is_that_of_trl(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy, task = POLICIES[kind](tmp_path), lines(tmp_path, sums())
    ours = losses(task, policy, tmp_path / "ours")
    monkeypatch.setattr(teaching, "_Trainer", SFTTrainer)
    assert ours == pytest.approx(losses(task, policy, tmp_path / "theirs"), rel=1e-4)


def test_a_problem_without_text_is_refused_before_anything_is_taught(tmp_path: Path) -> None:
    task = lines(tmp_path, [*sums(), {**sums()[0], "question": " "}])
    with pytest.raises(TaskError, match=r"data\.jsonl:33: 'question' is no text"):
        losses(task, dense(tmp_path), tmp_path / "out")
    assert not (tmp_path / "out").exists()
