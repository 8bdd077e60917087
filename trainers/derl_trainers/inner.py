"""The inner loop: TRL's GRPOTrainer with a reward gives a policy and its validation pass@1."""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    PrinterCallback,
    TrainerCallback,
)
from trl import GRPOConfig, GRPOTrainer

from derl_primitives.correctness import exact
from derl_runtime.faults import FaultLog, FaultTotal
from derl_trainers.quiet import quiet
from derl_trainers.tasks import Example

Reward = Callable[..., Sequence[float | None]]
Progress = Callable[[int, int, dict[str, float]], None]


class RewardFault(RuntimeError):
    """A reward that cannot be trained on: it raised, or it scored no completion of a batch."""


@dataclass(frozen=True, slots=True)
class InnerConfig:
    """One GRPO run: every `steps` is one sampling of `prompts x num_generations` completions.

    The sampled batch is used for `updates` optimizer steps on a part of it each.
    """

    steps: int = 24
    prompts: int = 16
    num_generations: int = 8
    updates: int = 4
    learning_rate: float = 5e-5
    max_completion_length: int = 32
    temperature: float = 1.0
    beta: float = 0.0
    seed: int = 0
    eval_batch_size: int = 512

    @property
    def completions(self) -> int:
        """Completions sampled in one step."""
        return self.prompts * self.num_generations


@dataclass(frozen=True, slots=True)
class StepRecord:
    """What one sampling step saw: reward mean, std, share of groups with no spread, components."""

    step: int
    reward_mean: float
    reward_std: float
    zero_std_share: float
    completion_length: float
    components: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class InnerResult:
    """Outcome of one inner run; times in seconds, `overhead_seconds` is what none of the rest is.

    `pass_at_1` is greedy on the validation examples. `policy_path` is set when it was saved.
    `faults` is what went wrong in the inputs of the reward, by input and class.
    """

    pass_at_1: float
    steps: int
    seconds: float
    generate_seconds: float
    reward_seconds: float
    update_seconds: float
    eval_seconds: float
    history: tuple[StepRecord, ...]
    policy_path: Path | None = None
    faults: tuple[FaultTotal, ...] = ()

    @property
    def overhead_seconds(self) -> float:
        """Loading, trainer set-up, batching and logging."""
        known = self.generate_seconds + self.reward_seconds
        return self.seconds - known - self.update_seconds - self.eval_seconds


def train_inner(
    reward: Reward,
    policy_path: str | Path,
    task_train: Sequence[Example],
    validation: Sequence[Example],
    config: InnerConfig,
    seed: int | None = None,
    output_dir: str | Path | None = None,
    progress: Progress | None = None,
) -> InnerResult:
    """Train the policy at `policy_path` with `reward` and report greedy pass@1 on `validation`.

    `reward` follows the TRL protocol: `reward(prompts=, completions=, completion_ids=, **columns)`
    gives one `float | None` a completion, and the gold answers come as column `answer`. The policy
    is saved, in transformers' format, only to a given `output_dir`. Raises RewardFault when the
    reward raises, gives a wrong number of scores, a score that is not finite, or only None.
    """
    start = time.perf_counter()
    seed = config.seed if seed is None else seed
    timer = _TimedReward(reward)
    with quiet(), tempfile.TemporaryDirectory(prefix="derl-inner-") as scratch:
        tokenizer = AutoTokenizer.from_pretrained(policy_path, padding_side="left")
        model = AutoModelForCausalLM.from_pretrained(policy_path, dtype=torch.float32)
        recorder = _Recorder(config, progress)
        trainer = _Trainer(
            model=model,
            reward_funcs=timer,
            args=_grpo_config(config, seed, scratch),
            train_dataset=Dataset.from_list(
                [{"prompt": e.prompt, "answer": e.answer} for e in task_train]
            ),
            processing_class=tokenizer,
            callbacks=[recorder],
        )
        trainer.remove_callback(PrinterCallback)
        updating = time.perf_counter()
        trainer.train()
        training_seconds = time.perf_counter() - updating
        evaluating = time.perf_counter()
        pass_at_1 = greedy_pass_at_1(
            model, tokenizer, validation, config.eval_batch_size, config.max_completion_length
        )
        eval_seconds = time.perf_counter() - evaluating
        if output_dir is not None:
            model.save_pretrained(output_dir)
            tokenizer.save_pretrained(output_dir)
    faults = getattr(reward, "faults", None)
    return InnerResult(
        pass_at_1=pass_at_1,
        steps=config.steps,
        seconds=time.perf_counter() - start,
        generate_seconds=trainer.generate_seconds,
        reward_seconds=timer.seconds,
        update_seconds=training_seconds - trainer.generate_seconds - timer.seconds,
        eval_seconds=eval_seconds,
        history=tuple(recorder.history),
        policy_path=None if output_dir is None else Path(output_dir),
        faults=faults.totals if isinstance(faults, FaultLog) else (),
    )


def _grpo_config(config: InnerConfig, seed: int, scratch: str) -> GRPOConfig:
    """TRL's settings for a small policy on a CPU: no checkpoints, no reports, no progress bar."""
    if config.completions % config.updates:
        raise ValueError(
            f"updates={config.updates} does not divide the {config.completions} completions a step"
        )
    return GRPOConfig(
        output_dir=scratch,
        max_steps=config.steps * config.updates,
        per_device_train_batch_size=config.completions // config.updates,
        steps_per_generation=config.updates,
        num_generations=config.num_generations,
        max_completion_length=config.max_completion_length,
        temperature=config.temperature,
        learning_rate=config.learning_rate,
        lr_scheduler_type="constant",
        beta=config.beta,
        seed=seed,
        data_seed=seed,
        # On by default, and it garbles `generate` on a small model left in train mode.
        gradient_checkpointing=False,
        logging_strategy="steps",
        logging_steps=config.updates,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        bf16=False,
        use_cpu=not torch.cuda.is_available(),
        dataloader_pin_memory=False,
    )


@torch.inference_mode()
def greedy_pass_at_1(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    examples: Sequence[Example],
    batch_size: int = 512,
    max_new_tokens: int = 32,
) -> float:
    """Share of `examples` whose greedy completion is exactly right; leaves the mode as it was.

    Raises ValueError without examples.
    """
    if not examples:
        raise ValueError("pass@1 needs at least one example")
    right = 0
    was_training = model.training
    model.eval()
    try:
        for start in range(0, len(examples), batch_size):
            part = examples[start : start + batch_size]
            completions = _greedy(model, tokenizer, part, max_new_tokens)
            verdicts = exact(completion=completions, answer=[example.answer for example in part])
            right += int(verdicts.sum())
    finally:
        model.train(was_training)
    return right / len(examples)


def _greedy(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    examples: Sequence[Example],
    max_new_tokens: int,
) -> list[str]:
    """Greedy completions of one left-padded batch."""
    batch = tokenizer(
        [example.prompt for example in examples],
        padding=True,
        padding_side="left",
        return_tensors="pt",
        return_token_type_ids=False,
    ).to(model.device)
    tokens = model.generate(
        **batch,
        do_sample=False,
        use_cache=True,
        max_new_tokens=max_new_tokens,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    new = tokens[:, batch["input_ids"].shape[1] :]
    texts: list[str] = tokenizer.batch_decode(new, skip_special_tokens=True)
    return texts


class _Trainer(GRPOTrainer):  # type: ignore[misc]
    """GRPOTrainer that knows how long it sampled, and passes a reward's fault on unharmed."""

    generate_seconds = 0.0

    def _generate_single_turn(self, *args: Any, **kwargs: Any) -> Any:
        start = time.perf_counter()
        try:
            return super()._generate_single_turn(*args, **kwargs)
        finally:
            self.generate_seconds += time.perf_counter() - start


class _TimedReward:
    """A reward as TRL sees it: timed, its faults made clear."""

    def __init__(self, reward: Reward) -> None:
        self.reward = reward
        self.seconds = 0.0
        self.__name__ = getattr(reward, "__name__", type(reward).__name__)

    def __call__(self, **columns: Any) -> list[float | None]:
        start = time.perf_counter()
        try:
            scores = list(self.reward(**columns))
        except Exception as error:
            raise RewardFault(f"reward {self.__name__} raised {error!r}") from error
        finally:
            self.seconds += time.perf_counter() - start
        self._check(scores, len(columns["completions"]))
        return scores

    def _check(self, scores: list[float | None], count: int) -> None:
        """Raise RewardFault unless there is one finite score or None a completion, not all None."""
        if len(scores) != count:
            raise RewardFault(
                f"reward {self.__name__} gave {len(scores)} scores for {count} completions"
            )
        known = [score for score in scores if score is not None]
        if not known:
            raise RewardFault(
                f"reward {self.__name__} gave None (not applicable) for all {count} completions: "
                "there is nothing to learn from"
            )
        # TRL reads NaN as None: a NaN would pass for "not applicable" without a word.
        bad = [score for score in known if not math.isfinite(score)]
        if bad:
            raise RewardFault(f"reward {self.__name__} gave {bad[0]} for {len(bad)} completions")


class _Recorder(TrainerCallback):  # type: ignore[misc]
    """Turns TRL's log entries into step records and progress calls."""

    def __init__(self, config: InnerConfig, progress: Progress | None) -> None:
        self.config = config
        self.progress = progress
        self.history: list[StepRecord] = []

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
        if not logs or "reward" not in logs:
            return  # The summary at the end of training.
        record = StepRecord(
            step=state.global_step // self.config.updates,
            reward_mean=logs["reward"],
            reward_std=logs["reward_std"],
            zero_std_share=logs["frac_reward_zero_std"],
            completion_length=logs["completions/mean_length"],
            components={
                key.removeprefix("parts/"): value
                for key, value in logs.items()
                if key.startswith("parts/") and value is not None
            },
        )
        self.history.append(record)
        if self.progress is not None:
            self.progress(
                record.step,
                self.config.steps,
                {"reward": record.reward_mean, "reward_std": record.reward_std},
            )
