"""`derl-dsl meta-train`: a search for rewards, begun or gone on with."""

from __future__ import annotations

import json
import os
import sys
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from derl_dsl.tools.console import Console
from derl_trainers.cli.shared import (
    RUNS,
    check_extras,
    check_task,
    check_writable,
    ended_as_by_ctrl_c,
    fail,
    no_room,
    run_folder,
)
from derl_trainers.outer.inherit import inherited
from derl_trainers.outer.proposers.endpoint import EndpointError
from derl_trainers.reading import ConfigError
from derl_trainers.runs.executors import prepare
from derl_trainers.runs.executors.devices import take_one, visible
from derl_trainers.runs.runner import JobFailed
from derl_trainers.runs.store import Store, StoreError
from derl_trainers.runs.view import WIDTH, View
from derl_trainers.settings.run import KEPT, load_config, load_custom, parse_config, wants_hub
from derl_trainers.settings.train import parse_set


def meta_train_command(
    config: Annotated[
        str | None,
        typer.Argument(
            help="A config: demo (the default), smollm2, or a TOML file (trainers/CONFIG.md).",
            show_default=False,
        ),
    ] = None,
    run_dir: Annotated[
        Path | None,
        typer.Option(help="Folder of this run, new or empty; runs/<name>-<time> by default."),
    ] = None,
    resume: Annotated[
        Path | None,
        typer.Option(help="Go on with this run, which was killed or interrupted; as it was set."),
    ] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Seed, instead of the config's.")] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", help="Any setting: section.key=value, such as meta.steps=8."),
    ] = None,
    begin_from: Annotated[
        Path | None,
        typer.Option(
            "--from",
            help="A finished run: begin with its trained meta-optimizer and its best formulas.",
            show_default=False,
        ),
    ] = None,
    shared: Annotated[
        Path | None,
        typer.Option(
            help="Folder of start policies and scored rewards that several runs share.",
            show_default=False,
        ),
    ] = None,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run",
            help="Begin nothing: print counts, tokens, minutes, memory, and what would be refused.",
        ),
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Show the final table alone.")] = False,
) -> None:
    """Let a language model learn to write rewards that train a policy well.

    Exits 0; 1 when a dry run finds what would be refused; 2 when an input cannot be used; 130 when
    it was interrupted.
    """
    try:
        if resume is not None:
            if any(given is not None for given in (config, run_dir, seed, begin_from)) or set_:
                fail("--resume goes on with a run as it was set: give no config, seed or setting")
            settings, folder = _stored(resume)
        else:
            earlier = [] if begin_from is None else inherited(run_folder(begin_from))
            settings = _given(config or "demo", seed, [*earlier, *(set_ or [])])
            folder = run_dir or RUNS / f"{settings.name}-{time.strftime('%Y%m%d-%H%M%S')}"
            if not dry_run:
                check_writable(folder)
    except (ConfigError, StoreError) as error:
        fail(str(error))
    check_extras("meta-train")
    if dry_run:
        _plan(settings)
        return
    check_task(settings)
    _run(settings, folder, quiet, resume is not None, shared)


def _plan(settings: Any) -> None:
    """Print what a run would do and cost."""
    from derl_trainers.outer.plan import plan  # torch, when it is wanted

    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    refused = plan(settings, typer.echo, lambda what: typer.echo(what, err=True))
    for line in refused:
        typer.echo(f"refused: {line}")
    if refused:
        raise typer.Exit(1)
    typer.echo("nothing would be refused")


def _given(config: str, seed: int | None, flags: list[str]) -> Any:
    settings = load_config(config, dict(map(parse_set, flags)))
    load_custom(settings)
    return settings if seed is None else replace(settings, seed=seed)


def _stored(run: Path) -> tuple[Any, Path]:
    """The settings of a run as its store has them, and its folder."""
    folder = run_folder(run)
    try:
        with closing(Store.open(folder)) as store:
            row = store.run()
    except StoreError as error:
        fail(str(error))
    if row["status"] == "finished":
        fail(f"{folder}: the run is finished; see `derl-dsl runs show {folder}`")
    settings = parse_config(json.loads(row["config"]), str(folder / "run.db"))
    load_custom(settings, folder / KEPT)
    return settings, folder


def _run(settings: Any, folder: Path, quiet: bool, resume: bool, shared: Path | None) -> None:
    # Forked tokenizers have nothing to say about it.
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    if not wants_hub(settings):
        os.environ.setdefault("HF_HUB_OFFLINE", "1")
    devices = settings.executor.devices or visible()
    take_one(devices)
    prepare(settings.executor)
    from derl_trainers.outer.meta import meta_train
    from derl_trainers.policy.loading import ModelMissing

    console = Console(markup=True, width=None if sys.stdout.isatty() else WIDTH)
    again = f"go on with it: derl-dsl meta-train --resume {folder}"
    try:
        with ended_as_by_ctrl_c():
            meta_train(settings, folder, View(console, quiet), resume, shared, devices)
    except (ConfigError, StoreError, ModelMissing) as error:
        fail(str(error))
    except (JobFailed, EndpointError) as error:
        fail(f"{error}\n{again}")
    except Exception as error:  # noqa: BLE001 - whatever says that a disk is full; others go on
        fail(f"{no_room(folder, error)}\n{again}")
    except KeyboardInterrupt:
        typer.echo(f"derl-dsl: interrupted; what was done is in {folder}\n{again}", err=True)
        raise typer.Exit(130) from None
