"""`derl-dsl train`: one inner training with a reward file. Torch is imported when it starts."""

from __future__ import annotations

import os
import re
import time
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

import derl_dsl
from derl_dsl.cli.inputs import (
    Columns,
    Expression,
    OneReward,
    Suite,
    fail,
    one_source,
    read_settings,
    show_no_logs,
)
from derl_grammar.diagnostics import render
from derl_grammar.spans import Source
from derl_trainers.cli.shared import ended_as_by_ctrl_c
from derl_trainers.cli.train_view import TrainView
from derl_trainers.inner.reward import Diverged, RewardFault
from derl_trainers.runs.executors.devices import take_one, visible
from derl_trainers.settings.run import ConfigError
from derl_trainers.settings.train import load_train_config, parse_set
from derl_trainers.tasks.base import TaskError

if TYPE_CHECKING:
    from derl_dsl.score.reward import Reward
    from derl_trainers.settings.train import TrainConfig

NEEDS = ("torch", "transformers", "trl", "datasets", "reasoning_gym", "tokenizers")
# What each reporter of transformers imports.
REPORTERS = {
    "tensorboard": ("tensorboardX", "tensorboard"),
    "trackio": ("trackio",),
    "wandb": ("wandb",),
}


def train_command(
    reward: OneReward = None,
    expression: Expression = None,
    task: Annotated[
        str | None,
        typer.Option(help="arithmetic, equations, gsm8k, math, rows, or a file of rows."),
    ] = None,
    policy: Annotated[
        str | None,
        typer.Option(help="tiny, smollm2, a model's folder, a .gguf file, or a Hugging Face id."),
    ] = None,
    config: Annotated[
        Path | None, typer.Option(help="Settings as a TOML file (trainers/TRAIN.md).")
    ] = None,
    data: Annotated[str | None, typer.Option(help="The task's problems: file or hub id.")] = None,
    test: Annotated[str | None, typer.Option(help="The test problems: file or hub id.")] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Sampling steps.")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Seed of sampling and training.")] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for policy and metrics, new or empty; runs/<reward>-<time>."),
    ] = None,
    suite: Suite = None,
    column: Columns = None,
    report_to: Annotated[
        str | None, typer.Option(help="tensorboard, wandb, trackio or none, as in TRL.")
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", help="Any setting: section.key=value, such as inner.prompts=8."),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="Show the result alone.")] = False,
) -> None:
    """Train a policy with a reward by GRPO, and score it before and after.

    The folder --out gets the policy, which plain transformers loads, and metrics.json.

    Exits 0, 1 when the reward has errors or cannot be trained on, 2 when an input cannot be used.
    """
    show_no_logs()
    source = one_source(reward, expression)
    try:
        flags = dict(map(parse_set, set_ or []))
        given = {"task.data": data, "task.test": test, "inner.steps": steps, "seed": seed,
                 "policy.model": policy, "trl.report_to": report_to, **_task(task)}  # fmt: skip
        flags |= {key: value for key, value in given.items() if value is not None}
        settings = load_train_config(config, flags)
    except ConfigError as error:
        fail(str(error))
    compiled = _compiled(source, suite, column)
    folder = out or Path("runs") / f"{_stem(reward)}-{time.strftime('%Y%m%d-%H%M%S')}"
    _check_needs(settings)
    _check_folder(folder)
    _run(compiled, settings, folder, quiet)


def _task(task: str | None) -> dict[str, Any]:
    """A task's name; a file of rows is named as such."""
    if task is not None and re.search(r"\.(jsonl|ndjson|json|parquet|pq)$", task):
        return {"task.name": "rows", "task.data": task}
    return {"task.name": task}


def _stem(reward: str | None) -> str:
    return Path(reward).stem if reward not in (None, "-") else "train"


def _compiled(source: Source, suite: str | None, column: list[str] | None) -> Reward:
    """The reward; what is wrong with it is listed as by `check`, with exit code 1."""
    found = read_settings(source, suite, column)
    try:
        return derl_dsl.compile(
            source.text, found.suite, found.columns, found.outcome, limits=found.sizes
        )
    except derl_dsl.RewardError as error:
        typer.echo(render(error.diagnostics, source), err=True)
        raise typer.Exit(1) from None


def _check_needs(config: TrainConfig) -> None:
    """Fail when a library that the run needs is not installed."""
    missing = [name for name in NEEDS if find_spec(name) is None]
    if config.policy.lora_rank and find_spec("peft") is None:
        missing.append("peft")
    if missing:
        fail(f"train needs {', '.join(missing)}: pip install 'derl-dsl[train]'")
    reporters = config.trl.get("report_to", "none")
    for name in [reporters] if isinstance(reporters, str) else reporters:
        packages = REPORTERS.get(name, ())
        if packages and not any(map(find_spec, packages)):
            fail(f"--report-to {name} needs {packages[0]}: pip install {packages[0]}")


def _check_folder(folder: Path) -> None:
    if os.environ.get("RANK", "0") != "0":
        return  # of several processes by torchrun, the first one's
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        fail(f"{folder}: the folder is not empty; choose another with --out")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        fail(f"{folder}: cannot make the folder: {error.strerror}")


def _run(reward: Reward, config: TrainConfig, folder: Path, quiet: bool) -> None:
    # Forked tokenizers have nothing to say about it.
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    take_one(visible())
    from derl_trainers.inner.alone import prepare, train
    from derl_trainers.policy.loading import ModelMissing

    first = os.environ.get("RANK", "0") == "0"
    view = TrainView(quiet or not first)
    try:
        prepared = prepare(reward, config)
        view.begin(reward, prepared, config)
        with ended_as_by_ctrl_c(), view:
            trained = train(
                prepared,
                config,
                folder,
                view.warm,
                view.progress,
                view.step,
                view.alarm,
                view.scored,
            )
        if first:
            view.finish(reward, trained, folder)
    except (ConfigError, TaskError, ModelMissing) as error:
        _gone(folder)
        fail(str(error))
    except (RewardFault, Diverged) as error:
        for line in reward.faults.summary():
            typer.echo(f"fault: {line}", err=True)
        typer.echo(f"derl-dsl: {error}", err=True)
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        typer.echo("derl-dsl: interrupted; nothing was saved", err=True)
        raise typer.Exit(130) from None


def _gone(folder: Path) -> None:
    """Remove the folder of a run that never began, if nothing is in it."""
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()
