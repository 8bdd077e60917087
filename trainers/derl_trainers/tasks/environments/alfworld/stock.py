"""The official engine, as the package wires it, behind the interface of an environment."""

from __future__ import annotations

import contextlib
import io
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from derl_trainers.tasks.base import TaskError


class Stock:
    """One game in alfworld's TextWorld environment: `reset` and `step` give its own states."""

    def __init__(self, path: Path) -> None:
        try:
            import textworld
            from alfworld.agents.environment.alfred_tw_env import AlfredDemangler, AlfredInfos
            from textworld.envs.pddl import PddlEnv
        except ModuleNotFoundError as error:
            raise TaskError(
                f"{error.name} is not installed: pip install 'derl-dsl[agents]'"
            ) from None
        infos = textworld.EnvInfos(won=True, admissible_commands=True, extras=["gamefile"])
        self.env: Any = AlfredInfos(AlfredDemangler(PddlEnv(infos)))
        with _planner():
            self.env.load(str(path))

    def reset(self) -> Mapping[str, Any]:
        """The first state: `feedback`, `admissible_commands`, `won`."""
        with _planner():
            state: Mapping[str, Any] = self.env.reset()
        return state

    def step(self, command: str) -> tuple[Mapping[str, Any], float, bool]:
        """State, reward and whether the game is over."""
        state, score, done = self.env.step(command)
        return state, score, done


@contextlib.contextmanager
def _planner() -> Any:
    """The planner's translation writes into `sys.argv`, and to the screen."""
    arguments = list(sys.argv)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        sys.argv[:] = arguments


def read_game(path: Path) -> Mapping[str, Any]:
    """A game file; raises TaskError with the path and what is wrong."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, ValueError) as error:
        raise TaskError(f"{path}: no game that can be read: {error}") from None
    lacks = {"pddl_domain", "grammar", "pddl_problem"} - set(data if isinstance(data, dict) else ())
    if lacks:
        raise TaskError(f"{path}: no ALFWorld game: {', '.join(sorted(lacks))} missing")
    found: Mapping[str, Any] = data
    return found
