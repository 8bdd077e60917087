"""The policy that runs start from: built and taught here, or a model that is there already."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from derl_trainers.policy.answers import chat_for
from derl_trainers.policy.loading import ModelMissing, load_policy, unpacked
from derl_trainers.policy.player import build_player
from derl_trainers.policy.quiet import quiet
from derl_trainers.policy.tiny import build_policy
from derl_trainers.policy.words import Words
from derl_trainers.settings.sections import PolicySection
from derl_trainers.tasks.load import load_task
from derl_trainers.tasks.table import TaskSection

Progress = Callable[[int, int, dict[str, float]], None]


def start_policy(
    task: TaskSection,
    policy: PolicySection,
    out_dir: Path,
    seed: int,
    progress: Progress | None = None,
) -> str:
    """The folder of the start policy in `out_dir`, or what it is loaded by.

    `tiny` is warm-started. Any other model starts as it is: it is loaded here to see that it can be
    loaded and asked as the settings say, and a GGUF file is unpacked once for all workers. Raises
    ModelMissing where it cannot.
    """
    with quiet():
        if policy.built and task.played is not None:
            games = load_task(task)
            return str(build_player(task.played, games, policy.tiny, out_dir, seed, progress))
        if policy.built:
            return str(build_policy(load_task(task), policy.tiny, out_dir, seed, progress))
        name = unpacked(policy.model, out_dir)
        _, tokenizer = load_policy(name, policy)
        chat = chat_for(tokenizer, policy.chat, policy.system)
        if task.played is not None and chat is None and not Words.fits(tokenizer):
            raise ModelMissing(
                "the policy has no chat template, or chat is no: games are played in conversation; "
                "name an instruct model, or 'tiny'"
            )
        return name
