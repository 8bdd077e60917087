"""The outer loop: TRL's GRPO teaches a language model to write rewards that train well.

One outer step: the meta-optimizer writes n formulas; each is checked; those that pass are trained,
equal rewards once; validation pass@1, or a penalty, is the meta-reward; the n meta-rewards are one
group of GRPO. Then the best formula meets the baselines on the test problems (final.py).
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from transformers import AutoModelForCausalLM, PrinterCallback, TrainerCallback, set_seed
from trl import GRPOConfig, GRPOTrainer

import derl_dsl
from derl_primitives.suites import find_suite
from derl_trainers.config import MetaSection, RunConfig, load_custom
from derl_trainers.executor import make_executor
from derl_trainers.final import compare
from derl_trainers.grpo import grpo_config
from derl_trainers.jobs import InnerJob, PolicyJob, ScoreJob
from derl_trainers.judge import Verdict, judge
from derl_trainers.meta_optimizer import (
    MetaOptimizer,
    build_meta_optimizer,
    cold_start,
    formula_text,
    sample_formulas,
    scores,
)
from derl_trainers.quiet import quiet
from derl_trainers.runner import JobFailed, Runner
from derl_trainers.store import Store
from derl_trainers.ui import View


@dataclass(frozen=True, slots=True)
class Start:
    """Where a search begins: the start policy's folder and the cold-started meta-optimizer."""

    policy: str
    meta: MetaOptimizer


def meta_train(config: RunConfig, run_dir: Path, view: View) -> None:
    """A whole run in `run_dir`, which must be new or empty; all results are in its store.

    Raises ConfigError when the config's primitives cannot be used, StoreError when the folder
    cannot be written, ModelMissing without the meta-optimizer's weights, JobFailed when the start
    policy or the final comparison breaks.
    """
    load_custom(config)
    store = Store.create(run_dir, config.name, config.seed, config.to_json(), derl_dsl.__version__)
    try:
        with store.running(), view:
            executor = make_executor(config.executor)
            try:
                if config.meta.model == "tiny":
                    # Two threads on small matrices are slower than one, and fight the workers.
                    torch.set_num_threads(1)
                runner = Runner(store, executor, view)
                view.begin(config, run_dir)
                start = warm_start(config, run_dir, runner)
                search(config, run_dir, runner, start)
                compare(config, run_dir, runner, start.policy, baselines(config.suite))
            finally:
                executor.close()
        view.finish(store)
    finally:
        store.close()


def warm_start(config: RunConfig, run_dir: Path, runner: Runner) -> Start:
    """Build the start policy in a worker while the meta-optimizer learns the language here."""
    job = PolicyJob(config.task, config.policy, str(run_dir / "policy"), config.seed)
    with runner.store.phase("warm start"):
        policy = runner.submit("policy", "start policy: warm start", config.seed, job)
        meta = build_meta_optimizer(config.meta, config.suite, config.seed)

        def progress(step: int, total: int, metrics: dict[str, float]) -> None:
            runner.view.bar("meta-optimizer: cold start", step, total, metrics)
            runner.pump()

        folder = run_dir / "meta" / "cold"
        steps = cold_start(meta, config.meta, config.suite, config.seed, folder, progress)
        runner.view.drop("meta-optimizer: cold start")
        path = str(runner.result(policy)["path"])
        score = ScoreJob(config.task, config.inner, path, "search")
        found = runner.result(runner.submit("start", "start policy: score", config.seed, score))
        runner.view.warm(steps, found)
    # From its folder, so that GRPO can load the same model again as the KL term's reference.
    with quiet():
        model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    return Start(path, MetaOptimizer(model, meta.tokenizer, meta.prompt))


def baselines(suite: str) -> dict[str, str]:
    """The rewards that every search is measured against, as formulas of the suite."""
    found = find_suite(suite)
    names = scores(suite)
    assert found.outcome is not None
    mean = f"({' + '.join(names)}) / {len(names)}"
    # A condition counts 1 or 0 in arithmetic; alone it is no reward.
    outcome = found.outcome if found.bindings else f"1 * {found.outcome}"
    return {"outcome only": outcome, "mean of primitives": mean}


def search(config: RunConfig, run_dir: Path, runner: Runner, start: Start) -> None:
    """The outer GRPO; the trained meta-optimizer is saved to `meta/trained` of the run folder."""
    reward = MetaReward(config, runner, start.policy)
    with runner.store.phase("search"), tempfile.TemporaryDirectory(prefix="derl-meta-") as scratch:
        reward.train_baselines()
        runner.store.add_probe(0, probe(config, start.meta))
        with quiet():
            set_seed(config.seed)
            trainer = GRPOTrainer(
                model=start.meta.model,
                reward_funcs=reward,
                args=_grpo_config(config.meta, config.seed, scratch),
                train_dataset=Dataset.from_list([{"prompt": start.meta.prompt}]),
                processing_class=start.meta.tokenizer,
                callbacks=[_Updates(runner.store, config.meta)],
            )
            trainer.remove_callback(PrinterCallback)
            trainer.train()
            trainer.save_model(str(run_dir / "meta" / "trained"))
        runner.store.add_probe(config.meta.steps, probe(config, start.meta))
        runner.view.searched(runner.store)


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


def _grpo_config(config: MetaSection, seed: int, scratch: str) -> GRPOConfig:
    """One prompt, one group a step; the group is used for `updates` optimizer steps."""
    return grpo_config(
        scratch,
        seed,
        log_every=config.updates,
        trl={},
        max_steps=config.steps * config.updates,
        per_device_train_batch_size=config.formulas,
        num_generations=config.formulas,
        steps_per_generation=1,
        num_iterations=config.updates,
        max_completion_length=config.max_tokens,
        temperature=config.temperature,
        learning_rate=config.learning_rate,
        beta=config.beta,
    )


class MetaReward:
    """The reward function of the outer loop: check, look up, inner-train, validate."""

    __name__ = "meta_reward"

    def __init__(self, config: RunConfig, runner: Runner, policy: str) -> None:
        self.config = config
        self.runner = runner
        self.store = runner.store
        self.policy = policy
        self.step = 0

    def train_baselines(self) -> None:
        """Train the baselines once: a yardstick, and formulas equal to them cost nothing."""
        jobs = []
        for label, formula in baselines(self.config.suite).items():
            verdict = judge(formula, self.config.suite)
            jobs.append(self._submit("baseline", label, verdict))
        self.runner.wait(jobs)
        self.runner.view.baselines(self.store)

    def __call__(self, completions: Sequence[Any], **_: Any) -> list[float]:
        """The meta-rewards of one group."""
        self.step += 1
        verdicts = [
            judge(formula_text(c), self.config.suite, self.config.meta.penalty) for c in completions
        ]
        texts = [c if isinstance(c, str) else c[-1]["content"] for c in completions]
        records = [{"completion": t, **v.to_json()} for t, v in zip(texts, verdicts, strict=True)]
        proposals = self.store.add_proposals(self.step, records)
        self.runner.view.proposed(self.step, self.store)
        rewards = self._train(verdicts, proposals)
        self.runner.view.stepped(self.step, self.store)
        return _without_gaps(rewards)

    def _train(self, verdicts: list[Verdict], proposals: list[int]) -> list[float | None]:
        """Score the group: earlier runs serve what they can, the rest is trained, equals once."""
        trained: dict[str, int] = {}  # key -> job of this step
        served: dict[str, int] = {}  # key -> job of an earlier step
        for verdict in verdicts:
            key = verdict.key
            if key is None or key in trained or key in served:
                continue
            earlier = self.store.find_score(key, self.config.seed)
            if earlier is not None:
                served[key] = earlier[0]
            else:
                trained[key] = self._submit("search", f"outer step {self.step}", verdict)
        self.runner.wait(trained.values())
        rewards: list[float | None] = []
        first: set[str] = set()
        for verdict, proposal in zip(verdicts, proposals, strict=True):
            key = verdict.key
            if key is None:
                rewards.append(verdict.penalty)
                continue
            job = trained.get(key, served.get(key, 0))
            fresh = key in trained and key not in first
            first.add(key)
            rewards.append(self._score(proposal, job, fresh))
        return rewards

    def _score(self, proposal: int, job: int, fresh: bool) -> float | None:
        if job in self.runner.errors:
            self.store.score_proposal(proposal, "faulted", job, None)
            return None
        score = float(self.runner.result(job)["pass_at_1"])
        self.store.score_proposal(proposal, "trained" if fresh else "reused", job, score)
        return score

    def _submit(self, kind: str, label: str, verdict: Verdict) -> int:
        config = self.config
        job = InnerJob(
            verdict.formula, config.suite, config.task, config.inner, self.policy, config.seed,
            "search", custom=load_custom(config), quarantine=config.sandbox.quarantine,
        )  # fmt: skip
        return self.runner.submit(kind, label, config.seed, job, verdict.formula, verdict.key)


def _without_gaps(rewards: list[float | None]) -> list[float]:
    """A formula whose run broke gets the mean of the others: it is neither praised nor blamed.

    Raises JobFailed when all runs of the group broke.
    """
    known = [r for r in rewards if r is not None]
    if not known:
        raise JobFailed("every inner run of the step broke; see `derl-dsl runs show`")
    mean = sum(known) / len(known)
    return [mean if r is None else r for r in rewards]


class _Updates(TrainerCallback):  # type: ignore[misc]
    """Writes what the outer optimizer reports to the store."""

    def __init__(self, store: Store, config: MetaSection) -> None:
        self.store = store
        self.config = config

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
        if not logs or "loss" not in logs:
            return  # The summary at the end of training.
        step = state.global_step // self.config.updates
        names = {"loss": "loss", "kl": "kl", "grad_norm": "grad_norm", "seconds": "step_time"}
        self.store.add_update(step, {name: logs.get(key) for name, key in names.items()})
