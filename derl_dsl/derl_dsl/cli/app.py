"""The command line: one command a file, registered here; the trainers' come by entry point."""

from __future__ import annotations

import sys
from importlib.metadata import entry_points
from typing import Annotated

import typer

from derl_dsl.cli.check import check_command
from derl_dsl.cli.fmt import fmt_command
from derl_dsl.cli.lsp import lsp_command

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


def _version(wanted: bool) -> None:
    if wanted:
        from derl_dsl import __version__

        typer.echo(f"derl-dsl {__version__}")
        raise typer.Exit


@app.callback()
def _derl_dsl(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Rewards for language-model RL: checked, compiled, evolved."""


app.command("check")(check_command)
app.command("fmt")(fmt_command)
app.command("lsp")(lsp_command)

# Commands that need NumPy or a trainer are registered only when one of them may be meant.
_LIGHT = {"check", "fmt", "lsp"}


def register_all() -> None:
    """Register the commands that are imported on demand."""
    from derl_dsl.cli.audit import audit_command
    from derl_dsl.cli.eval import eval_command

    app.command("audit")(audit_command)
    app.command("eval")(eval_command)
    for point in entry_points(group="derl_dsl.commands"):
        point.load()(app)


def main() -> None:
    """Run `derl-dsl`; Ctrl-C ends it with exit code 130."""
    if len(sys.argv) < 2 or sys.argv[1] not in _LIGHT:
        register_all()
    try:
        app(prog_name="derl-dsl")
    except KeyboardInterrupt:
        typer.echo("derl-dsl: interrupted", err=True)
        sys.exit(130)
