"""The inner loop: TRL's GRPOTrainer with a reward gives a policy and its validation pass@1."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from os import environ
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from transformers import (
    PreTrainedModel,
    PreTrainedTokenizerBase,
    PrinterCallback,
    TrainerCallback,
)
from trl import GRPOConfig, GRPOTrainer

from derl_runtime.faults import FaultLog, FaultTotal
from derl_trainers.inner.grpo import grpo_config
from derl_trainers.inner.reward import Reward, TimedReward
from derl_trainers.policy.greedy import Chat, ChatMode, chat_for, greedy_pass_at_1
from derl_trainers.policy.loading import load_model
from derl_trainers.policy.lora import lora_config, merged
from derl_trainers.policy.quiet import quiet
from derl_trainers.tasks.base import Example

Progress = Callable[[int, int, dict[str, float]], None]
Loader = Callable[[str | Path, torch.dtype], tuple[PreTrainedModel, PreTrainedTokenizerBase]]


@dataclass(frozen=True, slots=True)
class Budget:
    """When a run ends before its last step; 0 means never.

    `seconds` of training and `tokens` sampled end it after the step that reaches them;
    `flat_steps` is a number of steps in a row in which no group's rewards differed.
    """

    seconds: float = 0.0
    tokens: int = 0
    flat_steps: int = 0


@dataclass(frozen=True, slots=True)
class PolicyOptions:
    """How a policy is loaded and asked, and whether LoRA adapters are trained instead of all of it.

    `dtype` is a torch dtype's name. `lora_rank` 0 trains all weights; adapters are merged into the
    policy before it is scored and saved. `lora_targets` is `all-linear` or names of layers.
    """

    dtype: str = "float32"
    chat: ChatMode = "auto"
    system: str = ""
    lora_rank: int = 0
    lora_alpha: int = 32
    lora_targets: tuple[str, ...] = ("all-linear",)


@dataclass(frozen=True, slots=True)
class InnerConfig:
    """One GRPO run: every `steps` is one sampling of `prompts x num_generations` completions.

    The sampled batch is used for `updates` optimizer steps on a part of it each. `trl` holds
    further settings of TRL's GRPOConfig, passed on as they are.
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
    budget: Budget = Budget()
    trl: Mapping[str, Any] = field(default_factory=dict)

    @property
    def completions(self) -> int:
        """Completions sampled in one step."""
        return self.prompts * self.num_generations


@dataclass(frozen=True, slots=True)
class StepRecord:
    """What one sampling step saw: reward mean, std, share of groups with no spread, components.

    `completion_length` is the mean in tokens, `clipped_share` the share cut at the longest length.
    Mean and std are None where no completion had a score.
    """

    step: int
    reward_mean: float | None
    reward_std: float | None
    zero_std_share: float
    completion_length: float
    components: dict[str, float] = field(default_factory=dict)
    clipped_share: float = 0.0


OnStep = Callable[[StepRecord], None]


@dataclass(frozen=True, slots=True)
class InnerResult:
    """Outcome of one inner run; times in seconds, `overhead_seconds` is what none of the rest is.

    `pass_at_1` is greedy on the validation examples, `pass_at_1_before` that of the start policy
    where it was asked for. `policy_path` is set when it was saved. `faults` is what went wrong in
    the inputs of the reward, by input and class. `stopped` says why the run ended before its last
    step, and is empty when it did not. `tokens` counts those sampled.
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
    stopped: str = ""
    tokens: int = 0
    pass_at_1_before: float | None = None

    @property
    def training_seconds(self) -> float:
        """Sampling, reward and updates: what a budget in seconds counts."""
        return self.generate_seconds + self.reward_seconds + self.update_seconds

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
    options: PolicyOptions | None = None,
    on_step: OnStep | None = None,
    logs_dir: str | Path | None = None,
    score_before: bool = False,
    load: Loader = load_model,
) -> InnerResult:
    """Train the policy at `policy_path` with `reward` and report greedy pass@1 on `validation`.

    `reward` follows the TRL protocol: `reward(prompts=, completions=, completion_ids=, **columns)`
    gives one `float | None` a completion, and the gold answers come as column `answer`. The policy
    (see `load_model`) is saved, in transformers' format, only to a given `output_dir`; `logs_dir`
    is for what TRL itself writes; `load` is `load_model`, or `pristine` to keep the model in
    memory for the next run. Raises RewardFault when the reward raises, gives a wrong number
    of scores, a score that is not finite, or nothing but None; ModelMissing for a policy that
    cannot be loaded or asked as `options` say.
    """
    start = time.perf_counter()
    seed = config.seed if seed is None else seed
    options = options or PolicyOptions()
    timer = TimedReward(reward)
    with quiet(), _folder(logs_dir) as scratch:
        model, tokenizer = load(policy_path, getattr(torch, options.dtype))
        chat = chat_for(tokenizer, options.chat, options.system)
        recorder = _Recorder(config, timer, progress, on_step)
        trainer = _Trainer(
            model=model,
            reward_funcs=timer,
            args=trainer_settings(config, seed, scratch),
            train_dataset=Dataset.from_list([_row(e, chat) for e in task_train]),
            processing_class=tokenizer,
            callbacks=[recorder],
            peft_config=lora_config(options.lora_rank, options.lora_alpha, options.lora_targets),
        )
        trainer.remove_callback(PrinterCallback)

        def score(policy: PreTrainedModel) -> float:
            return greedy_pass_at_1(
                policy,
                tokenizer,
                validation,
                config.eval_batch_size,
                config.max_completion_length,
                chat,
            )

        evaluating = time.perf_counter()
        before = score(trainer.model) if score_before else None
        updating = time.perf_counter()
        trainer.train()
        trained = time.perf_counter()
        timer.check_learnt()
        policy = _finished(trainer)
        pass_at_1 = score(policy)
        eval_seconds = time.perf_counter() - trained + updating - evaluating
        if output_dir is not None and trainer.is_world_process_zero():
            _save(policy, tokenizer, output_dir)
    faults = getattr(reward, "faults", None)
    return InnerResult(
        pass_at_1=pass_at_1,
        steps=recorder.step(trainer.state),
        seconds=time.perf_counter() - start,
        generate_seconds=trainer.generate_seconds,
        reward_seconds=timer.seconds,
        update_seconds=trained - updating - trainer.generate_seconds - timer.seconds,
        eval_seconds=eval_seconds,
        history=tuple(recorder.history),
        policy_path=None if output_dir is None else Path(output_dir),
        faults=faults.totals if isinstance(faults, FaultLog) else (),
        stopped=recorder.stopped,
        tokens=timer.tokens,
        pass_at_1_before=before,
    )


def _folder(path: str | Path | None) -> Any:
    """The folder for what TRL writes; without one, a folder that is gone afterwards."""
    if path is None:
        return tempfile.TemporaryDirectory(prefix="derl-inner-")
    return nullcontext(str(path))


def _row(example: Example, chat: Chat | None) -> dict[str, Any]:
    """One example as TRL reads it; whatever is not the prompt reaches the reward by name."""
    prompt = example.prompt if chat is None else chat.messages(example.prompt)
    return {**example.columns, "prompt": prompt, "answer": example.answer}


def _finished(trainer: GRPOTrainer) -> PreTrainedModel:
    """The trained policy as a plain model: unwrapped, and adapters merged into its weights."""
    return merged(trainer.accelerator.unwrap_model(trainer.model))


def _save(
    policy: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, output_dir: str | Path
) -> None:
    policy.save_pretrained(output_dir)
    tokenizer.save_pretrained(output_dir)


def trainer_settings(config: InnerConfig, seed: int, scratch: str) -> GRPOConfig:
    """TRL's settings; batches are cut for gradient accumulation and several processes.

    Raises ValueError when the completions of a step cannot be cut into equal parts, and what
    GRPOConfig raises for values it cannot use.
    """
    accumulation = int(config.trl.get("gradient_accumulation_steps", 1))
    processes = int(environ.get("WORLD_SIZE", "1"))  # set by accelerate and torchrun
    parts = config.updates * accumulation * processes
    if config.completions % parts:
        more = f" x gradient accumulation {accumulation}" if accumulation > 1 else ""
        more += f" x {processes} processes" if processes > 1 else ""
        raise ValueError(
            f"updates={config.updates}{more} does not divide "
            f"the {config.completions} completions a step"
        )
    return grpo_config(
        scratch,
        seed,
        log_every=config.updates,
        trl=config.trl,
        max_steps=config.steps * config.updates,
        per_device_train_batch_size=config.completions // parts,
        steps_per_generation=config.updates * accumulation,
        num_generations=config.num_generations,
        max_completion_length=config.max_completion_length,
        temperature=config.temperature,
        learning_rate=config.learning_rate,
        beta=config.beta,
    )


class _Trainer(GRPOTrainer):  # type: ignore[misc]
    """GRPOTrainer that knows how long it sampled, and passes a reward's fault on unharmed."""

    generate_seconds = 0.0

    def _generate_single_turn(self, *args: Any, **kwargs: Any) -> Any:
        start = time.perf_counter()
        try:
            return super()._generate_single_turn(*args, **kwargs)
        finally:
            self.generate_seconds += time.perf_counter() - start


class _Recorder(TrainerCallback):  # type: ignore[misc]
    """Turns TRL's log entries into step records and progress calls, and keeps to the budget."""

    def __init__(
        self,
        config: InnerConfig,
        timer: TimedReward,
        progress: Progress | None,
        on_step: OnStep | None,
    ) -> None:
        self.config = config
        self.timer = timer
        self.progress = progress
        self.on_step = on_step
        self.history: list[StepRecord] = []
        self.stopped = ""
        self.flat = 0
        self.began = 0.0

    def step(self, state: Any) -> int:
        """Sampling steps begun so far."""
        return -(-int(state.global_step) // self.config.updates)

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self.began = time.perf_counter()

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
        if not logs or "reward" not in logs:
            return  # The summary at the end of training, or a log between two samplings.
        record = StepRecord(
            step=self.step(state),
            reward_mean=logs["reward"],
            reward_std=logs["reward_std"],
            zero_std_share=logs["frac_reward_zero_std"],
            completion_length=logs["completions/mean_length"],
            components={
                key.removeprefix("parts/"): value
                for key, value in logs.items()
                if key.startswith("parts/") and value is not None
            },
            clipped_share=logs["completions/clipped_ratio"],
        )
        self.history.append(record)
        self.flat = self.flat + 1 if record.zero_std_share == 1 else 0
        if self.on_step is not None:
            self.on_step(record)
        if self.progress is not None:
            shown = {"reward": record.reward_mean, "reward_std": record.reward_std}
            known = {name: value for name, value in shown.items() if value is not None}
            self.progress(record.step, self.config.steps, known)
        self.stopped = self._reason()
        if self.stopped and record.step < self.config.steps:
            control.should_training_stop = True
        else:
            self.stopped = ""

    def _reason(self) -> str:
        """Why the run should end now; empty when it should not."""
        budget = self.config.budget
        seconds = time.perf_counter() - self.began
        if budget.flat_steps and self.flat >= budget.flat_steps:
            return f"no group's rewards differed in {self.flat} steps in a row"
        if budget.tokens and self.timer.tokens >= budget.tokens:
            return f"budget of {budget.tokens:,} tokens reached"
        if budget.seconds and seconds >= budget.seconds:
            return f"budget of {budget.seconds:g} seconds reached"
        return ""
