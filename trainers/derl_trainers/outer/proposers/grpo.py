"""`grpo`: the cold-started language model, trained by the outer GRPO; the method itself.

TRL's trainer asks for the rewards of what it samples, and here it is asked for texts and told their
rewards. So it runs in a thread of its own that takes turns with the caller: it stops where a group
is about to be sampled, where it waits for the group's rewards, and at the end of the step. One of
the two works at any time, and the caller alone touches the store.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import Any

from transformers import TrainerCallback, set_seed

from derl_trainers.inner.diverged import check_numbers
from derl_trainers.inner.reward import Diverged
from derl_trainers.outer.cold_start import probe
from derl_trainers.outer.inherit import ORIGIN, TRAINED
from derl_trainers.outer.judge import apart
from derl_trainers.outer.optimizer import prompt_with_history
from derl_trainers.outer.prompts import Prompt
from derl_trainers.outer.proposers.base import Context, Past, Proposer
from derl_trainers.outer.trainer import meta_settings, meta_trainer, save_trained
from derl_trainers.policy.quiet import quiet
from derl_trainers.runs.runner import JobFailed


class _Ended(Exception):
    """The caller wants no more: the trainer's thread unwinds."""


class Grpo(Proposer):
    """Samples a group, and updates the model by its meta-rewards; each step leaves a checkpoint."""

    cold = True

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        run = context.run
        self.checkpoint = run.store.checkpoint()
        self.meta = context.meta()
        if self.checkpoint is None:
            run.store.add_probe(0, probe(self.config, self.meta))
        self.folder = run.folder / "meta" / "trainer"  # also what `report_to` of [meta.trl] writes
        # Turns: what the caller says, and what the trainer answers.
        self.said: SimpleQueue[Any] = SimpleQueue()
        self.answers: SimpleQueue[Any] = SimpleQueue()
        with quiet():
            set_seed(self.config.seed)
            self.trainer = meta_trainer(
                self.config,
                self.meta,
                self._rewards,
                meta_settings(self.config, self.folder, self.config.meta.steps),
                [_Steps(self)],
                self._prompt,
            )
        self.thread = Thread(target=self._train, name="outer GRPO", daemon=True)

    @property
    def done(self) -> int:
        """The steps up to the last checkpoint; what was sampled after it is sampled again."""
        return self.checkpoint[0] if self.checkpoint else 0

    # The caller's side.

    def propose(self, step: int, past: Sequence[Past]) -> list[str]:
        """A group sampled now, also where a killed run had come that far: it is learnt from."""
        return self.write(step, past)

    def write(self, step: int, past: Sequence[Past]) -> list[str]:
        """A group as the model writes it, valid or not."""
        if not self.thread.is_alive():
            self.thread.start()
        prompt = None
        if self.config.meta.history:
            best = self.context.run.store.best_formulas(step - 1, self.config.meta.history)
            prompt = prompt_with_history(self.meta, self.context.suite, best)
        self.said.put(prompt or self.meta.prompt)
        texts: list[str] = self._answer(step)
        return texts

    def learn(self, step: int, rewards: Sequence[float | None]) -> None:
        """Update the model; a formula that has no reward takes no part in the group."""
        self.said.put(apart(rewards) if self.config.meta.rewards == "apart" else list(rewards))
        metrics, checkpoint = self._answer(step)
        try:
            check_numbers(self.trainer.model)
        except Diverged as error:
            # Its checkpoint is not named in the store: the run goes on from the one before.
            raise _diverged(step, error) from None
        store = self.context.run.store
        if metrics:
            store.add_update(step, metrics)
        store.add_checkpoint(step, str(Path(checkpoint).relative_to(self.context.run.folder)))

    def finish(self, step: int) -> None:
        """Save the trained model to `meta/trained` of the run's folder."""
        self.close()
        if self.checkpoint is not None and step == self.checkpoint[0]:
            # Nothing was left to train: the model is the one of the last checkpoint.
            self.trainer._load_from_checkpoint(str(self._resumed()))
        run = self.context.run
        with quiet():
            run.store.add_probe(step, probe(self.config, self.meta))
            save_trained(self.trainer, run.folder / TRAINED)
        if self.context.cold is not None:
            before = {"cold_started": os.path.relpath(self.context.cold, run.folder)}
            (run.folder / TRAINED / ORIGIN).write_text(json.dumps(before), "utf-8")
        for old in self.folder.glob("checkpoint-*"):
            shutil.rmtree(old)

    def close(self) -> None:
        """End the trainer's thread, wherever it is."""
        if self.thread.is_alive():
            self.said.put(_Ended())
            self.thread.join()

    def _answer(self, step: int) -> Any:
        found = self.answers.get()
        if isinstance(found, Diverged):
            raise _diverged(step, found)
        if isinstance(found, BaseException):
            raise found
        return found

    # The trainer's side.

    def _train(self) -> None:
        try:
            with quiet():
                self.trainer.train(resume_from_checkpoint=self._resumed())
        except _Ended:
            pass
        except BaseException as error:  # noqa: BLE001 - raised again in the caller's thread
            self.answers.put(error)

    def _resumed(self) -> str | None:
        return str(self.context.run.folder / self.checkpoint[1]) if self.checkpoint else None

    def _turn(self) -> Any:
        """Wait for what the caller says."""
        said = self.said.get()
        if isinstance(said, _Ended):
            raise said
        return said

    def _prompt(self) -> Prompt:
        found: Prompt = self._turn()
        return found

    def _rewards(self, completions: Sequence[Any], **_: Any) -> list[float | None]:
        self.answers.put([c if isinstance(c, str) else c[-1]["content"] for c in completions])
        rewards: list[float | None] = self._turn()
        return rewards


def _diverged(step: int, error: Diverged) -> JobFailed:
    said = f"outer step {step}, the meta-optimizer: {error}; lower [meta] learning_rate"
    return JobFailed(said)


class _Steps(TrainerCallback):  # type: ignore[misc]
    """Begins each outer step with its own random numbers, and answers when it is saved.

    A checkpoint counts once the store names it: one that was being written when the run was killed
    is never gone on from.
    """

    def __init__(self, grpo: Grpo) -> None:
        self.grpo = grpo
        self.metrics: dict[str, float | None] = {}

    def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        step, within = divmod(state.global_step, self.grpo.config.meta.updates)
        if within == 0:
            set_seed(self.grpo.config.seed * 100_003 + step)

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
        if not logs or "loss" not in logs:
            return  # The summary at the end of training.
        names = {"loss": "loss", "kl": "kl", "grad_norm": "grad_norm", "seconds": "step_time"}
        self.metrics = {name: logs.get(key) for name, key in names.items()}

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        path = Path(args.output_dir) / f"checkpoint-{state.global_step}"
        self.grpo.answers.put((self.metrics, path))
