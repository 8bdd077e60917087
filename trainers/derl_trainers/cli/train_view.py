"""What `derl-dsl train` shows: a bar on a terminal, a line a step, and the result."""

from __future__ import annotations

import sys
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from derl_dsl.tools.console import Console
from derl_trainers.runs.view import WIDTH
from derl_trainers.settings.train import METRICS, TrainConfig

if TYPE_CHECKING:
    from derl_dsl.score.reward import Reward
    from derl_dsl.tools.watch import Alarm
    from derl_trainers.inner.alone import Prepared, Trained
    from derl_trainers.inner.recorder import StepRecord

_LINES = 50  # step lines of a long run
_CLIPPED = 0.5  # share of completions cut at the longest length that is worth a word


class TrainView:
    """The screen of one training; `quiet` shows the result alone."""

    def __init__(self, quiet: bool = False) -> None:
        terminal = sys.stdout.isatty()
        self.console = Console(
            width=None if terminal else WIDTH, highlight=False, markup=False, soft_wrap=True
        )
        self.quiet = quiet
        self.bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("rest"),
            TimeRemainingColumn(),
            console=self.console,
            transient=True,
            disable=quiet or not terminal,
        )
        self.tasks: dict[str, object] = {}
        self.total = 1

    def __enter__(self) -> Self:
        self.bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.bar.stop()

    def begin(self, reward: Reward, prepared: Prepared, config: TrainConfig) -> None:
        """What is about to run."""
        self.total = config.inner.steps
        if self.quiet:
            return
        certificate, inner, task = reward.certificate, config.inner, prepared.task
        self.console.print(
            f"train  reward in [{certificate.lo:.4g}, {certificate.hi:.4g}], "
            f"policy {config.policy.model}, task {task.name}, seed {config.seed}"
        )
        scored = "test" if config.split == "final" else "validation"
        self.console.print(
            f"  {len(prepared.trained):,} training and {len(prepared.scored):,} {scored} problems; "
            f"{inner.steps} steps of {inner.prompts} x {inner.num_generations} completions "
            f"of at most {inner.max_completion_length} tokens"
        )
        if task.left_out:
            self.console.print(f"  {task.left_out:,} rows left out: their prompt occurs twice")

    def warm(self, step: int, total: int, metrics: dict[str, float]) -> None:
        """Progress of the warm start."""
        self._move("policy: warm start", step, total)

    def progress(self, step: int, total: int, metrics: dict[str, float]) -> None:
        """Progress of the training."""
        self._move("training", step, total)

    def scored(self, share: float | None) -> None:
        """The scoring before training: that it begins (None), and what came of it."""
        if self.quiet:
            return
        if share is None:
            self.console.print("  scoring the policy before training")
        else:
            self.console.print(f"  pass@1 before training {share:.3f}")

    def _move(self, name: str, step: int, total: int) -> None:
        if name not in self.tasks:
            self.tasks[name] = self.bar.add_task(name, total=total)
        self.bar.update(self.tasks[name], completed=step)  # type: ignore[arg-type]

    def step(self, record: StepRecord) -> None:
        """The line of one step: the reward, its spread, and the mean of each named part."""
        every = max(1, self.total // _LINES)
        if self.quiet or (record.step % every and record.step != self.total):
            return
        parts = "".join(f"  {name} {mean:.3f}" for name, mean in record.components.items())
        reward = "not applicable"
        if record.reward_mean is not None:
            reward = f"{record.reward_mean:.3f} ± {record.reward_std or 0.0:.3f}"
        self.console.print(
            f"step {record.step:>{len(str(self.total))}}/{self.total}  reward {reward}"
            f"  flat {record.zero_std_share:.0%}  tokens {record.completion_length:.0f}{parts}"
        )

    def alarm(self, alarm: Alarm) -> None:
        """What the watch has to say; its rollouts are in metrics.json."""
        if not self.quiet:
            self.console.print(f"watch  {alarm}")

    def finish(self, reward: Reward, trained: Trained, folder: Path) -> None:
        """The result: pass@1 before and after, why it ended early, faults, where it lies."""
        result, show = trained.result, self.console.print
        if result.stopped:
            show(f"ended after step {result.steps}: {result.stopped}")
        show(f"pass@1 on {trained.after.problems:,} problems, 95 % Wilson intervals")
        show(f"  before  {trained.before}")
        show(f"  after   {trained.after}")
        share = result.reward_seconds / result.training_seconds
        show(
            f"{result.seconds:.0f} s: sampling {result.generate_seconds:.0f}, "
            f"updates {result.update_seconds:.0f}, reward {result.reward_seconds:.1f} ({share:.1%})"
            f", scoring {result.eval_seconds:.0f}; {result.tokens:,} tokens sampled"
        )
        clipped = sum(r.clipped_share for r in result.history) / max(1, len(result.history))
        if clipped > _CLIPPED:
            show(
                f"{clipped:.0%} of the completions were cut at their longest length: "
                "raise max_completion_length in [inner]"
            )
        for line in reward.faults.summary():
            show(f"fault: {line}")
        if not len(reward.faults):
            show("no faults")
        show(f"policy and {METRICS}: {folder}")
