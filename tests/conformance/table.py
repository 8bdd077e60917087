"""The table of targets: for each its probe, and the page that is written of what was seen."""

from __future__ import annotations

from dataclasses import dataclass, field

# Target -> module of its probe; axolotl and unsloth take the file of trl.
PROBES = {
    "trl": "trl",
    "trl-async-grpo": "trl_async_grpo",
    "axolotl": "axolotl",
    "unsloth": "unsloth",
    "verl": "verl",
    "verifiers": "verifiers",
    "ms-swift": "ms_swift",
    "openrlhf": "openrlhf",
    "slime": "slime",
    "slime-group": "slime_group",
    "miles": "miles",
    "miles-group": "miles_group",
    "skyrl-gym": "skyrl_gym",
    "openenv": "openenv",
    "openenv-trajectory": "openenv_trajectory",
    "atropos": "atropos",
    "areal": "areal",
    "areal-agent": "areal_agent",
    "tinker": "tinker",
    "nemo-gym": "nemo_gym",
    "nemo-rl": "nemo_rl",
    "torchtitan": "torchtitan",
    "art": "art",
}
# What installs in seconds; CI runs these.
QUICK = ("trl", "slime", "slime-group", "tinker", "skyrl-gym", "atropos", "openrlhf", "areal")
CHECKS = ("values", "parts", "steps", "fault", "NaN", "hang")


@dataclass(slots=True)
class Result:
    """What was seen of one target."""

    target: str
    how: str
    version: str = ""
    rewards: int = 0
    refused: int = 0
    wrong: list[str] = field(default_factory=list)
    checks: dict[str, str] = field(default_factory=dict)
    setting: str = ""
    broken: str = ""


def page(results: list[Result], date: str) -> str:
    """The page of the table."""
    out = [
        "# Trainers\n",
        "<!-- Written by `make conformance`. -->\n",
        "Each target is run with every reward of the gallery that it can carry, on the rows of the "
        "gallery's own tests, and with rewards that fail, are NaN or hang; its numbers are held "
        "against `reward.score`. *equal*: all of them, as exactly as its protocol allows. What is "
        "refused is refused by `derl-dsl export` with a diagnostic.\n",
        f"Run on {date}.\n",
        "| target | version | what ran | rewards | refused | "
        + " | ".join(CHECKS)
        + " | its config |",
        "|---" * (6 + len(CHECKS)) + "|",
    ]
    for r in results:
        if r.broken:
            rest = " |" * (3 + len(CHECKS))
            out.append(f"| {r.target} | {r.version} | did not run: {r.broken} |{rest}")
            continue
        checks = " | ".join(r.checks.get(name, "–") for name in CHECKS)
        out.append(
            f"| {r.target} | {r.version} | {r.how} | {r.rewards} | {r.refused} | {checks} "
            f"| {r.setting or '–'} |"
        )
    wrong = [f"- {r.target}: {w}" for r in results for w in r.wrong]
    if wrong:
        out += ["\nDifferences:\n", *wrong]
    return "\n".join(out) + "\n"
