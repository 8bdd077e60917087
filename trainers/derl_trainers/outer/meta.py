"""The outer loop: a proposer writes rewards; those that check train a policy; their scores return.

One outer step: the proposer writes n formulas; each is checked; those that pass are trained, equal
rewards once; validation pass@1, or a penalty, is the meta-reward. The meta-optimizer learns from
the n meta-rewards as one group of GRPO; other proposers are asked anew with what is known. Then the
best formula is confirmed on further seeds, and meets the baselines on the test problems (final.py).

A killed run goes on: a phase that is done is skipped, a job that is done is served from the store,
and the outer trainer starts from its last checkpoint. What a step samples depends on the seed, the
step and the weights alone, so the tables at the end are those of a run that nobody killed.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from transformers import TrainerCallback, set_seed
from trl import GRPOConfig

import derl_dsl
from derl_primitives.suites import find_suite
from derl_trainers.inner.grpo import META_OWNED, check_trl, grpo_config
from derl_trainers.outer.cold_start import cold_start
from derl_trainers.outer.final import compare, final_steps
from derl_trainers.outer.judge import judge
from derl_trainers.outer.optimizer import (
    MetaOptimizer,
    build_meta_optimizer,
    load_meta_optimizer,
    prompt_with_history,
    sample_formulas,
)
from derl_trainers.outer.prompts import Prompt, scores
from derl_trainers.outer.proposers.base import Context, Past, make_proposer
from derl_trainers.outer.proposers.graph import network
from derl_trainers.outer.reward import MetaReward, best_policy, cap
from derl_trainers.outer.trainer import meta_trainer, save_trained
from derl_trainers.policy.quiet import quiet
from derl_trainers.runs.executors import make_executor
from derl_trainers.runs.jobs import PolicyJob, ScoreJob, check_task
from derl_trainers.runs.memo import Memo
from derl_trainers.runs.runner import Runner
from derl_trainers.runs.store import CONFIRMATION, Store
from derl_trainers.runs.store.comparison import OUTCOME_ONLY
from derl_trainers.runs.view import View
from derl_trainers.settings.run import MetaSection, RunConfig, load_custom

MEMO = "inner-runs.db"
_COLD_START = "cold_start.json"  # beside the model: steps, and what it wrote untrained
_FORMAT = {"derl-math": "g2"}  # the score of the answer's form, where it is no call of `boxed`
_COLD = {"grpo", "frozen"}  # proposers that begin with a cold-started language model


@dataclass(frozen=True, slots=True)
class Start:
    """Where a search begins: folders of the start policy and of the cold-started meta-optimizer."""

    policy: str
    cold: Path | None


def meta_train(
    config: RunConfig,
    run_dir: Path,
    view: View,
    resume: bool = False,
    shared: Path | None = None,
) -> None:
    """A whole run in `run_dir`, new or, with `resume`, one that ended early; results in its store.

    Runs of one comparison keep start policies, cold starts and results of inner runs in `shared`.
    Raises ConfigError when the config's primitives or data cannot be used, StoreError when the
    folder cannot be written or resumed, ModelMissing without the meta-optimizer's weights,
    JobFailed when the start policy or the final comparison breaks.
    """
    load_custom(config)
    check_task(config)
    if config.proposer.kind.startswith("graph-"):
        network(config.suite, config.proposer.kind)  # now, not after the warm start
    steps = config.meta.steps
    check_trl(
        config.meta.trl,
        lambda: _grpo_config(config, run_dir, steps),
        "meta.trl",
        "meta",
        META_OWNED,
    )
    store = (
        Store.resume(run_dir)
        if resume
        else Store.create(run_dir, config.name, config.seed, config.to_json(), derl_dsl.__version__)
    )
    memo = None if shared is None else Memo(shared / MEMO)
    try:
        with store.running(), view:
            executor = make_executor(config.executor)
            try:
                if config.meta.model == "tiny":
                    # Two threads on small matrices are slower than one, and fight the workers.
                    torch.set_num_threads(1)
                runner = Runner(store, executor, view, memo)
                view.begin(config, run_dir, store)
                start = warm_start(config, run_dir, runner, shared or run_dir)
                if not store.is_done("search"):
                    search(config, run_dir, runner, start)
                confirm(config, run_dir, runner, start)
                final = replace(config, budget=cap(config, store, final_steps(config)))
                rewards, population = baselines(config.suite), best_policy(config, store, run_dir)
                compare(final, run_dir, runner, start.policy, rewards, population)
            finally:
                executor.close()
        view.finish(store)
    finally:
        store.close()
        if memo is not None:
            memo.close()


def warm_start(config: RunConfig, run_dir: Path, runner: Runner, home: Path) -> Start:
    """Build the start policy in a worker while the meta-optimizer learns the language here."""
    job = PolicyJob(config.task, config.policy, str(home / "policy"), config.seed)
    needed = config.proposer.kind in _COLD
    cold = home / "meta" / f"cold-{config.seed}" if needed else None
    with runner.store.phase("warm start"):
        policy = runner.submit("policy", "start policy: warm start", config.seed, job)
        if cold is not None and not cold.exists():
            _cold_start(config, runner, cold)
        path = str(runner.result(policy)["path"])
        score = ScoreJob(
            config.task, config.inner, path, "search", config.policy, config.eval_batch
        )
        found = runner.result(runner.submit("start", "start policy: score", config.seed, score))
        steps = None
        if cold is not None:
            told = json.loads((cold / _COLD_START).read_text())
            steps = told["steps"]
            runner.store.add_probe(-1, told["untrained"])
        runner.view.warm(steps, found)
    return Start(path, cold)


def _cold_start(config: RunConfig, runner: Runner, folder: Path) -> None:
    """Teach the meta-optimizer the language; its folder appears in one move, when all is done."""
    meta = build_meta_optimizer(config.meta, config.suite, config.seed)
    untrained = probe(config, meta)

    def progress(step: int, total: int, metrics: dict[str, float]) -> None:
        runner.view.bar("meta-optimizer: cold start", step, total, metrics)
        runner.pump()

    folder.parent.mkdir(parents=True, exist_ok=True)
    unfinished = Path(tempfile.mkdtemp(prefix=".cold-", dir=folder.parent))
    try:
        steps = cold_start(meta, config.meta, config.suite, config.seed, unfinished, progress)
        told = {"steps": steps, "untrained": untrained}
        (unfinished / _COLD_START).write_text(json.dumps(told))
        if not folder.exists():
            unfinished.rename(folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    runner.view.drop("meta-optimizer: cold start")


def baselines(suite: str) -> dict[str, str]:
    """The rewards that every search is measured against, as formulas of the suite."""
    found = find_suite(suite)
    names = scores(suite)
    assert found.outcome is not None
    mean = f"({' + '.join(names)}) / {len(names)}"
    # A condition counts 1 or 0 in arithmetic; alone it is no reward.
    outcome = found.outcome if found.bindings else f"1 * {found.outcome}"
    boxed = "boxed(completion)" if "boxed" in found.primitives else None
    if suite.partition("[")[0] in _FORMAT:  # An ablation may have left it out.
        boxed = next((n for n in found.bindings if n == _FORMAT[suite.partition("[")[0]]), None)
    both = {} if boxed is None else {"outcome + format": f"({outcome} + {boxed}) / 2"}
    return {OUTCOME_ONLY: outcome, **both, "mean of primitives": mean}


def search(config: RunConfig, run_dir: Path, runner: Runner, start: Start) -> None:
    """The outer steps, from the first one that is not done."""
    with runner.store.phase("search"):
        checkpoint = runner.store.checkpoint() if config.proposer.kind == "grpo" else None
        step = checkpoint[0] if checkpoint else 0
        if config.proposer.kind != "grpo":
            step = runner.store.steps_scored()
        reward = MetaReward(config, runner, start.policy, run_dir, step)
        reward.train_baselines(baselines(config.suite))
        if config.proposer.kind == "grpo":
            _learn(config, run_dir, runner, start, reward, checkpoint)
        else:
            _ask(config, runner, start, reward)
        runner.view.searched(runner.store)


def confirm(config: RunConfig, run_dir: Path, runner: Runner, start: Start) -> None:
    """See whether the best formula is as good on further seeds, or another one is better."""
    if config.final.confirm == 1 or config.meta.start == "best":
        return  # A population's formulas were scored from policies that are gone.
    with runner.store.phase(CONFIRMATION):
        capped = replace(config, budget=cap(config, runner.store, config.inner.steps))
        MetaReward(capped, runner, start.policy, run_dir).confirm()
        runner.view.confirmed(runner.store)


def _learn(
    config: RunConfig,
    run_dir: Path,
    runner: Runner,
    start: Start,
    reward: MetaReward,
    checkpoint: tuple[int, str] | None,
) -> None:
    """The outer GRPO; the trained meta-optimizer is saved to `meta/trained` of the run folder."""
    assert start.cold is not None
    meta = load_meta_optimizer(config.meta, config.suite, start.cold)
    if checkpoint is None:
        runner.store.add_probe(0, probe(config, meta))
    folder = run_dir / "meta" / "trainer"  # also what `report_to` of [meta.trl] writes
    with quiet():
        set_seed(config.seed)
        trainer = meta_trainer(
            config,
            meta,
            reward,
            _grpo_config(config, folder, reward.step if reward.converged else config.meta.steps),
            [_Steps(config, runner.store, reward, run_dir)],
            _history(config, runner.store, reward, meta),
        )
        trainer.train(resume_from_checkpoint=str(run_dir / checkpoint[1]) if checkpoint else None)
        runner.store.add_probe(reward.step, probe(config, meta))
        save_trained(trainer, run_dir / "meta" / "trained")
    for old in folder.glob("checkpoint-*"):
        shutil.rmtree(old)


def _history(
    config: RunConfig, store: Store, reward: MetaReward, meta: MetaOptimizer
) -> Callable[[], Prompt] | None:
    """What gives each step's prompt, where it shows the best formulas so far; best last."""
    if not config.meta.history:
        return None

    def prompt() -> Prompt:
        past = store.best_formulas(reward.step, config.meta.history)
        return prompt_with_history(meta, config.suite, past)

    return prompt


def _ask(config: RunConfig, runner: Runner, start: Start, reward: MetaReward) -> None:
    """A proposer that is asked for each group; what it said before a run was killed holds."""

    def load() -> MetaOptimizer:
        if start.cold is None:
            return build_meta_optimizer(config.meta, config.suite, config.seed)
        return load_meta_optimizer(config.meta, config.suite, start.cold)

    proposer = make_proposer(config, Context(start.policy, load, config.suite))
    while reward.step < config.meta.steps and not reward.converged:
        step = reward.step + 1
        past = past_formulas(runner.store, step)
        reward(runner.store.completions(step) or proposer.propose(step, past))


def past_formulas(store: Store, step: int) -> list[Past]:
    """All formulas of the steps before `step`, in order, and what came of them."""
    rows = store.rows(
        "SELECT step, formula, key, meta_reward, diagnostics FROM proposals WHERE step < ?"
        " ORDER BY step, idx",
        (step,),
    )
    found = []
    for row in rows:
        errors = [d for d in json.loads(row["diagnostics"]) if d["severity"] == "error"]
        message = errors[0]["message"] if errors else ""
        found.append(Past(row["step"], row["formula"], row["key"], row["meta_reward"], message))
    return found


def probe(config: RunConfig, meta: MetaOptimizer) -> dict[str, int]:
    """What the meta-optimizer writes now, by the checker alone; the random state is left alone."""
    with quiet(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        formulas = sample_formulas(meta, config.meta, config.meta.probe)
    verdicts = [judge(formula, config.suite) for formula in formulas]
    certificates = [v.certificate for v in verdicts if v.certificate is not None]
    return {
        "formulas": len(verdicts),
        "valid": len(certificates),
        "monotone": sum(c["outcome_monotone"] is True for c in certificates),
        "distinct_keys": len({v.key for v in verdicts if v.key is not None}),
    }


def _grpo_config(config: RunConfig, folder: Path, steps: int) -> GRPOConfig:
    """One prompt, one group a step; the group is used for `updates` optimizer steps."""
    meta: MetaSection = config.meta
    return grpo_config(
        folder,
        config.seed,
        log_every=meta.updates,
        trl=meta.trl,
        max_steps=steps * meta.updates,
        per_device_train_batch_size=meta.formulas,
        num_generations=meta.formulas,
        steps_per_generation=1,
        num_iterations=meta.updates,
        max_completion_length=meta.max_tokens,
        temperature=meta.temperature,
        learning_rate=meta.learning_rate,
        beta=meta.beta,
        save_strategy="steps",
        save_steps=meta.updates,
        save_total_limit=2,
    )


class _Steps(TrainerCallback):  # type: ignore[misc]
    """Begins each outer step with its own random numbers; writes what the optimizer reports.

    A checkpoint counts once the store names it: one that was being written when the run was killed
    is never gone on from.
    """

    def __init__(self, config: RunConfig, store: Store, reward: MetaReward, run_dir: Path) -> None:
        self.config = config
        self.store = store
        self.reward = reward
        self.run_dir = run_dir

    def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        step, within = divmod(state.global_step, self.config.meta.updates)
        if within == 0:
            set_seed(self.config.seed * 100_003 + step)

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
        if not logs or "loss" not in logs:
            return  # The summary at the end of training.
        step = state.global_step // self.config.meta.updates
        names = {"loss": "loss", "kl": "kl", "grad_norm": "grad_norm", "seconds": "step_time"}
        self.store.add_update(step, {name: logs.get(key) for name, key in names.items()})

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        step = state.global_step // self.config.meta.updates
        path = Path(args.output_dir) / f"checkpoint-{state.global_step}"
        self.store.add_checkpoint(step, str(path.relative_to(self.run_dir)))
        if self.reward.converged:
            control.should_training_stop = True
