"""Episodes: step scores from both sources, the layout of moves, and the third environment."""

from __future__ import annotations

import pytest

from derl_primitives.suites import find_suite
from derl_trainers.tasks.environments import sokoban
from derl_trainers.tasks.environments.base import LEVELS, EnvironmentFault, Turn
from derl_trainers.tasks.environments.episodes import (
    LONGEST_ACTION,
    Episode,
    Move,
    read_move,
    shown,
)
from derl_trainers.tasks.environments.sokoban import Sokoban


def turn(score: float = 0.0, valid: bool = True, won: bool = False) -> Turn:
    return Turn("seen", (), score, won, won, valid)


def played(*steps: tuple[str, str, Turn]) -> Episode:
    episode = Episode("g", "kind", "L0", "start")
    for tag, action, after in steps:
        episode.add(Move(tag, action), after)
    return episode


def test_tags_score_as_in_rlvmr() -> None:
    steps = (
        ("planning", "look", turn()),
        ("explore", "go north", turn(valid=False)),
        ("reflection", "go south", turn()),
        ("reflection", "go east", turn()),
        ("explore", "go south", turn()),
        ("monitor", "look", turn()),
        ("", "open box", turn()),
    )
    lost = played(*steps)
    assert lost.step_scores("tags") == [0, 1, 1, 0, 0, 0, 0]
    won = played(*steps, ("planning", "take key", turn(1.0, won=True)))
    assert won.step_scores("tags") == [1, 1, 1, 0, 0, 0, 0, 1]


def test_an_invalid_action_said_again_is_no_reflection() -> None:
    episode = played(
        ("explore", "fly", turn(valid=False)), ("reflection", "fly", turn(valid=False))
    )
    assert episode.step_scores("tags") == [1, 0]


def test_the_environment_scores_what_rose() -> None:
    episode = played(("", "a", turn(0.25)), ("", "b", turn(0.0)), ("", "c", turn(1.0, won=True)))
    assert episode.step_scores("environment") == [0.25, 0.0, 1.0]
    assert episode.solved


def test_columns_are_those_of_the_suites() -> None:
    columns = played(("explore", "a", turn())).columns("tags")
    for suite in ("derl-agent", "agent"):
        assert set(find_suite(suite).columns) <= set(columns)


def test_thirds_are_those_of_the_primitives() -> None:
    suite = find_suite("derl-agent")
    for n in range(8):
        scores = [float(k % 3 == 0) for k in range(n)]
        found = [float(suite.bindings[g].primitive([scores])[0]) for g in ("g2", "g3", "g4")]
        cut = [scores[k * n // 3 : (k + 1) * n // 3] for k in range(3)]
        assert [sum(part) / len(part) if part else 0.0 for part in cut] == found


@pytest.mark.parametrize(
    ("text", "move"),
    [
        (
            "<planning>first the key</planning>\n<action>take key</action>",
            Move("planning", "take key"),
        ),
        ("<planning>a</explore><action>b</action>", Move("", "b")),
        ("<planning>a</planning><action>b</action><action>c</action>", Move("", "c")),
        ("<explore>a</explore><monitor>b</monitor><action>c</action>", Move("", "c")),
        ("  take key\n", Move("", "take key")),
        ("", Move("", "")),
    ],
)
def test_moves_are_read(text: str, move: Move) -> None:
    assert read_move(text) == move


def test_long_and_odd_texts_are_held() -> None:
    assert len(read_move("a" * 10_000).action) == LONGEST_ACTION
    assert shown("bell \x07 and \x1b[31m") == "bell � and �[31m"
    assert shown("line\nline") == "line\nline"


@pytest.mark.parametrize("size", ["small", "middle"])
def test_sokoban_is_won_by_its_own_solution(size: str) -> None:
    environment = Sokoban()
    game = f"{size}/5"
    first = environment.reset(game)
    assert not first.won
    for command in environment.plan(game):
        assert command in first.commands
        after = environment.step(command)
    assert after.won
    assert after.score == 1.0


def test_sokoban_says_what_is_no_move_and_no_board() -> None:
    environment = Sokoban()
    with pytest.raises(EnvironmentFault, match="reset it first"):
        environment.step("move up")
    with pytest.raises(EnvironmentFault, match="no board"):
        environment.reset("huge/1")
    before = environment.reset("small/1")
    after = environment.step("jump")
    assert not after.valid
    assert after.observation.endswith(before.observation.split("\n", 1)[1])


@pytest.mark.parametrize("level", LEVELS)
def test_sokobans_parts_share_no_board(level: str) -> None:
    found = sokoban.games(level, 20, 10)
    ids = [*found.train, *found.validation, *found.test]
    assert len(ids) == len(set(ids)) == 30
