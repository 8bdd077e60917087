"""Rollouts of the start policy on training problems, as columns that rewards read."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from derl_trainers.inner.games import columns_of
from derl_trainers.inner.players import Players
from derl_trainers.policy.answers import chat_for, completed
from derl_trainers.policy.loading import load_policy
from derl_trainers.policy.quiet import quiet
from derl_trainers.settings.run import RunConfig
from derl_trainers.tasks.base import Example
from derl_trainers.tasks.environments.played import PlayedTask
from derl_trainers.tasks.load import examples, load_task, task_columns

_BATCH = 256  # completions sampled at once


@dataclass(frozen=True, slots=True)
class Rollouts:
    """Completions in groups of `group_size` neighbours, one group a prompt; columns are (B,)."""

    columns: dict[str, list[Any]]
    group_size: int


def sample_rollouts(policy: str, config: RunConfig) -> Rollouts:
    """About `[proposer.graph] rollouts` completions of the policy in a folder, as the inner loop
    samples them; the same for the same seed."""
    inner = config.inner
    size = inner.num_generations
    training, _ = examples(load_task(config.task, task_columns(config.suite)), "search")
    groups = min(len(training), max(1, config.proposer.graph.rollouts // size))
    chosen = random.Random(config.seed).sample(training, groups)
    if config.task.played is not None:
        return _episodes(config.task.played, policy, config, chosen)
    with quiet():
        model, tokenizer = load_policy(policy, config.policy)
        model.eval()
        chat = chat_for(tokenizer, config.policy.chat, config.policy.system)
        completions: list[str] = []
        devices = [model.device] if model.device.type == "cuda" else []
        with torch.random.fork_rng(devices=devices):
            torch.manual_seed(config.seed)
            at_once = max(1, _BATCH // size)
            for start in range(0, groups, at_once):
                part = chosen[start : start + at_once]
                completions += completed(
                    model, tokenizer, part, inner.max_completion_length, chat,
                    inner.temperature, size,
                )  # fmt: skip
    return Rollouts(_columns(chosen, completions, size), size)


def _episodes(
    played: PlayedTask, policy: str, config: RunConfig, chosen: Sequence[Example]
) -> Rollouts:
    """Episodes of the policy in groups of one game; those that an environment lost leave None."""
    size = config.inner.num_generations
    with quiet():
        model, tokenizer = load_policy(policy, config.policy)
        players = Players(played, config.training, tokenizer)
        devices = [model.device] if model.device.type == "cuda" else []
        try:
            with torch.random.fork_rng(devices=devices):
                torch.manual_seed(config.seed)
                at_once = max(1, _BATCH // size)
                rollouts = [
                    rollout
                    for start in range(0, len(chosen), at_once)
                    for rollout in players.episodes(
                        model,
                        [e for e in chosen[start : start + at_once] for _ in range(size)],
                        greedy=False,
                    )
                ]
        finally:
            players.close()
    return Rollouts(columns_of(rollouts, config.inner.agent.step_scores), size)


def _columns(chosen: Sequence[Example], completions: list[str], size: int) -> dict[str, list[Any]]:
    """What a reward reads of each completion; columns that not every example has are left out."""
    names = set.intersection(*(set(example.columns) for example in chosen))
    rows = [example for example in chosen for _ in range(size)]
    found: dict[str, list[Any]] = {name: [e.columns[name] for e in rows] for name in sorted(names)}
    return found | {
        "prompt": [e.prompt for e in rows],
        "completion": list(completions),
        "answer": [e.answer for e in rows],
    }
