"""Small jobs and runs that several tests make."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from io import StringIO
from pathlib import Path
from typing import Any

from rich.console import Console

import derl_dsl
from derl_trainers.inner.outcome import exactly
from derl_trainers.outer.evaluate import Evaluation
from derl_trainers.outer.run import Run
from derl_trainers.policy.answers import greedy_right
from derl_trainers.runs.executors import InProcess
from derl_trainers.runs.jobs import InnerJob, Policy, PolicyJob
from derl_trainers.runs.runner import Runner
from derl_trainers.runs.store import Store
from derl_trainers.runs.view import View
from derl_trainers.settings.run import RunConfig
from derl_trainers.settings.sections import BudgetSection, Training

_TRAINING = {f.name for f in fields(Training)}


def built(job: PolicyJob) -> Policy:
    """The policy of a job, made in this process."""
    return placed(job, job.run(lambda *_: None))


def placed(job: PolicyJob, found: dict[str, Any]) -> Policy:
    """Where the result of a job says its policy lies."""
    path = found["model"] if found["folder"] is None else str(Path(job.out_dir) / found["folder"])
    return Policy(path, found["identity"])


def inner(formula: str, suite: str, policy: Policy | str, seed: int = 0, **more: Any) -> InnerJob:
    """An inner run; sections of the training are given by their names."""
    policy = Policy(policy, policy) if isinstance(policy, str) else policy
    return changed(InnerJob(formula, suite, Training(), policy, seed, "search"), **more)


def changed(job: InnerJob, **changes: Any) -> InnerJob:
    """A job with other sections of its training, or other fields of its own."""
    of_training = {k: v for k, v in changes.items() if k in _TRAINING and k != "policy"}
    if "options" in changes:
        of_training["policy"] = changes.pop("options")
    own = {k: v for k, v in changes.items() if k not in of_training}
    return replace(job, training=replace(job.training, **of_training), **own)


def a_run(config: RunConfig, store: Store, executor: Any = None, memo: Any = None) -> Run:
    """A run in this process that shows nothing."""
    runner = Runner(store, executor or InProcess(), View(Console(file=StringIO())), memo)
    folder = store.path.parent
    return Run(config, (), folder, folder, runner)


class Steps:
    """Outer steps one after the other, each with the texts that it is called with."""

    def __init__(self, run: Run, start: Policy, step: int = 0) -> None:
        self.run = run
        self.start = start
        self.step = step

    def __call__(self, texts: list[str]) -> list[float | None]:
        self.step += 1
        return Evaluation(self.run, self.start)(self.step, texts)


def training(start: Training | None = None, **changes: Any) -> Training:
    """Settings of a training with other sections, or other settings of `[inner]`; never flat."""
    start = start or Training(budget=BudgetSection(flat_steps=0))
    of_training = {k: v for k, v in changes.items() if k in _TRAINING}
    inner = {k: v for k, v in changes.items() if k not in _TRAINING}
    return replace(start, inner=replace(start.inner, **inner), **of_training)


def greedy_share(model: Any, tokenizer: Any, examples: Any, given: Training) -> float:
    """pass@1 as the inner loop scores it."""
    right = greedy_right(model, tokenizer, examples, exactly, given).tolist()
    return float(sum(right) / len(right))


def math_reward(text: str) -> Any:
    """A reward over the paper's primitives and lengths."""
    return derl_dsl.compile(text, suite="derl-math+length")


def rows(path: Path, count: int, start: int = 0, **more: Any) -> str:
    """A file of `count` sums, `more` beside each; its path."""
    span = range(start, start + count)
    lines = ({"prompt": f"{i}+1=?", "answer": str(i + 1), **more} for i in span)
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return str(path)


GROUP = training(steps=2, prompts=2, num_generations=4, updates=2, max_completion_length=12)
"""A short training, of two groups of four."""
