"""The outer loop: a proposer writes rewards; those that check train a policy; their scores return.

One outer step: the proposer writes n formulas; each is checked; those that pass are trained, equal
rewards once; validation pass@1, or a penalty, is the meta-reward, which the proposer learns from.
Then the best formula is confirmed on further seeds, and meets the baselines on the test problems.

A killed run goes on: a phase that is done is skipped, a job that is done is served from the store,
and a proposer that is trained starts from its last checkpoint. What a step proposes depends on the
seed, the step and what came before alone, so the tables at the end are those of a run that nobody
killed.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict
from pathlib import Path

import torch

from derl_trainers.inner.grpo import META_OWNED, check_trl
from derl_trainers.outer.baselines import baselines, cap, train_baselines
from derl_trainers.outer.cold_start import check_origin, cold_started
from derl_trainers.outer.confirm import confirm
from derl_trainers.outer.evaluate import Evaluation
from derl_trainers.outer.final import compare, final_steps
from derl_trainers.outer.patience import converged
from derl_trainers.outer.population import left_by
from derl_trainers.outer.proposers.base import Context, Past, make_proposer, proposer_class
from derl_trainers.outer.run import Run
from derl_trainers.outer.trainer import meta_settings
from derl_trainers.policy.loading import located
from derl_trainers.runs.executors import make_executor
from derl_trainers.runs.held import changed, held
from derl_trainers.runs.jobs import Policy, PolicyJob, ScoreJob, check_task
from derl_trainers.runs.memo import Memo
from derl_trainers.runs.runner import Runner
from derl_trainers.runs.store import Store, StoreError
from derl_trainers.runs.versions import different, versions
from derl_trainers.runs.view import View
from derl_trainers.settings.run import KEPT, RunConfig, load_custom
from derl_trainers.tasks.load import problems

MEMO = "inner-runs.db"


def meta_train(
    config: RunConfig,
    run_dir: Path,
    view: View,
    resume: bool = False,
    shared: Path | None = None,
    devices: Sequence[str] = (),
) -> None:
    """A whole run in `run_dir`, new or, with `resume`, one that ended early; results in its store.

    `devices` are the GPUs that local workers get in turn, where the config names none.
    Runs of one comparison keep start policies, cold starts and results of inner runs in `shared`.
    Raises ConfigError when the config's primitives or data cannot be used, StoreError when the
    folder cannot be written or resumed, ModelMissing without the meta-optimizer's weights,
    JobFailed when the start policy, every baseline, three runs in a row or the final comparison
    breaks.
    """
    folder = run_dir.absolute()
    home = folder if shared is None else shared.absolute()
    check(config, folder / KEPT if resume else None)
    found = versions(_device(config))
    if resume:
        _check_held(folder, config)
    store = (
        Store.resume(folder, found)
        if resume
        else Store.create(folder, config.name, config.seed, config.to_json(), found)
    )
    memo = None if shared is None else Memo(home / MEMO, found)
    try:
        with store.running(), view:
            # Read once: what is edited from here on changes nothing.
            primitives = load_custom(config, folder / KEPT)
            files = held(config, primitives)
            store.note_start(files)
            executor = make_executor(config.executor, devices, config.policy.built)
            try:
                if config.meta.built:
                    # Two threads on small matrices are slower than one, and fight the workers.
                    torch.set_num_threads(1)
                runner = Runner(store, executor, view, memo)
                view.begin(config, run_dir, store, different(store.versions()))
                rounds(Run(config, primitives, folder, home, runner, files))
            finally:
                executor.close()
        view.finish(store)
    finally:
        store.close()
        if memo is not None:
            memo.close()


def _device(config: RunConfig) -> str:
    """What inner runs compute on: a GPU's numbers are its own."""
    if config.executor.kind == "ray":
        return "a GPU of Ray's" if config.executor.gpus else "CPU"
    return torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU"


def _check_held(folder: Path, config: RunConfig) -> None:
    """Raise StoreError when a file of a run holds something else than when the run began."""
    before: dict[str, str] = {}
    with closing(Store.open(folder)) as store:
        for start in reversed(store.versions()):
            before |= start  # of each, what the first start noted
    said = changed(before, held(config, load_custom(config, folder / KEPT)))
    if said:
        raise StoreError(f"{folder}: {said}")


def check(config: RunConfig, kept: Path | None = None, remote: bool = False) -> None:
    """Raise ConfigError or ModelMissing for what cannot be used, before anything is written.

    `kept` is where a run that goes on has its copies of the primitives; with `remote`, problems
    that are on the hub are not read now.
    """
    load_custom(config, kept)
    check_origin(config.meta)
    check_task(config, remote)
    proposer_class(config).check(config)
    if not config.policy.built:
        located(config.policy.model)
    if proposer_class(config).cold and not (config.meta.built or config.meta.origin):
        located(config.meta.model)
    check_trl(
        config.meta.trl,
        lambda: meta_settings(config, Path("logs"), config.meta.steps),
        "meta.trl",
        "meta",
        META_OWNED,
    )


def rounds(run: Run) -> None:
    """Warm start, search, confirmation, final comparison."""
    config, store = run.config, run.store
    start, cold = warm_start(run)
    if not store.is_done("search"):
        search(run, start, cold)
    run.check()
    confirm(run, start)
    run.check()
    budget = cap(config.budget, store, final_steps(config))
    compare(run, start, budget, baselines(config.suite), left_by(run, config.meta.steps))


def warm_start(run: Run) -> tuple[Policy, Path | None]:
    """Build the start policy in a worker while the proposer's model learns the language here.

    Returns the policy, and the folder of that model where the proposer wants one.
    """
    config, runner = run.config, run.runner
    job = PolicyJob(config.task, config.policy, str(run.home / "policy"), config.seed)
    with runner.store.phase("warm start"):
        name = runner.submit("policy", "start policy: warm start", config.seed, job)
        cold = cold_started(run) if proposer_class(config).cold else None
        policy = _policy(run, job, runner.result(name))
        score = ScoreJob(config.suite, config.training, policy, "search", problems(config.task))
        found = runner.result(runner.submit("start", "start policy: score", config.seed, score))
        runner.view.warm(None if cold is None else asdict(cold), found)
    return policy, None if cold is None else cold.folder


def _policy(run: Run, job: PolicyJob, found: dict[str, str]) -> Policy:
    """The policy that a job built, where it lies now; built again where it was left behind."""
    if found["folder"] is None:
        return Policy(found["model"], found["identity"])
    path = Path(job.out_dir) / found["folder"]
    if not path.exists():
        name = run.runner.again("policy", "start policy: warm start", job.seed, job)
        found = run.runner.result(name)
    return Policy(str(path), found["identity"])


def search(run: Run, start: Policy, cold: Path | None) -> None:
    """The outer steps, from the first one that is not done."""
    config, store = run.config, run.store
    with store.phase("search"):
        train_baselines(run, start)
        evaluate = Evaluation(run, start)
        proposer = make_proposer(Context(run, start, cold))
        step = proposer.done
        if config.meta.given and not step:
            evaluate(0, config.meta.given)
        try:
            while step < config.meta.steps and not converged(
                store.best_rewards(step), config.meta.patience
            ):
                step += 1
                run.check()
                texts = proposer.propose(step, past_formulas(store, step))
                proposer.learn(step, evaluate(step, texts))
            proposer.finish(step)
        finally:
            proposer.close()
        run.runner.view.searched(store)


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
