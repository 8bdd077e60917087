"""`derl-dsl doctor`: what of derl-dsl works on this machine, and how to get what is missing."""

from __future__ import annotations

import json
from dataclasses import asdict

import typer

from derl_dsl.cli.inputs import AsFormat, Format, show_no_logs, versioned
from derl_dsl.tools.doctor import Check, examine, facts

_COLOURS = {"ok": "green", "missing": "yellow", "broken": "red"}


def doctor_command(
    format: AsFormat = Format.text,
) -> None:
    """Say what works on this machine, what is missing, and how to install it.

    Looks at Python, the packages and their versions, extras, kernels and their cache, the sandbox,
    the GPU and Java. What is missing is optional; what is broken stops a command.

    Exits 0, 1 when something is broken.
    """
    show_no_logs()
    known = facts()
    if format is Format.json:
        checks = list(examine())
        broken = any(c.state == "broken" for c in checks)
        record = {"about": known, "ok": not broken, "checks": [asdict(c) for c in checks]}
        typer.echo(json.dumps(versioned("doctor", record), ensure_ascii=False, indent=2))
        raise typer.Exit(1 if broken else 0)
    typer.echo(f"derl-dsl {known['derl-dsl']}, {known['platform']}, {known['cores']} cores")
    checks = []
    for check in examine():
        if not checks or checks[-1].group != check.group:
            typer.echo(f"\n{check.group}")
        checks.append(check)
        _print(check)
    counts = {state: sum(c.state == state for c in checks) for state in _COLOURS}
    told = f"{counts['ok']} ok, {counts['missing']} missing (optional), {counts['broken']} broken"
    typer.echo(f"\n{told}")
    raise typer.Exit(1 if counts["broken"] else 0)


def _print(check: Check) -> None:
    state = typer.style(f"{check.state:8}", fg=_COLOURS[check.state])
    typer.echo(f"  {state}{check.name:18}{check.found}")
    if check.fix and check.state != "ok":
        typer.echo(f"  {'':26}→ {check.fix}")
