"""How a trained policy is scored and saved: by the engine that sampled, and whole where it is cut.

Under FSDP or ZeRO-3 each process holds a part of every weight. Such a policy answers, and is saved,
with its weights gathered; all processes take part in that.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from transformers import PreTrainedModel, PreTrainedTokenizerBase
from trl import GRPOTrainer
from trl.models import unwrap_model_for_generation

from derl_trainers.inner.agents import AgentTrainer
from derl_trainers.inner.players import solved
from derl_trainers.policy.answers import answered_right, greedy_right
from derl_trainers.policy.lora import merged
from derl_trainers.settings.sections import Training
from derl_trainers.tasks.base import Example, Scorer


def sharded(trainer: GRPOTrainer) -> bool:
    """Whether no process has the whole policy."""
    return bool(trainer.is_fsdp_enabled or trainer.is_deepspeed_enabled)


def right(
    trainer: GRPOTrainer,
    tokenizer: PreTrainedTokenizerBase,
    examples: Sequence[Example],
    scorer: Scorer,
    training: Training,
) -> tuple[bool, ...]:
    """Which examples the policy's greedy answer gets right, in their order."""
    if trainer.use_vllm:
        found = answered_right(_by_vllm(trainer, training), tokenizer, examples, scorer, training)
        return tuple(found.tolist())
    with whole(trainer) as policy:
        if isinstance(trainer, AgentTrainer):
            return tuple(solved(trainer.players, policy, examples)[0].tolist())
        return tuple(greedy_right(policy, tokenizer, examples, scorer, training).tolist())


def _by_vllm(trainer: GRPOTrainer, training: Training) -> Any:
    """Greedy completions from vLLM, which has the weights of the last step when it is told of them.

    As much is asked at once as vLLM likes: it batches by itself.
    """

    def complete(prompts: list[list[int]]) -> list[list[int]]:
        engine = trainer.vllm_generation
        before = engine.temperature
        engine.temperature = 0.0
        try:
            engine.sync_weights()
            _, completions, *_ = engine.generate(prompts=prompts, images=None, num_generations=1)
        finally:
            engine.temperature = before
        return [list(ids) for ids in completions]

    return complete


@contextmanager
def whole(trainer: GRPOTrainer) -> Iterator[PreTrainedModel]:
    """The policy as a plain model that can answer, its weights gathered where they are cut."""
    if not sharded(trainer):
        yield trainer.accelerator.unwrap_model(trainer.model)
        return
    with (
        unwrap_model_for_generation(trainer.model_wrapped, trainer.accelerator) as policy,
        trainer._dist.summon_full_params(trainer.model_wrapped, recurse=False),
    ):
        yield policy


def save(trainer: GRPOTrainer, tokenizer: PreTrainedTokenizerBase, folder: str | Path) -> None:
    """Save the policy as a checkpoint that plain transformers loads; every process calls it.

    Raises ValueError for adapters on a policy that is cut: they cannot be merged into its parts.
    """
    policy = trainer.accelerator.unwrap_model(trainer.model)
    if not sharded(trainer):
        if trainer.is_world_process_zero():
            merged(policy).save_pretrained(folder)
            tokenizer.save_pretrained(folder)
        return
    if hasattr(policy, "merge_and_unload"):
        raise ValueError(
            "LoRA under FSDP or ZeRO-3 cannot be merged: train all weights, or use DDP"
        )
    state = trainer.accelerator.get_state_dict(trainer.model_wrapped)
    if trainer.is_world_process_zero():
        policy.save_pretrained(folder, state_dict=state)
        tokenizer.save_pretrained(folder)
