"""ScienceWorld: one Java process, its levels, what its death costs, and who goes with whom."""

from __future__ import annotations

import gc
import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from derl_trainers.tasks.base import TaskError
from derl_trainers.tasks.environments.base import LEVELS, EnvironmentFault
from derl_trainers.tasks.environments.scienceworld import jvm, levels, simulator
from derl_trainers.tasks.environments.scienceworld.environment import ScienceWorld, combined
from derl_trainers.tasks.environments.scienceworld.joined import SIMPLIFICATION, module
from derl_trainers.tasks.environments.scienceworld.jvm import Machine
from derl_trainers.tasks.environments.scienceworld.simulator import FAMILIES, Simulator, set_count

# Tasks whose gold path the simulator makes within some seconds.
QUICK = (
    "lifespan-longest-lived", "lifespan-shortest-lived", "find-plant",
    "lifespan-longest-lived-then-shortest-lived",
)  # fmt: skip
MORE = (
    "find-non-living-thing", "find-living-thing", "find-animal", "chemistry-mix",
    "chemistry-mix-paint-secondary-color", "identify-life-stages-1", "power-component",
)  # fmt: skip


def stock(process: Machine) -> Any:
    """The package's own entry to the simulator, in the same process."""
    process.started()
    return process._gateway.jvm.scienceworld.runtime.pythonapi.PythonInterface()


@pytest.fixture(scope="module")
def process() -> Iterator[Machine]:
    machine = Machine()
    yield machine
    machine.close()


def test_the_counts_of_the_levels() -> None:
    sizes = {level: levels.games(level) for level in LEVELS}
    whole = {lv: len(g.train) + (len(g.validation) if lv == "L0" else 0) for lv, g in sizes.items()}
    assert whole == {"L0": 3322, "L1": 3322, "L2": 2242}
    assert {level: len(g.test) for level, g in sizes.items()} == {"L0": 1661, "L1": 1684, "L2": 549}
    for found in sizes.values():
        ids = [*found.train, *found.validation, *found.test]
        assert len(ids) == len(set(ids))
        assert not any(g.startswith("use-thermometer") for g in ids)
    held = sizes["L2"]
    assert not {held.kinds[g] for g in held.train} & {held.kinds[g] for g in held.test}


@pytest.mark.java
def test_the_table_of_variations_is_the_packages(process: Machine) -> None:
    package = stock(process)
    assert set(package.getTaskNames()) == set(levels.VARIATIONS)
    for task in ("boil", "grow-plant", "mendelian-genetics-unknown-plant", "melt"):
        package.load(task, 0, SIMPLIFICATION, False)
        found = [
            list(getattr(package, f"getVariations{part}")()) for part in ("Train", "Dev", "Test")
        ]
        assert tuple(map(len, found)) == levels.VARIATIONS[task]
        assert [*found[0], *found[1], *found[2]] == list(range(sum(levels.VARIATIONS[task])))


def gold(environment: ScienceWorld, game: str) -> tuple[float, float]:
    """The score at the end of the gold path, and the sum of its rises and falls."""
    plan = environment.plan(game)
    # The first look around may score already.
    before = total = environment.reset(game).score
    assert before < 0.5
    for command in plan:
        turn = environment.step(command)
        total, before = total + turn.score - before, turn.score
        assert turn.won == (turn.score == 1.0)
        if turn.done:
            break
    return before, total


@pytest.mark.java
@pytest.mark.parametrize("task", QUICK)
def test_the_gold_path_reaches_100(task: str, process: Machine) -> None:
    score, total = gold(ScienceWorld(listing="none", process=process), f"{task}/0")
    assert score == 1.0
    assert total == pytest.approx(1.0)


@pytest.mark.java
@pytest.mark.slow
@pytest.mark.parametrize("task", MORE)
def test_the_gold_path_of_slower_tasks_reaches_100(task: str, process: Machine) -> None:
    score, total = gold(ScienceWorld(listing="none", process=process), f"{task}/0")
    assert score == 1.0
    assert total == pytest.approx(1.0)


@pytest.mark.java
@pytest.mark.parametrize(
    "task", ["find-non-living-thing", "lifespan-longest-lived", "lifespan-shortest-lived"]
)
def test_possible_commands_hold_the_gold_path_and_every_action(task: str, process: Machine) -> None:
    environment = ScienceWorld("possible", process)
    plan = environment.plan(f"{task}/0")
    turn = environment.reset(f"{task}/0")
    for command in plan:
        # The simulator's way differs from call to call, and may name what lies in something.
        assert command in turn.commands or " in " in command
        assert "reset task" not in turn.commands
        turn = environment.step(command)
        assert turn.valid
    assert turn.won
    # The simulator's list names what lies in something, too, which is all that can be put down.
    environment.reset(f"{task}/0")
    commands = environment.step("go to kitchen").commands
    told = json.loads(environment._do("the list", Simulator.valid))["validActions"]
    valid = {one["action"] for one in told}
    shared = {c.split()[0] for c in valid.intersection(commands)}
    assert {"focus", "go", "look", "mix", "move", "open", "pick"} <= shared  # rooms vary
    assert not environment.step("fly to kitchen").valid


@pytest.mark.java
def test_the_table_of_families_is_the_packages(process: Machine) -> None:
    process.started()
    jvm_ = process._gateway.jvm
    numbers, chance = module(jvm_, "util.UniqueIdentifier$"), module(jvm_, "scala.util.Random$")
    tasks = jvm_.scienceworld.tasks.TaskMaker1()
    found = {}
    for name in FAMILIES:
        set_count(numbers, 0)
        chance.setSeed(7)
        module(jvm_, f"scienceworld.tasks.specifictasks.{name}$").registerTasks(tasks)
        after = chance.nextInt()
        chance.setSeed(7)
        found[name] = (numbers.count(), after != chance.nextInt())
    assert found == FAMILIES


def words(text: str) -> list[str]:
    """The parts of a text; their order in the simulator's lists differs from game to game."""
    return sorted(re.split(r"[\n,:;()\t]+|\. ", text.strip()))


def as_the_package_plays(package: Any, game: str, actions: Sequence[str]) -> list[Any]:
    """Text, score and end after each action, by the package's own `load` and `step`."""
    task, _, variation = game.partition("/")
    assert not package.load(task, int(variation), SIMPLIFICATION, False)
    return [
        (words(package.step(action)), package.getScore(), package.getCompleted())
        for action in actions
    ]


def as_we_play(simulator: Simulator, game: str, actions: Sequence[str]) -> list[Any]:
    """The same, by the short way."""
    task, _, variation = game.partition("/")
    made = simulator.game(task, int(variation))
    found: list[Any] = []
    for action in actions:
        answer = simulator.answer(made, action)
        if answer is None:
            took = simulator.took(made, action, named=False)
            found.append((words(took.text), took.score, took.over))
        else:
            found.append((words(answer), *found[-1][1:]))
    simulator.forget(made)
    return found


def some_actions(simulator: Simulator, game: str, seed: int) -> list[str]:
    """Actions of all kinds, drawn from those that a game has at each step."""
    task, _, variation = game.partition("/")
    rng, made = random.Random(seed), simulator.game(task, int(variation))
    actions = ["look around", "help", "inventory", "task"]
    for _ in range(12):
        took = simulator.took(made, actions[-1], named=True)
        if took.over:
            break
        things = tuple(sorted(set(json.loads(took.things).values())))
        commands = combined(simulator.actions(made), things)
        verb = rng.choice(sorted({command.split()[0] for command in commands}))
        usual = [command for command in commands if command.split()[0] == verb]
        # Which number an ambiguous thing has differs from game to game: none is taken.
        actions.append(rng.choice([*usual, "focus on the door", "fly"]))
    simulator.forget(made)
    return actions


@pytest.mark.java
@pytest.mark.parametrize(
    "games",
    [
        # Families that draw random numbers and such that do not, with electricity and without.
        ["boil/3", "find-non-living-thing/5", "lifespan-longest-lived/70", "power-component/2",
         "chemistry-mix-paint-tertiary-color/5", "inclined-plane-determine-angle/11"],
        # But genetics: the package gives the same plants to other pots each time it loads one.
        pytest.param([f"{task}/{4 + k % 3}" for k, task in enumerate(levels.VARIATIONS)
                      if not task.startswith("mendelian")], marks=pytest.mark.slow),
    ],
    ids=["some", "all tasks"],
)  # fmt: skip
def test_games_are_those_that_the_package_plays(games: list[str], process: Machine) -> None:
    package = stock(process)
    number = process.started()
    for seed, game in enumerate(games):
        actions = process.do(number, "a plan", lambda s, g=game, k=seed: some_actions(s, g, k))
        ours = process.do(number, "a game", lambda s, g=game, a=actions: as_we_play(s, g, a))
        theirs = as_the_package_plays(package, game, actions)
        for action, mine, other in zip(actions, ours, theirs, strict=True):
            assert mine == other, f"{game}: {action}"


@pytest.mark.java
def test_all_games_of_a_group_start_alike_also_from_threads(process: Machine) -> None:
    games = [f"find-non-living-thing/{k % 2}" for k in range(16)]

    def start(game: str) -> tuple[list[str], tuple[str, ...]]:
        environment = ScienceWorld("possible", process)
        turn = environment.reset(game)
        environment.step("look around")
        environment.close()
        return words(turn.observation), turn.commands

    before = process.games
    alone = {game: start(game) for game in games[:2]}
    assert alone[games[0]] != alone[games[1]]
    with ThreadPoolExecutor(4) as pool:
        for game, found in zip(games, pool.map(start, games), strict=True):
            assert found == alone[game]
    assert process.games == before


@pytest.mark.java
def test_games_with_other_simplifications_do_not_change_each_other(process: Machine) -> None:
    # With the actions of electricity, and without; the simulator has one switch for all games.
    both = [ScienceWorld("valid", process) for _ in range(2)]
    for environment, game in zip(both, ("power-component/0", "find-plant/0"), strict=True):
        environment.reset(game)
    for _ in range(2):
        found = [environment.step("look around").commands for environment in both]
        electric = [any(c.startswith("connect") for c in commands) for commands in found]
        assert electric == [True, False]
    for environment in both:
        environment.close()


@pytest.mark.java
def test_another_version_of_the_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simulator, "OBJECTS", 1)
    machine = Machine()
    with pytest.raises(TaskError, match=r"scienceworld 1\.2\.3 is needed"):
        machine.started()
    assert machine.pid is None


@pytest.mark.java
def test_a_killed_process_costs_its_episodes_only(process: Machine) -> None:
    batch = [ScienceWorld(listing="none", process=process) for _ in range(4)]
    for k, environment in enumerate(batch):
        environment.reset(f"find-plant/{k}")
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    for environment in batch:
        with pytest.raises(EnvironmentFault, match="Java process died"):
            environment.step("look around")
    first = process.number
    for k, environment in enumerate(batch):
        assert "Your task is" in environment.reset(f"find-plant/{k}").observation
    assert process.number == first + 1


@pytest.mark.java
def test_a_call_that_does_not_answer_ends_the_process_and_is_told(process: Machine) -> None:
    environment = ScienceWorld(listing="none", process=process)
    environment.reset("find-plant/0")
    assert process.pid is not None
    os.kill(process.pid, signal.SIGSTOP)
    process._gateway.gateway_parameters.read_timeout = 1
    process._gateway._gateway_client.gateway_parameters.read_timeout = 1
    process._gateway._gateway_client.deque.clear()
    with pytest.raises(EnvironmentFault, match="died or gave no answer in"):
        environment.step("look around")
    assert process.pid is None
    assert environment.reset("find-plant/0").score < 1  # a fresh process; where it starts may pay


@pytest.mark.java
def test_bad_games_and_odd_actions(process: Machine) -> None:
    environment = ScienceWorld(process=process)
    for game, message in (
        ("find-plant/9999", "find-plant/9999: there are 300 variations"),
        ("cooking/0", "cooking: ScienceWorld has no such task"),
        ("x", "write"),
    ):
        with pytest.raises(EnvironmentFault, match=message):
            environment.reset(game)
    turn = environment.reset("find-plant/1")
    assert "look around" in turn.commands
    for action in ("a" * 10_000, "\x00\x07", ""):
        answer = environment.step(action)
        assert not answer.valid
        assert answer.score == turn.score
    assert environment.step("look around").valid


@pytest.mark.java
def test_the_heap_is_bounded_and_one_process_serves_all(process: Machine) -> None:
    ScienceWorld(listing="none", process=process).reset("find-plant/2")
    pid = process.pid
    for k in range(3):
        ScienceWorld(listing="none", process=process).reset(f"find-animal/{k}")
    assert process.pid == pid
    command = Path(f"/proc/{pid}/cmdline").read_text().split("\0")
    assert f"-Xmx{jvm.HEAP_MB}m" in command
    assert jvm.HEAP_MB <= 300


@pytest.mark.java
def test_games_share_a_process_and_more_have_another(monkeypatch: pytest.MonkeyPatch) -> None:
    machines: list[Machine] = []
    monkeypatch.setattr(jvm, "_machines", machines)
    monkeypatch.setattr(jvm, "GAMES", 4)
    games = [ScienceWorld(listing="none") for _ in range(jvm.GAMES + 2)]
    try:
        for k, game in enumerate(games):
            game.reset(f"find-animal/{k}")
        assert [machine.games for machine in machines] == [jvm.GAMES, 2]
        games[0].close()
        assert jvm.machine() is machines[0]
        games[0].reset("find-animal/0")
        assert [machine.games for machine in machines] == [jvm.GAMES, 2]
        os.kill(machines[1].pid or 0, signal.SIGKILL)
        with pytest.raises(EnvironmentFault):
            games[-1].step("look around")
        games[-1].reset("find-animal/1")
        assert games[-1].step("look around").valid
        assert [machine.games for machine in machines] == [jvm.GAMES, 1]
    finally:
        for machine in machines:
            machine.close()


@pytest.mark.java
def test_a_game_that_is_closed_leaves_the_heap() -> None:
    machine = Machine(heap_mb=32)
    gc.disable()  # which alone would come for py4j's proxies
    try:
        for k in range(60):
            environment = ScienceWorld(listing="none", process=machine)
            environment.reset(f"find-animal/{k}")
            environment.close()
    finally:
        gc.enable()
        machine.close()


@pytest.mark.java
def test_no_process_is_left_when_python_is_killed() -> None:
    code = (
        "from derl_trainers.tasks.environments.scienceworld.jvm import machine\n"
        "import time; machine().started(); print(machine().pid, flush=True); time.sleep(60)"
    )
    python = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert python.stdout is not None
    pid = int(python.stdout.readline())
    assert Path(f"/proc/{pid}").exists()
    python.kill()
    python.wait(timeout=10)
    for _ in range(100):
        if not Path(f"/proc/{pid}").exists():
            return
        time.sleep(0.1)
    os.kill(pid, signal.SIGKILL)
    pytest.fail("the Java process outlived Python by ten seconds")


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("", "no java on the path"),
        ("#!/bin/sh\necho 'openjdk version \"11.0.2\"' >&2\n", "is version 11.0.2"),
        ("#!/bin/sh\nexit 1\n", "does not say its version"),
    ],
)
def test_what_java_lacks_is_named(
    script: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("scienceworld", reason="extra agents")
    if script:
        java = tmp_path / "java"
        java.write_text(script)
        java.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}")
    said = jvm.lacks()
    assert said is not None
    assert message in said
    assert "openjdk-17" in said
    with pytest.raises(TaskError, match="ScienceWorld needs Java 17"):
        Machine().started()
