"""ALFWorld: generated games are won in the official engine, and the twin is held to it."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from derl_trainers.tasks.base import TaskError
from derl_trainers.tasks.environments.alfworld import levels
from derl_trainers.tasks.environments.alfworld.environment import Alfworld
from derl_trainers.tasks.environments.alfworld.generate import UNSEEN, Game, generate, scenes
from derl_trainers.tasks.environments.alfworld.problem import KINDS, GameError, read_problem
from derl_trainers.tasks.environments.alfworld.stock import Stock
from derl_trainers.tasks.environments.alfworld.twin import Twin, names_of
from derl_trainers.tasks.environments.base import LEVELS, EnvironmentFault

pytestmark = pytest.mark.alfworld
SMALL = 8
COUNTS = {"train": 60, "validation": 12, "valid_seen": 30, "valid_unseen": 30}


def same(stock: Stock, twin: Twin, commands: list[str] | int, rng: random.Random) -> int:
    """Play in both and compare everything; `commands` to play, or how many random ones.

    Random play prefers what changes the world, and says nonsense too.
    """
    state, turn = stock.reset(), twin.reset()
    count = commands if isinstance(commands, int) else len(commands)
    for k in range(count + 1):
        assert state["feedback"] == turn.observation
        assert list(state["admissible_commands"]) == list(turn.commands)
        assert bool(state["won"]) == turn.won
        if k == count:
            return count
        if isinstance(commands, int):
            acting = [c for c in turn.commands if not c.startswith(("go", "help", "inventory"))]
            pool = acting if rng.random() < 0.6 else [*turn.commands, "fly away", ""]
            command = rng.choice(pool)
        else:
            command = commands[k]
        state, _, _ = stock.step(command)
        turn = twin.step(command)
    return count


def differential(game: Game, folder: Path, steps: int, seed: int) -> bool:
    """Whether the expert wins in the engine, once the twin was compared on it and random play."""
    stock, twin = Stock(game.write(folder)), Twin(game.data)
    rng = random.Random(seed)
    same(stock, twin, steps, rng)
    same(stock, twin, list(game.data["walkthrough"]), rng)
    return twin.won


@pytest.mark.parametrize("kind", KINDS)
def test_twin_and_engine_agree_and_the_expert_wins(kind: str, tmp_path: Path) -> None:
    game = generate(kind, "train", 3, seed=1, receptacles=SMALL)
    assert differential(game, tmp_path, steps=5, seed=7)


@pytest.mark.slow
def test_twin_and_engine_agree_on_two_hundred_games(tmp_path: Path) -> None:
    parts = ("train", "valid_seen", "valid_unseen")
    for k in range(204):
        kind, part = KINDS[k % 6], parts[k % 3]
        # Every twelfth in a whole room, whose steps take the engine half a second.
        game = generate(kind, part, k, seed=5, receptacles=0 if k % 12 == 0 else SMALL)
        assert differential(game, tmp_path / str(k), steps=30, seed=k), (kind, part, k)


def test_the_official_environment_plays_a_generated_game(tmp_path: Path) -> None:
    """Through `AlfredTWEnv` itself, as its own scripts start it."""
    from alfworld.agents.environment.alfred_tw_env import AlfredTWEnv

    game = generate("pick_clean_then_place_in_recep", "train", 0, receptacles=SMALL)
    game.write(tmp_path / "pick_clean" / "trial")
    config = {
        "env": {"goal_desc_human_anns_prob": 0, "task_types": [1, 2, 3, 4, 5, 6],
                "domain_randomization": False, "expert_type": "handcoded"},
        "dataset": {"data_path": str(tmp_path), "num_train_games": -1},
        "general": {"training_method": "dqn"},
        "rl": {"training": {"max_nb_steps_per_episode": 30}},
    }  # fmt: skip
    env = AlfredTWEnv(config, train_eval="train").init_env(batch_size=1)
    try:
        observations, infos = env.reset()
        assert "Your task is to: " + game.trajectory["task_desc"] in observations[0]
        for command in game.data["walkthrough"]:
            assert command in infos["admissible_commands"][0]
            _, _, done, infos = env.step([command])
        assert done[0]
        assert infos["won"][0]
    finally:
        env.close()


def test_games_are_the_same_for_the_same_seed() -> None:
    one, two = (generate(KINDS[0], "train", 4, seed=2).data for _ in range(2))
    assert one == two
    assert generate(KINDS[0], "train", 5, seed=2).data != one
    assert generate(KINDS[0], "train", 4, seed=3).data != one


def test_unseen_rooms_are_floor_plans_of_their_own() -> None:
    assert len(scenes()) == 120
    for part in ("train", "validation", "valid_seen", "valid_unseen"):
        for kind in KINDS:
            number = generate(kind, part, 0, receptacles=SMALL).trajectory["scene"]["scene_num"]
            assert (number in UNSEEN) == (part == "valid_unseen")


@pytest.mark.parametrize("level", LEVELS)
def test_no_game_is_in_two_parts_of_a_level(level: str) -> None:
    found = levels.games(level, COUNTS)
    ids = [*found.train, *found.validation, *found.test]
    assert len(ids) == len(set(ids)) == 60 + 12 + 30
    assert set(ids) == set(found.kinds)
    problems = {
        json.dumps(generate(k, p, int(n), receptacles=SMALL).data["pddl_problem"])
        for p, k, n in (game.split("/") for game in ids)
    }
    assert len(problems) == len(ids)


def test_levels_train_and_test_on_their_kinds() -> None:
    for level, trained, tested in (("L0", 6, 6), ("L1", 6, 6), ("L2", 4, 2)):
        found = levels.games(level, COUNTS)
        assert len({found.kinds[g] for g in found.train}) == trained
        assert len({found.kinds[g] for g in found.test}) == tested
    held = levels.games("L2", COUNTS)
    assert not {held.kinds[g] for g in held.train} & {held.kinds[g] for g in held.test}


@pytest.mark.parametrize("kind", KINDS)
def test_progress_rises_to_one_with_the_expert_and_only_there(kind: str) -> None:
    environment = Alfworld(receptacles=SMALL)
    game = f"valid_unseen/{kind}/1"
    turn = environment.reset(game)
    assert turn.score < 1
    scores = [turn.score]
    for command in environment.plan(game, detours=2):
        turn = environment.step(command)
        scores.append(turn.score)
        assert (turn.score == 1.0) == turn.won == turn.done
    assert turn.won
    assert scores == sorted(scores)
    assert len(set(scores)) > 2


def test_official_games_are_read_from_their_folder(tmp_path: Path) -> None:
    for part, kinds in (("train", KINDS), ("valid_seen", KINDS[:1]), ("valid_unseen", KINDS)):
        for k, kind in enumerate(kinds):
            folder = tmp_path / "json_2.1.1" / part / f"{kind}-{k}" / "trial"
            generate(kind, part, k, receptacles=SMALL).write(folder)
    found = levels.official(tmp_path, "L2")
    assert {found.kinds[g] for g in found.test} == set(levels.HELD_OUT)
    assert {found.kinds[g] for g in found.train} == set(KINDS) - set(levels.HELD_OUT)
    turn = Alfworld().reset(found.test[0])
    assert "Your task is to" in turn.observation
    with pytest.raises(TaskError, match=r"no folder of ALFWorld games: it has no json_2.1.1/train"):
        levels.official(tmp_path / "nowhere", "L0")
    (folder / "traj_data.json").write_text("[]")
    with pytest.raises(TaskError, match=r"traj_data.json: no game that can be read: it holds no"):
        levels.official(tmp_path, "L2")
    (folder / "traj_data.json").unlink()
    with pytest.raises(TaskError, match=r"traj_data.json: no game that can be .*No such file"):
        levels.official(tmp_path, "L2")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "no game that can be read"),
        ("[]", "missing"),
        ('{"grammar": "", "pddl_domain": "", "pddl_problem": "(:init"}', "no \\(:goal"),
    ],
)
def test_a_broken_game_file_is_one_message(content: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "game.tw-pddl"
    path.write_text(content)
    with pytest.raises((EnvironmentFault, GameError), match=message):
        Alfworld().reset(str(path))


def test_a_goal_the_twin_does_not_know_goes_to_the_engine(tmp_path: Path) -> None:
    game = generate("pick_and_place_simple", "train", 1, receptacles=6)
    data = dict(game.data)
    goal = data["pddl_problem"].rindex("(inReceptacle")
    data["pddl_problem"] = (
        data["pddl_problem"][:goal] + "(pickupable ?o) " + data["pddl_problem"][goal:]
    )
    assert read_problem(data["pddl_problem"]).goal is None
    path = Game(data, game.trajectory).write(tmp_path)
    environment = Alfworld()
    assert "look" in environment.reset(str(path)).commands
    assert not environment.step("dance").valid


def test_names_are_those_of_the_engine() -> None:
    ids = ["apple_bar_b", "apple_bar_a", "sink_bar_x_bar_sinkbasin", "agent1"]
    assert names_of(ids) == {
        "apple_bar_a": "apple 2", "apple_bar_b": "apple 1",
        "sink_bar_x_bar_sinkbasin": "sinkbasin 1", "agent1": "agent1 ",
    }  # fmt: skip
