"""The policy `tiny` of tasks that are played: built here, and taught by an expert's episodes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from pathlib import Path

from derl_trainers.policy.loading import save_whole
from derl_trainers.policy.words import Words, build_words, expert_transcript, warm_start
from derl_trainers.settings.sections import TinySection
from derl_trainers.tasks.base import Task, TaskError
from derl_trainers.tasks.environments.base import EnvironmentFault
from derl_trainers.tasks.environments.episodes import shown
from derl_trainers.tasks.environments.played import PlayedTask

Progress = Callable[[int, int, dict[str, float]], None]
_FORMAT = 2  # raise when saved policies of older code must not be reused


def build_player(
    played: PlayedTask,
    task: Task,
    config: TinySection,
    out_dir: str | Path,
    seed: int = 0,
    progress: Progress | None = None,
) -> Path:
    """The folder of a policy that has learnt from the expert on the warm-up games.

    The folder's name under `out_dir` is a digest of all that it depends on, so that an equal call
    returns the saved policy. Raises TaskError where the expert or a game fails.
    """
    content = json.dumps([_FORMAT, played.depends(), asdict(config), seed])
    path = Path(out_dir) / f"policy-{hashlib.sha256(content.encode()).hexdigest()[:16]}"
    if path.exists():
        return path
    games = [example.prompt for example in task.warmup]
    if not games:
        raise TaskError("warmup_size: the policy 'tiny' learns from games that an expert plays")
    environment = played.environment()
    try:
        plans = {game: played.lesson(game, seed + k) for k, game in enumerate(games)}
        texts = [text for game, plan in plans.items() for text in _said(played, game, plan)]
        tokenizer = build_words(texts)
        words = Words(tokenizer)
        transcripts = [expert_transcript(environment, g, plan, words) for g, plan in plans.items()]
    except EnvironmentFault as error:
        raise TaskError(f"the warm start's games cannot be played: {error}") from error
    finally:
        environment.close()
    model = warm_start(transcripts, tokenizer, config, seed, progress)
    save_whole(model, tokenizer, path)
    return path


def _said(played: PlayedTask, game: str, plan: Sequence[str]) -> Iterable[str]:
    """All that a game says along a plan, and all that could be answered."""
    environment = played.environment()
    turn = environment.reset(game)
    for command in plan:
        yield from (shown(turn.observation), *turn.commands)
        turn = environment.step(command)
    yield from (shown(turn.observation), *turn.commands)
    environment.close()
