"""The inner loop: TRL's GRPOTrainer with a reward gives a policy and its validation pass@1."""

from __future__ import annotations

import gc
import tempfile
import time
from collections.abc import Callable, Sequence
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
from derl_trainers.inner.agents import AgentTrainer, Stepped, agent_trainer, stepping
from derl_trainers.inner.grpo import grpo_config
from derl_trainers.inner.outcome import exactly
from derl_trainers.inner.players import Players, solved
from derl_trainers.inner.reward import Diverged, Reward, TimedReward, unit_of
from derl_trainers.policy.greedy import Chat, chat_for, greedy_right
from derl_trainers.policy.loading import load_model
from derl_trainers.policy.lora import lora_config, merged
from derl_trainers.policy.quiet import quiet
from derl_trainers.settings.sections import Training
from derl_trainers.tasks.base import Example, Scorer

Progress = Callable[[int, int, dict[str, float]], None]
Loader = Callable[[str | Path, torch.dtype], tuple[PreTrainedModel, PreTrainedTokenizerBase]]


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
    step, and is empty when it did not. `tokens` counts those sampled. Where games are played,
    `environment_seconds` is the games' part of sampling, and `lost` counts the episodes that broke.
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
    right: tuple[bool, ...] = ()
    right_before: tuple[bool, ...] = ()
    environment_seconds: float = 0.0
    lost: int = 0

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
    train: Sequence[Example],
    validation: Sequence[Example],
    training: Training,
    *,
    seed: int = 0,
    scorer: Scorer = exactly,
    output_dir: str | Path | None = None,
    progress: Progress | None = None,
    on_step: OnStep | None = None,
    logs_dir: str | Path | None = None,
    score_before: bool = False,
    load: Loader = load_model,
    callbacks: Sequence[TrainerCallback] = (),
) -> InnerResult:
    """Train the policy at `policy_path` with `reward` and report greedy pass@1 on `validation`.

    `reward` follows the TRL protocol: `reward(prompts=, completions=, completion_ids=, **columns)`
    gives one `float | None` a completion, and the gold answers come as column `answer`; one with a
    certificate reaches TRL as `[inner] rewards` says. `scorer` says which answers are right. The
    policy (see `load_model`) is saved, in transformers' format, only to a given `output_dir`;
    `logs_dir` is for what TRL itself writes; `load` is `load_model`, or `pristine` to keep the
    model in memory for the next run; `callbacks` are TRL's trainer's too. Raises RewardFault when
    the reward raises, gives a wrong number of scores, a score that is not finite, or nothing but
    None, Diverged when the policy's weights are no numbers any more; ModelMissing for a policy that
    cannot be loaded or asked as the settings say, ValueError for fewer training problems than a
    step takes.
    """
    check_rows(len(train), training.inner.prompts)
    timer = TimedReward(reward, unit_of(reward) if training.inner.rewards == "unit" else None)
    recorder = _Recorder(training, timer, progress, on_step)
    start = time.perf_counter()

    def run(scratch: str, stepped: Stepped | None) -> InnerResult:
        """All that holds the model, which is gone when it returns."""
        model, tokenizer = load(policy_path, getattr(torch, training.policy.dtype))
        trainer = _trainer(
            model, tokenizer, timer, train, training, seed, scratch, recorder, stepped
        )
        for callback in callbacks:
            trainer.add_callback(callback)
        asked = (tokenizer, validation, scorer, training)
        evaluating = time.perf_counter()
        before = _right(trainer, *asked) if score_before else ()
        updating = time.perf_counter()
        trainer.train()
        trained = time.perf_counter()
        timer.check_learnt()
        check_numbers(trainer.model)
        policy = _finished(trainer)
        after = _right(trainer, *asked)
        scoring = time.perf_counter() - trained + updating - evaluating
        if output_dir is not None and trainer.is_world_process_zero():
            _save(policy, tokenizer, output_dir)
        faults = getattr(reward, "faults", None)
        return InnerResult(
            pass_at_1=sum(after) / len(after),
            steps=recorder.step(trainer.state),
            seconds=time.perf_counter() - start,
            generate_seconds=trainer.generate_seconds,
            reward_seconds=timer.seconds,
            update_seconds=trained - updating - trainer.generate_seconds - timer.seconds,
            eval_seconds=scoring,
            history=tuple(recorder.history),
            policy_path=None if output_dir is None else Path(output_dir),
            faults=faults.totals if isinstance(faults, FaultLog) else (),
            stopped=recorder.stopped,
            tokens=recorder.tokens,
            pass_at_1_before=sum(before) / len(before) if before else None,
            right=after,
            right_before=before,
            **trainer.told(),
        )

    try:
        with quiet(), _folder(logs_dir) as scratch, stepping(reward) as stepped:
            return run(scratch, stepped)
    finally:
        recorder.accelerator = None
        free_memory()


def _right(
    trainer: GRPOTrainer,
    tokenizer: PreTrainedTokenizerBase,
    validation: Sequence[Example],
    scorer: Scorer,
    training: Training,
) -> tuple[bool, ...]:
    policy = trainer.accelerator.unwrap_model(trainer.model)
    if isinstance(trainer, AgentTrainer):
        return tuple(solved(trainer.players, policy, validation)[0].tolist())
    return tuple(greedy_right(policy, tokenizer, validation, scorer, training).tolist())


def _trainer(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    timer: TimedReward,
    train: Sequence[Example],
    training: Training,
    seed: int,
    scratch: str,
    recorder: _Recorder,
    stepped: Stepped | None,
) -> _Trainer | AgentTrainer:
    """TRL's trainer of one run, with the recorder among its callbacks."""
    policy, played = training.policy, training.task.played
    shared: dict[str, Any] = {
        "model": model,
        "reward_funcs": timer,
        "args": trainer_settings(training, seed, scratch),
        "processing_class": tokenizer,
        "callbacks": [recorder],
        "peft_config": lora_config(policy.lora_rank, policy.lora_alpha, policy.lora_targets),
    }
    if played is None:
        chat = chat_for(tokenizer, policy.chat, policy.system)
        rows = Dataset.from_list([_row(e, chat) for e in train])
        trainer = _Trainer(train_dataset=rows, **shared)
    else:
        players = Players(played, training, tokenizer)
        trainer = agent_trainer(players, stepped, training.inner, train, **shared)
    trainer.remove_callback(PrinterCallback)
    recorder.accelerator = trainer.accelerator
    return trainer


def check_rows(rows: int, prompts: int) -> None:
    """Raise ValueError where the problems do not fill one step: TRL would train none."""
    if rows < prompts:
        raise ValueError(
            f"{rows} training problems are fewer than [inner] prompts = {prompts} of a step: "
            "nothing would be trained; lower prompts or give more problems"
        )


def check_numbers(model: torch.nn.Module) -> None:
    """Raise Diverged where a weight is NaN or infinite."""
    for name, weights in model.named_parameters():
        if not bool(torch.isfinite(weights).all()):
            raise Diverged(f"training diverged: {name} holds NaN or infinite weights")


def free_memory() -> None:
    """Give back what a run held: a trainer is a knot of references that only gc unties."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


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


def trainer_settings(training: Training, seed: int, scratch: str) -> GRPOConfig:
    """TRL's settings; batches are cut for gradient accumulation and several processes.

    Raises ValueError when the completions of a step cannot be cut into equal parts, and what
    GRPOConfig raises for values it cannot use.
    """
    inner = training.inner
    accumulation = int(training.trl.get("gradient_accumulation_steps", 1))
    processes = int(environ.get("WORLD_SIZE", "1"))  # set by accelerate and torchrun
    parts = inner.updates * accumulation * processes
    if inner.completions % parts:
        more = f" x gradient accumulation {accumulation}" if accumulation > 1 else ""
        more += f" x {processes} processes" if processes > 1 else ""
        raise ValueError(
            f"updates={inner.updates}{more} does not divide the {inner.completions} completions "
            "a step"
        )
    return grpo_config(
        scratch,
        seed,
        log_every=inner.updates,
        trl=training.trl,
        max_steps=inner.steps * inner.updates,
        per_device_train_batch_size=inner.completions // parts,
        steps_per_generation=inner.updates * accumulation,
        num_generations=inner.num_generations,
        max_completion_length=inner.max_completion_length,
        temperature=inner.temperature,
        learning_rate=inner.learning_rate,
        beta=inner.beta,
    )


class _Trainer(GRPOTrainer):  # type: ignore[misc]
    """GRPOTrainer that knows how long it sampled, and passes a reward's fault on unharmed."""

    generate_seconds = 0.0

    def told(self) -> dict[str, Any]:
        """What a result says beside what every trainer's does: nothing."""
        return {}

    def _generate_single_turn(self, *args: Any, **kwargs: Any) -> Any:
        start = time.perf_counter()
        try:
            return super()._generate_single_turn(*args, **kwargs)
        finally:
            self.generate_seconds += time.perf_counter() - start


class _Recorder(TrainerCallback):  # type: ignore[misc]
    """Turns TRL's log entries into step records and progress calls, and keeps to the budget."""

    accelerator: Any = None

    def __init__(
        self,
        training: Training,
        timer: TimedReward,
        progress: Progress | None,
        on_step: OnStep | None,
    ) -> None:
        self.inner = training.inner
        self.budget = training.budget
        self.timer = timer
        self.progress = progress
        self.on_step = on_step
        self.history: list[StepRecord] = []
        self.stopped = ""
        self.flat = 0
        self.began = 0.0
        self.tokens = 0
        self.seconds = 0.0

    def step(self, state: Any) -> int:
        """Sampling steps begun so far."""
        return -(-int(state.global_step) // self.inner.updates)

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self.began = time.perf_counter()

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
        if not logs or "reward" not in logs:
            return  # The summary at the end of training, or a log between two samplings.
        record = self._record(self.step(state), logs)
        self.history.append(record)
        self.flat = self.flat + 1 if record.zero_std_share == 1 else 0
        if self.on_step is not None:
            self.on_step(record)
        if self.progress is not None:
            shown = {"reward": record.reward_mean, "reward_std": record.reward_std}
            known = {name: value for name, value in shown.items() if value is not None}
            self.progress(record.step, self.inner.steps, known)
        self._count()
        self.stopped = self._reason()
        if self.stopped and record.step < self.inner.steps:
            control.should_training_stop = True
        else:
            self.stopped = ""

    def _record(self, step: int, logs: Any) -> StepRecord:
        lo, spread = self.timer.unit or (0.0, 1.0)
        mean, std = logs["reward"], logs["reward_std"]
        return StepRecord(
            step=step,
            reward_mean=None if mean is None else lo + spread * mean,
            reward_std=None if std is None else spread * std,
            zero_std_share=logs["frac_reward_zero_std"],
            completion_length=logs["completions/mean_length"],
            components={
                key.removeprefix("parts/"): value
                for key, value in logs.items()
                if key.startswith("parts/") and value is not None
            },
            clipped_share=logs["completions/clipped_ratio"],
        )

    def _count(self) -> None:
        """Tokens and seconds so far: of all processes, and the same in each of them.

        A process that ended by a count of its own would leave the others waiting for it.
        """
        milliseconds = int(1000 * (time.perf_counter() - self.began))
        own = torch.tensor([[self.timer.tokens, milliseconds]], device=self.accelerator.device)
        counts = self.accelerator.gather(own)
        self.tokens = int(counts[:, 0].sum())
        self.seconds = int(counts[:, 1].max()) / 1000

    def _reason(self) -> str:
        """Why the run should end now; empty when it should not."""
        budget = self.budget
        if budget.flat_steps and self.flat >= budget.flat_steps:
            return f"no group's rewards differed in {self.flat} steps in a row"
        if budget.tokens and self.tokens >= budget.tokens:
            return f"budget of {budget.tokens:,} tokens reached"
        if budget.seconds and self.seconds >= budget.seconds:
            return f"budget of {budget.seconds:g} seconds reached"
        return ""
