"""The command line: one command a file, registered here; the trainers' come by entry point."""

from __future__ import annotations

import typer

app = typer.Typer(add_completion=False)


def main() -> None:
    """Run `derl-dsl`."""
    app()
