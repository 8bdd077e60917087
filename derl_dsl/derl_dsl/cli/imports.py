"""`derl-dsl import`: rewards of other systems as reward files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from derl_dsl.checker import check
from derl_dsl.cli.inputs import fail, read_text, say
from derl_dsl.cli.terminal import echo_data
from derl_dsl.tools.graders import GraderError, convert
from derl_runtime.files import write_whole


def import_command(
    grader: Annotated[str, typer.Argument(help="An OpenAI grader, JSON; - reads from stdin.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The file to write; default: print it.")
    ] = None,
) -> None:
    """Write an OpenAI grader (string_check, text_similarity, multi with a formula) as a reward.

    Exits 1 when the grader has no equal as a reward, 2 when it cannot be read or written.
    """
    if output is not None and output.exists() and Path(grader).resolve() == output.resolve():
        fail(f"cannot write {output}: it is the grader itself; take another name")
    found = _read(grader)
    try:
        converted = convert(found)
    except GraderError as error:
        say(str(error))
        raise typer.Exit(1) from None
    wrong = [d for d in check(converted.text) if d.severity == "error"]
    if wrong:
        say(f"the grader has no equal as a reward; its nearest has errors: {wrong[0].message}")
        raise typer.Exit(1)
    for note in converted.notes:
        say(note)
    if output is None:
        echo_data(converted.text, nl=True)
        return
    try:
        write_whole(output, converted.text + "\n")
    except OSError as error:
        fail(f"cannot write {output}: {error.strerror}")
    typer.echo(f"wrote {output}; check it: derl-dsl check {output}")


def _read(path: str) -> dict[str, Any]:
    try:
        found = json.loads(read_text(path))
    except (ValueError, RecursionError) as error:
        fail(f"{path} is no JSON: {error}")
    found = found.get("grader", found) if isinstance(found, dict) else found
    if not isinstance(found, dict) or "type" not in found:
        fail(f"{path} holds no grader: a JSON object with a type")
    return dict(found)
