"""The command line: one command a file, named in the table; the trainers' come by entry point."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from importlib import import_module
from typing import Annotated

import typer

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)

# A command's module is imported when it is called, so that `check` starts without NumPy.
COMMANDS = {
    "check": "derl_dsl.cli.check:check_command",
    "fmt": "derl_dsl.cli.fmt:fmt_command",
    "explain": "derl_dsl.cli.explain:explain_command",
    "eval": "derl_dsl.cli.eval:eval_command",
    "audit": "derl_dsl.cli.audit:audit_command",
    "search": "derl_dsl.cli.search:search_command",
    "primitives": "derl_dsl.cli.primitives:primitives_command",
    "grammar": "derl_dsl.cli.grammar:grammar_command",
    "test": "derl_dsl.cli.test:run_command",
    "bench": "derl_dsl.cli.bench:bench_command",
    "export": "derl_dsl.cli.export:export_command",
    "sandbox": "derl_dsl.cli.sandbox:sandbox_command",
    "lsp": "derl_dsl.cli.lsp:lsp_command",
}


def _version(wanted: bool) -> None:
    if wanted:
        from derl_dsl.version import __version__

        typer.echo(f"derl-dsl {__version__}")
        raise typer.Exit


@app.callback()
def _derl_dsl(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Rewards for language-model RL: checked, compiled, evolved."""


def register(names: Iterable[str]) -> None:
    """Add commands of the table to the application."""
    for name in names:
        module, function = COMMANDS[name].split(":")
        app.command(name)(getattr(import_module(module), function))


def register_all() -> None:
    """Add all commands, those of installed extensions included."""
    from importlib.metadata import entry_points  # 15 ms that the commands themselves save

    register(COMMANDS)
    for point in entry_points(group="derl_dsl.commands"):
        point.load()(app)


def main() -> None:
    """Run `derl-dsl`; Ctrl-C ends it with exit code 130."""
    called = sys.argv[1] if len(sys.argv) > 1 else ""
    if called in COMMANDS:
        register([called])
    else:
        register_all()
    try:
        app(prog_name="derl-dsl")
    except KeyboardInterrupt:
        typer.echo("derl-dsl: interrupted", err=True)
        sys.exit(130)
