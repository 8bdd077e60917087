"""Rewards for agents on generated ALFWorld, with a small policy on two cores.

    python -m benchmarks.agents --policy-only            # the warm-started policies, cached
    python -m benchmarks.agents --levels L0+L1,L2 --seeds 3 --steps 24 --games 200

Each seed has one start policy, taught by the scripted expert and kept in `--cache`. Each reward
trains a copy of it with the same games and seed, and is scored greedily on the games of each level;
differences to the outcome alone are paired by seed. `--formula` adds one, such as the best that
`derl-dsl meta-train alfworld` found. The games are generated and the policy has 0.4M parameters: no
figure here compares to those of 1.5B models on the official games.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import torch

import derl_dsl
from derl_trainers.estimates import interval, wilson
from derl_trainers.inner.loop import train_inner
from derl_trainers.inner.players import right_of
from derl_trainers.policy.loading import load_policy
from derl_trainers.policy.start import start_policy
from derl_trainers.settings.sections import (
    AgentSection,
    BudgetSection,
    InnerSection,
    PolicySection,
    TinySection,
    Training,
)
from derl_trainers.tasks.base import Example, Task
from derl_trainers.tasks.environments.alfworld.section import AlfworldSection
from derl_trainers.tasks.load import load_task
from derl_trainers.tasks.table import TaskSection

# Name, suite, text, and how step rewards become advantages.
REWARDS = (
    ("outcome", "derl-agent", "g1", "none"),
    ("mean of primitives", "derl-agent", "(g1 + g2 + g3 + g4) / 4", "none"),
    ("RLVMR", "derl-agent", "steps = step_scores\nreward = g1", "rlvmr"),
    ("new actions", "agent", "steps = is_new(actions)\nreward = solved", "rlvmr"),
    ("gain", "agent", "steps = gain(scores)\nreward = solved", "gigpo"),
)


def training(levels: str, options: argparse.Namespace, advantage: str = "none") -> Training:
    """The settings of a run; `levels` such as L0+L1, which train alike."""
    games = AlfworldSection(
        levels=tuple(levels.split("+")), receptacles=options.receptacles, test_size=options.games
    )
    agent = AgentSection(limit=options.limit, advantage=advantage, weight=0.5)
    return Training(
        task=TaskSection(name="alfworld", alfworld=games),
        policy=PolicySection(tiny=TinySection(steps=options.lessons, batch_size=16)),
        inner=InnerSection(
            steps=options.steps, prompts=options.prompts, num_generations=8, updates=1,
            learning_rate=3e-5, agent=agent,
        ),
        budget=BudgetSection(flat_steps=0),
        eval_batch=64,
    )  # fmt: skip


def start(levels: str, seed: int, options: argparse.Namespace) -> str:
    """The folder of a warm-started policy; built when it is not there."""
    made = training(levels, options)
    return start_policy(made.task, made.policy, Path(options.cache), seed)


def measure(
    levels: str, seed: int, reward: tuple[str, ...] | None, options: argparse.Namespace
) -> list[dict[str, Any]]:
    """One run, a row a level: train a copy of the start policy (without a reward: none)."""
    made = training(levels, options, reward[3] if reward else "none")
    path, task = start(levels, seed, options), load_task(made.task)
    begun = time.perf_counter()
    record: dict[str, Any] = {}
    if reward is None:
        model, tokenizer = load_policy(path, made.policy)
        right = right_of(model, tokenizer, task.test, _unused, made).tolist()
    else:
        compiled = derl_dsl.compile(reward[2], suite=reward[1])
        run = train_inner(compiled, path, task.train, task.test, made, seed=seed)
        right = list(run.right)
        record = {
            "train_seconds": run.training_seconds,
            "environment_share": run.environment_seconds / run.training_seconds,
            "lost": run.lost,
        }
    record |= {"seed": seed, "reward": reward[0] if reward else "start",
               "seconds": time.perf_counter() - begun}  # fmt: skip
    return [{"level": level, "solved": share, "games": count, **record}
            for level, (share, count) in _by_level(task, right).items()]  # fmt: skip


def _by_level(task: Task, right: list[bool]) -> dict[str, tuple[float, int]]:
    parts: dict[str, list[bool]] = {}
    for one, example in zip(right, task.test, strict=True):
        parts.setdefault(example.source, []).append(one)
    return {level: (sum(each) / len(each), len(each)) for level, each in parts.items()}


def _unused(*_: list[Example]) -> Any:
    raise AssertionError("games are won or lost, not scored")


def table(rows: list[dict[str, Any]]) -> str:
    """Success by level and reward, and the paired difference to the outcome alone."""
    lines = ["| level | reward | solved | difference to outcome |", "|---|---|---|---|"]
    for level in dict.fromkeys(r["level"] for r in rows):
        of = {(r["reward"], r["seed"]): r for r in rows if r["level"] == level}
        for name in dict.fromkeys(r["reward"] for r in rows):
            seeds = [seed for n, seed in of if n == name]
            found = [of[name, seed]["solved"] for seed in seeds]
            base = [of["outcome", s]["solved"] for s in seeds if ("outcome", s) in of]
            lines.append(f"| {level} | {name} | {_shown(found, of[name, seeds[0]]['games'])} | "
                         f"{_difference(found, base) if name != 'outcome' else ''} |")  # fmt: skip
    return "\n".join(lines)


def _shown(values: list[float], count: int) -> str:
    if len(values) == 1:
        low, high = wilson(round(values[0] * count), count)
        return f"{values[0]:.3f} [{low:.3f}, {high:.3f}]"
    mean, half = interval(values)
    return f"{mean:.3f} ± {half:.3f}"


def _difference(values: list[float], base: list[float]) -> str:
    if len(values) != len(base):
        return ""
    apart = [v - b for v, b in zip(values, base, strict=True)]
    if len(apart) == 1:
        return f"{apart[0]:+.3f}"
    mean, half = interval(apart)
    return f"{mean:+.3f} ± {half:.3f}"


def main() -> None:
    """Build the policies, train with each reward, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--levels", default="L0+L1,L2")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=24, help="GRPO steps")
    parser.add_argument("--prompts", type=int, default=8, help="games a step, 8 episodes each")
    parser.add_argument("--limit", type=int, default=30, help="steps of an episode")
    parser.add_argument("--games", type=int, default=200, help="test games a level")
    parser.add_argument("--lessons", type=int, default=100, help="steps of the warm start")
    parser.add_argument("--receptacles", type=int, default=8, help="in a room; 0 = all")
    parser.add_argument("--formula", help="one more reward over derl-agent, as `best found`")
    parser.add_argument("--rewards", help="names of those to train; all without it")
    parser.add_argument("--cache", default=".benchmarks/agents")
    parser.add_argument("--out", default="")
    parser.add_argument("--policy-only", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)  # two threads on small matrices are slower than one
    extra = (("best found", "derl-agent", options.formula, "none"),) if options.formula else ()
    chosen = [
        r
        for r in (*extra, *REWARDS)
        if options.rewards is None or r[0] in (*options.rewards.split(","), "best found")
    ]
    rows: list[dict[str, Any]] = []
    for levels in options.levels.split(","):
        for seed in range(options.seeds):
            if options.policy_only:
                print(start(levels, seed, options), flush=True)
                continue
            for reward in (None, *chosen):
                rows += measure(levels, seed, reward, options)
                print(json.dumps(rows[-1]), flush=True)
                if options.out:
                    Path(options.out).write_text(json.dumps(rows, indent=1), encoding="utf-8")
    if rows:
        print(table(rows))


if __name__ == "__main__":
    main()
