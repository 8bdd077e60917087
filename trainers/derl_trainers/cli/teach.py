"""`derl-dsl teach`: a policy learns a task's own solutions before any reward trains it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from derl_trainers.cli.shared import check_extras, ended_as_by_ctrl_c, fail
from derl_trainers.reading import ConfigError
from derl_trainers.settings.train import load_train_config, parse_set
from derl_trainers.tasks.base import TaskError


def teach_command(
    out: Annotated[
        Path, typer.Option(help="Folder of the taught policy, new or of equal lessons.")
    ],
    task: Annotated[str, typer.Option(help="gsm8k, math, gsm8k-math or rows.")] = "gsm8k",
    policy: Annotated[
        str, typer.Option(help="smollm2, a model's folder, a .gguf file, or a hub id.")
    ] = "smollm2",
    data: Annotated[str | None, typer.Option(help="The task's problems: file or hub id.")] = None,
    steps: Annotated[int, typer.Option(min=1, help="Steps of supervised training.")] = 300,
    batch: Annotated[int, typer.Option(min=1, help="Solutions a step.")] = 8,
    learning_rate: Annotated[float, typer.Option(min=0, help="Highest, of a cosine.")] = 1e-4,
    seed: Annotated[int, typer.Option(min=0, help="Order of the solutions.")] = 0,
    bf16: Annotated[
        bool, typer.Option("--bf16", help="Products of bfloat16, as on CUDA: see the CPU's flags.")
    ] = False,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", help="Any setting of task or policy: section.key=value."),
    ] = None,
) -> None:
    """Fine-tune a policy on the solutions of a task's training problems, for `--policy` of train.

    Equal lessons are not repeated. Validation and test problems are not read.
    """
    flags = dict(map(parse_set, set_ or []))
    flags |= {"task.name": task, "policy.model": policy}
    if data is not None:
        flags["task.data"] = data
    try:
        settings = load_train_config(None, flags)
    except ConfigError as error:
        fail(str(error))
    if settings.policy.built:
        fail("--policy tiny: is built and taught by its task; name another model")
    check_extras("teach")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    from derl_trainers.policy.teach import Lessons, teach

    lessons = Lessons(steps, batch, learning_rate, seed, bf16)
    try:
        with ended_as_by_ctrl_c():
            made = teach(settings.task, settings.policy, lessons, out, _said)
    except TaskError as error:
        fail(str(error))
    except KeyboardInterrupt:
        typer.echo("derl-dsl: interrupted; nothing was saved", err=True)
        raise typer.Exit(130) from None
    typer.echo(f"{out}: {'taught' if made else 'there already, by equal lessons'}")


def _said(step: int, steps: int, metrics: dict[str, float]) -> None:
    if step == 1 or step % 10 == 0 or step == steps:
        typer.echo(f"  step {step}/{steps}: loss {metrics['loss']:.3f}")
