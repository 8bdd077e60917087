"""The inner loop: TRL's GRPOTrainer with a reward gives a policy and its validation pass@1."""

from __future__ import annotations

import gc
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, nullcontext, suppress
from dataclasses import dataclass
from functools import cache
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
from trl import GRPOConfig

from derl_runtime.faults import FaultLog, FaultTotal
from derl_trainers.inner.agents import AgentTrainer, Stepped, agent_trainer, stepping
from derl_trainers.inner.diverged import check_numbers
from derl_trainers.inner.grpo import grpo_config, invariance, rescaled
from derl_trainers.inner.lean import LeanTrainer
from derl_trainers.inner.outcome import exactly
from derl_trainers.inner.players import Players
from derl_trainers.inner.race import Bar
from derl_trainers.inner.recorder import (
    OnStep,
    Point,
    Progress,
    Recorder,
    StepRecord,
    whole_checkpoints,
)
from derl_trainers.inner.reward import Reward, TimedReward, shares, unit_of
from derl_trainers.inner.scoring import right, save, sharded
from derl_trainers.policy.answers import Chat, chat_for, check_lengths
from derl_trainers.policy.loading import load_model
from derl_trainers.policy.lora import lora_config, merged
from derl_trainers.policy.quiet import quiet
from derl_trainers.settings.sections import Training
from derl_trainers.tasks.base import Example, Scorer

# Hears that a scoring begins (None), and the share that came of it.
OnScore = Callable[[float | None], None]
Loader = Callable[[str | Path, torch.dtype], tuple[PreTrainedModel, PreTrainedTokenizerBase]]


@dataclass(frozen=True, slots=True)
class Checkpoints:
    """Where a run keeps its state and reports, and after how many steps a state (0 = never).

    It may be killed, and goes on from the last.
    """

    folder: str
    every: int


@dataclass(frozen=True, slots=True)
class InnerResult:
    """Outcome of one inner run; times in seconds, `overhead_seconds` is what none of the rest is.

    `pass_at_1` is greedy on the validation examples, `pass_at_1_before` that of the start policy
    where it was asked for. `policy_path` is set when it was saved. `faults` is what went wrong in
    the inputs of the reward, by input and class. `stopped` says why the run ended before its last
    step, and is empty when it did not. `tokens` counts those sampled. `curve` has the points that
    `[inner] curve` and racing ask for, `below` the bar that ended the run, whose score is that of
    the step. Where games are played, `environment_seconds` is the games' part of
    sampling, and `lost` counts the episodes that broke;
    `episodes` has some of them, as `inner/records.py` writes them.
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
    episodes: tuple[dict[str, Any], ...] = ()
    curve: tuple[Point, ...] = ()
    below: Bar | None = None

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
    checkpoints: Checkpoints | None = None,
    race: Sequence[Bar] = (),
    score_before: bool = False,
    on_score: OnScore | None = None,
    load: Loader = load_model,
    callbacks: Sequence[TrainerCallback] = (),
) -> InnerResult:
    """Train the policy at `policy_path` with `reward` and report greedy pass@1 on `validation`.

    `reward` follows the TRL protocol: `reward(prompts=, completions=, completion_ids=, **columns)`
    gives one `float | None` a completion, and the gold answers come as column `answer`; one with a
    certificate reaches TRL as `[inner] rewards` says. `scorer` says which answers are right. The
    policy (see `load_model`) is saved, in transformers' format, only to a given `output_dir`;
    `logs_dir` is for what TRL itself writes; with `checkpoints` the run goes on from the last one
    there, and removes them when it is done; `race` may end it on the way; `load` is `load_model`,
    or `pristine` to keep the model in memory for the next run; `on_score` hears that the scoring
    before training begins (None) and what came of it; `callbacks` are TRL's trainer's too. Raises
    RewardFault when the reward raises, gives a wrong number of scores, a score that is not finite,
    or nothing but None, Diverged when the policy's weights are no numbers any more; ModelMissing
    for a policy that cannot be loaded or asked as the settings say, ValueError for fewer training
    problems than a step takes, and for prompts that leave no room for an answer.
    """
    check_rows(len(train), training.inner.prompts)
    unit = unit_of(reward) if rescaled(training) else None
    apart = invariance(training) == "group" and shares(reward)
    timer = TimedReward(reward, unit, training.inner.num_generations if apart else 0)
    recorder = Recorder(training, timer, progress, on_step, race)
    start = time.perf_counter()

    def run(scratch: str, stepped: Stepped | None, held: ExitStack) -> InnerResult:
        """All that holds the model, which is gone when it returns."""
        model, tokenizer = load(policy_path, getattr(torch, training.policy.dtype))
        check_lengths(model, tokenizer, (*train, *validation), training)
        args = trainer_settings(
            training, seed, scratch, 0 if checkpoints is None else checkpoints.every
        )
        trainer = _trainer(model, tokenizer, timer, train, training, args, recorder, stepped)
        held.callback(trainer.give_back)
        for callback in callbacks:
            trainer.add_callback(callback)
        asked = (tokenizer, validation, scorer, training)
        recorder.score = lambda: right(trainer, *asked)
        evaluating = time.perf_counter()
        before: tuple[bool, ...] = ()
        if score_before:
            told = on_score or (lambda share: None)
            told(None)
            before = right(trainer, *asked)
            told(sum(before) / len(before))
        updating = time.perf_counter()
        trainer.train(resume_from_checkpoint=_recalled(checkpoints, recorder))
        trained = time.perf_counter()
        timer.check_learnt()
        check_numbers(trainer.model)
        if not (sharded(trainer) or trainer.use_vllm):
            trainer.model = merged(trainer.accelerator.unwrap_model(trainer.model))
        after = recorder.right or right(trainer, *asked)
        scoring = time.perf_counter() - trained + updating - evaluating + recorder.scoring
        if output_dir is not None:
            save(trainer, tokenizer, output_dir)
        faults = getattr(reward, "faults", None)
        return InnerResult(
            pass_at_1=sum(after) / len(after),
            steps=recorder.step(trainer.state),
            seconds=time.perf_counter() - start,
            generate_seconds=trainer.generate_seconds,
            reward_seconds=timer.seconds,
            update_seconds=trained
            - updating
            - recorder.scoring
            - trainer.generate_seconds
            - timer.seconds,
            eval_seconds=scoring,
            history=tuple(recorder.history),
            policy_path=None if output_dir is None else Path(output_dir),
            faults=faults.totals if isinstance(faults, FaultLog) else (),
            stopped=recorder.stopped,
            tokens=recorder.tokens,
            pass_at_1_before=sum(before) / len(before) if before else None,
            right=after,
            right_before=before,
            curve=tuple(recorder.curve),
            below=recorder.below,
            **trainer.told(),
        )

    folder = logs_dir if checkpoints is None else checkpoints.folder
    try:
        with (
            quiet(),
            _folder(folder) as scratch,
            stepping(reward) as stepped,
            ExitStack() as held,
        ):
            found = run(scratch, stepped, held)
        if checkpoints is not None:
            _clean(Path(checkpoints.folder))
        return found
    finally:
        recorder.accelerator = recorder.score = None
        free_memory()


def _trainer(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    timer: TimedReward,
    train: Sequence[Example],
    training: Training,
    args: GRPOConfig,
    recorder: Recorder,
    stepped: Stepped | None,
) -> _Trainer | AgentTrainer:
    """TRL's trainer of one run, with the recorder among its callbacks."""
    policy, played = training.policy, training.task.played
    shared: dict[str, Any] = {
        "model": model,
        "reward_funcs": timer,
        "args": args,
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


def free_memory() -> None:
    """Give back what a run held: a trainer is a knot of references that only gc unties."""
    gc.collect()
    _settle()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


@cache
def _settle() -> None:
    """Spare the next runs' collections what the first has loaded: a tenth of a small run."""
    gc.freeze()


def _folder(path: str | Path | None) -> Any:
    """The folder for what TRL writes; without one, a folder that is gone afterwards."""
    if path is None:
        return tempfile.TemporaryDirectory(prefix="derl-inner-")
    return nullcontext(str(path))


def _row(example: Example, chat: Chat | None) -> dict[str, Any]:
    """One example as TRL reads it; whatever is not the prompt reaches the reward by name."""
    prompt = example.prompt if chat is None else chat.messages(example.prompt)
    return {**example.columns, "prompt": prompt, "answer": example.answer}


def _clean(folder: Path) -> None:
    """Remove the state of a run that is done; what it reported stays."""
    for old in folder.glob("checkpoint-*"):
        shutil.rmtree(old, ignore_errors=True)
    (folder / "README.md").unlink(missing_ok=True)  # the card that TRL writes beside them
    with suppress(OSError):
        folder.rmdir()


def _recalled(checkpoints: Checkpoints | None, recorder: Recorder) -> str | None:
    """The last whole checkpoint of an earlier try of this run, None where there is none."""
    found = {} if checkpoints is None else whole_checkpoints(checkpoints.folder)
    if not found:
        return None
    last = found[max(found)]
    recorder.recall(last)
    return str(last)


def trainer_settings(
    training: Training, seed: int, scratch: str, save_every: int = 0
) -> GRPOConfig:
    """TRL's settings; batches are cut for gradient accumulation and several processes.

    With `save_every` a checkpoint is kept in `scratch` after so many steps, and the one before it.

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
    saved = {
        "save_strategy": "steps",
        "save_steps": save_every * inner.updates,
        "save_total_limit": 2,
    }
    return grpo_config(
        scratch,
        seed,
        **(saved if save_every else {}),
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


class _Trainer(LeanTrainer):
    """GRPOTrainer that knows how long it sampled, and passes a reward's fault on unharmed."""

    generate_seconds = 0.0

    def told(self) -> dict[str, Any]:
        """What a result says beside what every trainer's does: nothing."""
        return {}

    def give_back(self) -> None:
        """Give back what a run held: nothing."""

    def _generate_single_turn(self, *args: Any, **kwargs: Any) -> Any:
        start = time.perf_counter()
        try:
            return super()._generate_single_turn(*args, **kwargs)
        finally:
            self.generate_seconds += time.perf_counter() - start
