"""What breaks in the middle of an episode: one message, that episode alone, no score of 0."""

from __future__ import annotations

import importlib.util
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from derl_trainers.inner.games import Table, columns_of
from derl_trainers.reading import ConfigError
from derl_trainers.runs.jobs import check_task
from derl_trainers.settings.run import load_config
from derl_trainers.tasks.base import TaskError
from derl_trainers.tasks.environments.alfworld.environment import Alfworld
from derl_trainers.tasks.environments.alfworld.generate import generate
from derl_trainers.tasks.environments.alfworld.problem import KINDS
from derl_trainers.tasks.environments.alfworld.section import AlfworldSection
from derl_trainers.tasks.environments.alfworld.twin import Twin
from derl_trainers.tasks.environments.base import Environment, EnvironmentFault, Turn
from derl_trainers.tasks.environments.episodes import LONGEST_ACTION, Move, read_move
from derl_trainers.tasks.environments.guard import guarded
from derl_trainers.tasks.environments.scienceworld.environment import ScienceWorld
from derl_trainers.tasks.environments.scienceworld.jvm import Machine
from derl_trainers.tasks.environments.sokoban import Sokoban
from tests.environments.test_agents import Corridor

ODD = ("a" * 10_000, "\x00\x07\x1b[2J", "", "go to\u202edesk 1", "\ud800")


class Breaks(Corridor):
    """Raises, or never answers, at its second step."""

    def __init__(self, how: str = "") -> None:
        super().__init__()
        self.how = how

    def step(self, action: str) -> Turn:
        turn = super().step(action)
        if self.how == "raises" and self.steps == 2:
            raise KeyError("the map\nis gone")
        while self.how == "hangs" and self.steps == 2:
            pass
        return turn


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("raises", "the environment raised KeyError: 'the map"),
        ("hangs", "the environment gave no answer in 0.2 s"),
    ],
)
def test_one_that_breaks_loses_its_episode_alone(how: str, said: str) -> None:
    table = Table([Breaks(), Breaks(how), Breaks()], deadline=0.2)
    rollouts = table.begun(["0", "1", "2"], [""] * 3, [""] * 3)
    for _ in range(3):
        for k, rollout in enumerate(rollouts):
            if table.turns[k] is not None:
                table.act(k, rollout.episode, Move("", "wait"))
    assert [len(r.episode.actions) for r in rollouts] == [3, 1, 3]
    assert rollouts[1].episode.fault.startswith(said)
    assert "\n" not in rollouts[1].episode.fault
    columns = columns_of(rollouts, "environment")
    assert columns["solved"] == [False, None, False]
    assert columns["step_scores"][1] is None


def test_the_deadline_leaves_the_timers_of_others_alone() -> None:
    seen: list[int] = []
    before = signal.signal(signal.SIGALRM, lambda *_: seen.append(1))
    try:
        assert guarded(lambda: 5, 10.0) == 5
        assert signal.getitimer(signal.ITIMER_REAL)[0] == 0.0
        os.kill(os.getpid(), signal.SIGALRM)
        assert seen == [1]
    finally:
        signal.signal(signal.SIGALRM, before)


@pytest.mark.alfworld
def test_a_game_of_alfworld_that_hangs_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    def forever(self: Twin, action: str) -> Turn:
        while True:
            pass

    table = Table([Alfworld(receptacles=6)], deadline=5.0)
    (rollout,) = table.begun([f"train/{KINDS[0]}/0"], [KINDS[0]], [""])
    monkeypatch.setattr(Twin, "step", forever)
    table.deadline = 0.2
    assert table.act(0, rollout.episode, Move("", "look")) is None
    assert rollout.episode.fault == "the environment gave no answer in 0.2 s"


@pytest.mark.alfworld
@pytest.mark.parametrize("action", ODD)
def test_odd_actions_change_nothing(action: str) -> None:
    games: tuple[tuple[Environment, str], ...] = (
        (Alfworld(receptacles=6), f"train/{KINDS[0]}/0"), (Sokoban(), "small/1"),
    )  # fmt: skip
    for environment, game in games:
        turn = environment.reset(game)
        after = environment.step(action)
        assert not after.valid
        assert (after.score, after.commands, after.won) == (turn.score, turn.commands, False)
    assert len(read_move(f"<action>{action}</action>").action) <= LONGEST_ACTION


@pytest.mark.java
def test_a_killed_java_process_costs_a_batch_its_episodes_and_no_more() -> None:
    process = Machine()
    try:
        table = Table([ScienceWorld("none", process) for _ in range(3)], deadline=60.0)
        games, blank = [f"find-plant/{k}" for k in range(3)], [""] * 3
        rollouts = table.begun(games, blank, blank)
        assert process.pid is not None
        os.kill(process.pid, signal.SIGKILL)
        for k, rollout in enumerate(rollouts):
            table.act(k, rollout.episode, Move("", "look around"))
        assert all("Java process died" in r.episode.fault for r in rollouts)
        assert columns_of(rollouts, "environment")["solved"] == [None] * 3
        again = table.begun(games, blank, blank)
        assert not any(r.episode.fault for r in again)
    finally:
        process.close()


@pytest.fixture
def official(tmp_path: Path) -> Path:
    """A folder as the download has it, with a few games of each part."""
    for part in ("train", "valid_seen", "valid_unseen"):
        for k in range(18 if part == "train" else 2):
            kind = KINDS[k % 6]
            folder = tmp_path / "json_2.1.1" / part / f"{kind}-Mug-None-Desk-{k}" / "trial_T1"
            generate(kind, part, k, receptacles=6).write(folder)
    return tmp_path


@pytest.mark.alfworld
def test_official_games_are_taken_from_the_variable(
    official: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALFWORLD_DATA", str(official))
    section = AlfworldSection(size=0, test_size=0, warmup_size=2)
    task = section.load()
    assert task.name == "ALFWorld"
    assert [e.source for e in task.test] == ["L0", "L0", "L1", "L1"]
    assert len(task.warmup) + len(task.train) + len(task.validation) == 18
    assert {e.columns["kind"] for e in task.train} <= set(KINDS)
    game = task.train[0].prompt
    environment = section.environment()
    turn = environment.reset(game)
    for command in section.lesson(game, 0):
        turn = environment.step(command)
    assert turn.won
    # What the games are is part of what a result depends on.
    known = section.depends()
    next(official.rglob("game.tw-pddl")).write_text("{}")
    assert section.depends() != known


@pytest.mark.alfworld
def test_a_game_file_that_does_not_parse_is_named_before_the_run(
    official: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALFWORLD_DATA", str(official))
    broken = next((official / "json_2.1.1" / "valid_seen").rglob("game.tw-pddl"))
    broken.write_text('{"grammar": ')
    config = load_config("alfworld", {"task.alfworld.size": 0, "task.alfworld.warmup_size": 1})
    with pytest.raises(ConfigError, match=rf"^\[task\]: {broken}: no game that can be read"):
        check_task(config)


def test_the_extra_is_named_where_it_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    found = importlib.util.find_spec

    def without(name: str, *more: Any) -> Any:
        return None if name == "alfworld" else found(name, *more)

    monkeypatch.setattr(importlib.util, "find_spec", without)
    with pytest.raises(TaskError, match=r"^alfworld is not installed: pip install 'derl-dsl\[ag"):
        AlfworldSection().load()


def test_games_that_are_none_are_named() -> None:
    for game in ("x", "small/x", "huge/1"):
        with pytest.raises(EnvironmentFault, match=r"write small\|middle\|large"):
            Sokoban().reset(game)
