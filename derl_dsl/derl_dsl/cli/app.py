"""The command line: one command a file, named in the table; the trainers' come by entry point."""

from __future__ import annotations

import ast
import gc
import os
import sys
from collections.abc import Mapping
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from derl_dsl.cli.terminal import strict_streams
from derl_dsl.version import __version__
from derl_grammar.near import suggestion


class _Commands(TyperGroup):
    """The commands; a name that is none of them is answered with the nearest one, once."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command that the first word names."""
        if args and not args[0].startswith("-") and args[0] not in self.commands:
            ctx.fail(f"no command {args[0]!r}{suggestion(args[0], self.commands)}")
        return super().resolve_command(ctx, args)


app = typer.Typer(cls=_Commands, no_args_is_help=True, pretty_exceptions_enable=False)
# What shells set when they ask for what could come next.
_COMPLETE = "_DERL_DSL_COMPLETE"

# A command's module is imported when it is called, so that `check` starts without NumPy.
# Extensions add theirs.
COMMANDS = {
    "new": "derl_dsl.cli.new:new_command",
    "check": "derl_dsl.cli.check:check_command",
    "fmt": "derl_dsl.cli.fmt:fmt_command",
    "explain": "derl_dsl.cli.explain:explain_command",
    "eval": "derl_dsl.cli.eval:eval_command",
    "why": "derl_dsl.cli.why:why_command",
    "audit": "derl_dsl.cli.audit:audit_command",
    "search": "derl_dsl.cli.search:search_command",
    "primitives": "derl_dsl.cli.primitives:primitives_command",
    "grammar": "derl_dsl.cli.grammar:grammar_command",
    "test": "derl_dsl.cli.test:run_command",
    "bench": "derl_dsl.cli.bench:bench_command",
    "attack": "derl_dsl.cli.attack:attack_command",
    "diff": "derl_dsl.cli.diff:diff_command",
    "forecast": "derl_dsl.cli.forecast:forecast_command",
    "replay": "derl_dsl.cli.replay:replay_command",
    "export": "derl_dsl.cli.export:export_command",
    "import": "derl_dsl.cli.imports:import_command",
    "sandbox": "derl_dsl.cli.sandbox:sandbox_command",
    "doctor": "derl_dsl.cli.doctor:doctor_command",
    "lsp": "derl_dsl.cli.lsp:lsp_command",
}


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"derl-dsl {__version__}")
        raise typer.Exit


@app.callback()
def _derl_dsl(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Rewards for language-model RL: checked, compiled, evolved."""


def register(to: typer.Typer, commands: Mapping[str, str]) -> None:
    """Import commands, given as `module:function`, and add them to an application."""
    for name, place in commands.items():
        module, function = place.split(":")
        to.command(name)(getattr(import_module(module), function))


def find_extensions() -> None:
    """Put the commands of installed extensions into the table."""
    from importlib.metadata import entry_points  # 15 ms that the commands themselves save

    for point in entry_points(group="derl_dsl.commands"):
        point.load()(COMMANDS)


def register_all() -> None:
    """Add all commands, those of installed extensions included."""
    find_extensions()
    register(app, COMMANDS)


def _list_commands() -> None:
    """Add all commands as `--help` lists them: a name and what its function says, not imported."""
    for name, place in COMMANDS.items():
        module, function = place.split(":")
        spec = find_spec(module)
        assert spec is not None
        assert spec.origin is not None
        tree = ast.parse(Path(spec.origin).read_text("utf-8"))
        found = (d for d in tree.body if isinstance(d, ast.FunctionDef) and d.name == function)
        app.command(name, help=ast.get_docstring(next(found)))(lambda: None)


def _words() -> list[str]:
    """The words of the command line: of this one, or of the one that a shell completes."""
    if _COMPLETE not in os.environ:
        return sys.argv[1:]
    typed = os.environ.get("_TYPER_COMPLETE_ARGS") or os.environ.get("COMP_WORDS", "")
    return typed.split()[1:]


def main() -> None:
    """Run `derl-dsl`; Ctrl-C ends it with exit code 130."""
    gc.disable()  # what imports make stays: looking for garbage in it is a tenth of the start
    called = next((word for word in _words() if not word.startswith("-")), "")
    if called not in COMMANDS:
        find_extensions()
    if called in COMMANDS:
        register(app, {called: COMMANDS[called]})
    else:
        _list_commands()
    gc.freeze()
    gc.enable()
    with strict_streams():
        try:
            app(prog_name="derl-dsl")
        except KeyboardInterrupt:
            typer.echo("derl-dsl: interrupted", err=True)
            sys.exit(130)
