"""What a run reports while it trains: a record a step, points of its curve; and when it ends."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from transformers import TrainerCallback

from derl_runtime.files import write_whole
from derl_trainers.inner.race import Bar
from derl_trainers.inner.reward import TimedReward
from derl_trainers.settings.sections import Training

Progress = Callable[[int, int, dict[str, float]], None]
_KEPT = "recorder.json"  # beside the weights of a checkpoint


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
class Point:
    """pass@1 on the way, and what had been paid for it: steps, tokens sampled, training seconds."""

    step: int
    pass_at_1: float
    tokens: int
    seconds: float


class Recorder(TrainerCallback):  # type: ignore[misc]
    """Turns TRL's log entries into step records and progress calls, and keeps to the budget."""

    accelerator: Any = None
    score: Callable[[], tuple[bool, ...]] | None = None

    def __init__(
        self,
        training: Training,
        timer: TimedReward,
        progress: Progress | None,
        on_step: OnStep | None,
        race: Sequence[Bar] = (),
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
        self.curve: list[Point] = []
        self.paid = (0, 0.0)  # tokens and seconds before the checkpoint that this went on from
        self.scoring = 0.0  # seconds of scoring on the way, which no budget counts
        self.race = {bar.step: bar for bar in race}
        self.below: Bar | None = None  # what ended it, and which problems it then had right
        self.right: tuple[bool, ...] = ()

    def step(self, state: Any) -> int:
        """Sampling steps begun so far."""
        return -(-int(state.global_step) // self.inner.updates)

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """The clock starts."""
        self.began = time.perf_counter()

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
        """A record of the step, a point of the curve, and whether it was the last."""
        if not logs or "reward" not in logs:
            return  # The summary at the end of training, or a log between two samplings.
        record = self._record(self.step(state), logs)
        self.history.append(record)
        # TRL takes a deviation below 1e-8 for none, and its Adam moves weights by it all the same.
        self.flat = self.flat + 1 if record.zero_std_share == 1 and not self._differ() else 0
        if self.on_step is not None:
            self.on_step(record)
        if self.progress is not None:
            shown = {"reward": record.reward_mean, "reward_std": record.reward_std}
            known = {name: value for name, value in shown.items() if value is not None}
            self.progress(record.step, self.inner.steps, known)
        self._count()
        self._score(record.step)
        self.stopped = self._reason()
        if self.stopped and record.step < self.inner.steps:
            control.should_training_stop = True
            # What goes on from a checkpoint trains a step before anything is asked again.
            control.should_save = False
        else:
            self.stopped = ""

    def _record(self, step: int, logs: Any) -> StepRecord:
        lo, spread = self.timer.used
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

    def _differ(self) -> bool:
        """Whether any group's rewards differed, as float32 has them, in any process."""
        own = torch.tensor([[int(self.timer.differed)]], device=self.accelerator.device)
        return bool(self.accelerator.gather(own).any())

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """What is known so far lies beside the weights."""
        if not state.is_world_process_zero:
            return
        kept = {
            "flat": self.flat,
            "tokens": self.tokens,
            "seconds": self.seconds,
            "history": [asdict(record) for record in self.history],
            "curve": [asdict(point) for point in self.curve],
        }
        folder = Path(args.output_dir) / f"checkpoint-{state.global_step}"
        write_whole(folder / _KEPT, json.dumps(kept))  # written last: what has it is whole

    def recall(self, checkpoint: Path) -> None:
        """Go on from where the run had come that left this checkpoint."""
        kept = json.loads((checkpoint / _KEPT).read_text("utf-8"))
        self.flat, self.paid = kept["flat"], (kept["tokens"], kept["seconds"])
        self.history = [StepRecord(**record) for record in kept["history"]]
        self.curve = [Point(**point) for point in kept["curve"]]

    def _score(self, step: int) -> None:
        """A point of the curve where one is asked for; greedy answers draw no random numbers."""
        bar, curve = self.race.get(step), self.inner.curve
        if self.score is None or (bar is None and not (curve and step % curve == 0)):
            return
        start = time.perf_counter()
        right = self.score()
        # What the first process found counts in all: none may end without the others.
        own = torch.tensor([[sum(right)]], device=self.accelerator.device)
        share = int(self.accelerator.gather(own)[0, 0]) / len(right)
        self.scoring += time.perf_counter() - start
        self.curve.append(Point(step, share, self.tokens, self.seconds))
        if bar is not None and share < bar.least:
            self.below, self.right = bar, right

    def _count(self) -> None:
        """Tokens and seconds so far: of all processes, and the same in each of them.

        A process that ended by a count of its own would leave the others waiting for it.
        """
        milliseconds = int(1000 * (time.perf_counter() - self.began - self.scoring))
        own = torch.tensor([[self.timer.tokens, milliseconds]], device=self.accelerator.device)
        counts = self.accelerator.gather(own)
        self.tokens = self.paid[0] + int(counts[:, 0].sum())
        self.seconds = self.paid[1] + int(counts[:, 1].max()) / 1000

    def _reason(self) -> str:
        """Why the run should end now; empty when it should not."""
        budget = self.budget
        if self.below is not None:
            return self.below.said(self.curve[-1].pass_at_1)
        if budget.flat_steps and self.flat >= budget.flat_steps:
            return f"no group's rewards differed in {self.flat} steps in a row"
        if budget.tokens and self.tokens >= budget.tokens:
            return f"budget of {budget.tokens:,} tokens reached"
        if budget.seconds and self.seconds >= budget.seconds:
            return f"budget of {budget.seconds:g} seconds reached"
        return ""


def whole_checkpoints(folder: str | Path) -> dict[int, Path]:
    """The checkpoints in a folder that were written to their end, by optimizer step."""
    found = Path(folder).glob("checkpoint-*")
    return {int(path.name.partition("-")[2]): path for path in found if (path / _KEPT).exists()}
