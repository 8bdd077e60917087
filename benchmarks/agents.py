"""Rewards for agents on generated ALFWorld, with a small policy on two cores.

    python -m benchmarks.agents --policy-only            # the warm-started policies, cached
    python -m benchmarks.agents --levels L0,L1,L2 --seeds 3 --steps 24 --games 200

Each seed has one start policy, behaviour-cloned from the scripted expert and kept in `--cache`.
Each reward trains a copy of it with the same games and seed, and is scored greedily on the level's
test games; differences to the outcome alone are paired by seed. The games are generated and the
policy has 0.4M parameters: no figure here compares to those of 1.5B models on the official games.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

import torch

import derl_dsl
from derl_trainers.estimates import interval, wilson
from derl_trainers.inner.agents import AgentConfig, success, train_agent
from derl_trainers.policy.loading import load_model, save_whole
from derl_trainers.policy.words import (
    WordPolicy,
    Words,
    build_words,
    expert_transcript,
    warm_start,
)
from derl_trainers.tasks.environments.alfworld import levels
from derl_trainers.tasks.environments.alfworld.environment import Alfworld
from derl_trainers.tasks.environments.base import Games
from derl_trainers.tasks.environments.episodes import shown

# Name, suite, text, and how step rewards become advantages.
REWARDS = (
    ("outcome", "agent", "solved", "none"),
    ("mean of primitives", "derl-agent", "(g1 + g2 + g3 + g4) / 4", "none"),
    ("new actions", "agent", "steps = is_new(actions)\nreward = solved", "rlvmr"),
    ("gain", "agent", "steps = gain(scores)\nreward = solved", "gigpo"),
)


def games(level: str, count: int) -> Games:
    """The games of a level: `count` to test on."""
    sizes = {"train": 600, "validation": 60, "valid_seen": count, "valid_unseen": count}
    return levels.games(level, sizes)


def start_policy(level: str, seed: int, options: argparse.Namespace) -> Path:
    """The folder of a warm-started policy; built when it is not there."""
    # L0 and L1 train on the same games.
    kinds = "four" if level == "L2" else "six"
    path = Path(options.cache) / f"words-{kinds}-{options.receptacles}-{options.lessons}-{seed}"
    if path.exists():
        return path
    environment = Alfworld(receptacles=options.receptacles)
    found = games(level, options.games).train[: 6 * options.lessons]
    plans = {g: environment.plan(g, detours=(k + seed) % 3) for k, g in enumerate(found)}
    texts: list[str] = []
    for game, plan in plans.items():
        turn = environment.reset(game)
        for command in [*plan, None]:
            texts += [shown(turn.observation), *turn.commands]
            turn = environment.step(command) if command is not None else turn
    tokenizer = build_words(texts)
    words = Words(tokenizer)
    transcripts = [expert_transcript(environment, g, plan, words) for g, plan in plans.items()]
    model = warm_start(transcripts, tokenizer, WordPolicy(steps=options.lessons), seed)
    save_whole(model, tokenizer, path)
    return path


def measure(level: str, seed: int, reward: tuple[str, ...] | None, options: Any) -> dict[str, Any]:
    """One run: train a copy of the start policy (or leave it, without a reward) and score it."""
    model, tokenizer = load_model(start_policy(level, seed, options))
    words, found = Words(tokenizer), games(level, options.games)
    make = partial(Alfworld, receptacles=options.receptacles)
    advantage = reward[3] if reward else "none"
    config = AgentConfig(
        steps=options.steps, prompts=8, num_generations=8, advantage=advantage, seed=seed,
        weight=0.5,
    )  # fmt: skip
    begun, record = time.perf_counter(), {}
    if reward is not None:
        compiled = derl_dsl.compile(reward[2], suite=reward[1])
        with tempfile.TemporaryDirectory() as scratch:
            run = train_agent(
                compiled, model, words, make, found.train, found.kinds, config, scratch
            )
        share = run.environment_seconds / run.seconds
        record = {"train_seconds": run.seconds, "environment_share": share, "lost": sum(run.lost)}
    solved, lost = success(model, words, make, found.test, config)
    name = reward[0] if reward else "start"
    return {
        "level": level, "seed": seed, "reward": name, "solved": solved, "games": len(found.test),
        "lost_in_test": lost, "seconds": time.perf_counter() - begun, **record,
    }  # fmt: skip


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
    parser.add_argument("--levels", default="L0,L1,L2")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=24, help="GRPO steps of 64 episodes")
    parser.add_argument("--games", type=int, default=200, help="test games a level")
    parser.add_argument("--lessons", type=int, default=100, help="steps of the warm start")
    parser.add_argument("--receptacles", type=int, default=8, help="in a room; 0 = all")
    parser.add_argument("--cache", default=".benchmarks/agents")
    parser.add_argument("--out", default="")
    parser.add_argument("--policy-only", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)  # two threads on small matrices are slower than one
    rows: list[dict[str, Any]] = []
    for level in options.levels.split(","):
        for seed in range(options.seeds):
            if options.policy_only:
                print(start_policy(level, seed, options), flush=True)
                continue
            for reward in (None, *REWARDS):
                rows.append(measure(level, seed, reward, options))
                print(json.dumps(rows[-1]), flush=True)
                if options.out:
                    Path(options.out).write_text(json.dumps(rows, indent=1), encoding="utf-8")
    if rows:
        print(table(rows))


if __name__ == "__main__":
    main()
