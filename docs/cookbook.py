"""The cookbook's part that is generated: one reward, exported to every trainer, by the command."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from derl_dsl.adapters.targets import TARGETS

_REWARD = Path(__file__).resolve().parents[1] / "examples" / "reward.derl"


def cookbook() -> str:
    """A section for each trainer: what it carries, the command, and what the command prints."""
    with TemporaryDirectory() as folder:
        Path(folder, "reward.derl").write_bytes(_REWARD.read_bytes())
        return "\n".join(_section(name, folder) for name in TARGETS)


def _section(name: str, folder: str) -> str:
    target = TARGETS[name]
    carries = {
        "group functions": target.groups, "progress": target.progress, "rows it skips": target.skips
    }  # fmt: skip
    can = [what for what, yes in carries.items() if yes]
    told = f"It carries {', '.join(can)}." if can else "Each rollout is scored by itself."
    command = f"derl-dsl export reward.derl --for {name} -o {name.replace('-', '_')}_reward.py"
    done = subprocess.run(
        [sys.executable, "-m", "derl_dsl", *command.split()[1:]],
        cwd=folder, capture_output=True, text=True, check=False,
        env={**os.environ, "COLUMNS": "96", "NO_COLOR": "1"},
    )  # fmt: skip
    if done.returncode:
        raise SystemExit(f"{command}\n{done.stdout}{done.stderr}")
    printed = done.stdout.rstrip().replace(os.path.realpath(folder), "/rewards")
    return (
        f"## {target.title}\n\nVersion {target.version}. {told} A row that failed: "
        f"{target.policies[0]}.\n\n```console\n$ {command}\n{printed}\n```\n"
    )
