"""ScienceWorld's simulator in its Java process: games made and stepped without what nobody reads.

The package's own entry, `PythonInterface`, does for each game and each step what training has no
use for. Its `load` makes the objects of all thirty tasks anew, four fifths of its time; its `step`
looks around, takes stock and lists names for a history and a log. What does the work lies behind
it: an `AgentInterface`, a game. Here a game is made as `load` makes it, but of the objects of its
own task, and stepped directly.

The game is the same one. `load` seeds the one source of random numbers with the variation, makes
the families of tasks in their order, then seeds it again and builds the house. So the families
before a game's own matter only where both draw random numbers, and those are made too; the others
count nothing but the numbers of their objects, and the counter is set to where they would have left
it. `FAMILIES` says how many objects a family has and whether it draws. Tests hold it to the
package, and games to those that `load` makes.

A step answers with text, score, end and the names of things in sight in one call: its parts are put
together by java.lang.invoke, for a call from Python costs about as much as a quick part. What the
simulator prints goes nowhere, rather than through a pipe to a thread of this process.

All games of a process share its random numbers and its switches for simplifications, so its calls
must come one at a time; `Machine` sees to that.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any

from derl_trainers.tasks.environments.base import EnvironmentFault
from derl_trainers.tasks.environments.scienceworld.joined import END, SIMPLIFICATION, Joined, module

# Families of tasks in the order in which they are made: their objects, and whether they draw.
FAMILIES: dict[str, tuple[int, bool]] = {
    "TaskChangeOfState": (360, True),
    "TaskElectricCircuit": (60, False),
    "TaskElectricalConductivity": (156, False),
    "TaskElectricalConductivity2": (120, True),
    "TaskFindLivingNonLiving": (5160, True),
    "TaskGrowPlant": (1602, False),
    "TaskChemistryMix": (312, False),
    "TaskChemistryMixPaint": (222, True),
    "TaskLifeSpan": (135, False),
    "TaskIdentifyLifeStages1": (630, False),
    "TaskIdentifyLifeStages2": (2850, True),
    "TaskInclinedPlane1": (150, False),
    "TaskInclinedPlane2": (60, False),
    "TaskInclinedPlane3": (60, False),
    "TaskMendelianGenetics1": (360, True),
    "TaskMendelianGenetics2": (600, True),
    "TaskUseInstrumentThermometer": (1173, True),
    "TaskUseInstrumentThermometer2": (303, True),
    "TaskUseInstrumentThermometer3": (2883, True),
}
OBJECTS = sum(objects for objects, _ in FAMILIES.values())
_TASKS = "scienceworld.tasks.specifictasks."
_RUNTIME = "scienceworld.runtime"
_UNKNOWN = (
    "Unknown action.  Type 'help' for a list of actions, "
    "and 'objects' for a list of possible object referents. "
)
# The parser tries every wording of an action that the text begins with, and for each the names of
# all things in sight, or in the house: "go to X" is read as "go to" X and as "go" "to X", which is
# most of a step. These are wordings of the same actions that are read one way.
_SHORTER = (
    (re.compile(r"go to (?=\S)"), "walk to "),
    (re.compile(r"focus on (?=\S)(?!on|(a|an|the)\b)"), "focus "),
    (re.compile(r"teleport to (?=\S)(?!to|into|(a|an|the)\b)"), "teleport "),
)


def shorter(action: str) -> str:
    """The same action, in words that the simulator's parser has done with sooner.

    >>> shorter("go to kitchen"), shorter("focus on onion"), shorter("move door to box")
    ('walk to kitchen', 'focus on onion', 'move door to box')
    """
    for wording, short in _SHORTER:
        if found := wording.match(action):
            return short + action[found.end() :]
    return action


class Unsuited(RuntimeError):
    """The package is another version than the one whose inside is known here."""


@dataclass(frozen=True, slots=True)
class Game:
    """A game in the Java process, and the simplifications that it is played with."""

    play: Any
    switches: str


@dataclass(frozen=True, slots=True)
class Took:
    """What came of an action: text, score in [0, 1], end; and the names of things, if asked for."""

    text: str
    score: float
    over: bool
    things: str = ""


@dataclass(frozen=True, slots=True)
class Kind:
    """A task: its family, how many variations it has, and its switches once a game was made."""

    family: str
    variations: int
    switches: str = ""


class Simulator:
    """The parts of a Java process that make games and step them.

    Every method makes calls of py4j, and raises what those raise.
    """

    def __init__(self, gateway: Any) -> None:
        self._gateway, self._jvm = gateway, gateway.jvm
        self._mute()
        self._numbers = module(self._jvm, "util.UniqueIdentifier$")
        self._random = module(self._jvm, "scala.util.Random$")
        self._simplifier = module(self._jvm, f"main.scala.{_RUNTIME}.SimplifierProcessor$")
        self._numbers.reset()
        self._tasks = self._jvm.scienceworld.tasks.TaskMaker1()
        if self._numbers.count() != OBJECTS:
            raise Unsuited("scienceworld 1.2.3 is needed: the installed one has other tasks")
        self._makers: dict[str, Any] = {}  # of families, once they were needed
        self._kinds: dict[str, Kind] = {}  # of tasks
        self._actions: dict[str, tuple[str, ...]] = {}  # with switches
        self._switches = ""  # that are set in the process
        joined = Joined(gateway)
        self._step, self._named_step = joined.steps()
        self._made = joined.maker(self._tasks)

    def _mute(self) -> None:
        nowhere = self._jvm.java.io.OutputStream.nullOutputStream()
        out = self._jvm.java.io.PrintStream(nowhere)
        self._jvm.java.lang.System.setOut(out)
        module(self._jvm, "scala.Console$").setOutDirect(out)

    def game(self, task: str, variation: int) -> Game:
        """A game at its start, before the first look; EnvironmentFault for one that is none."""
        kind = self._kind(task)
        if variation >= kind.variations:
            raise EnvironmentFault(f"{task}/{variation}: there are {kind.variations} variations")
        self._prepared(kind.family, variation)
        play = self._made.apply(task, variation)
        self._switches = kind.switches or str(play.simplificationStr())
        self._kinds[task] = replace(kind, switches=self._switches)
        return Game(play, self._switches)

    def _kind(self, task: str) -> Kind:
        if task not in self._kinds:
            known = self._tasks.getTask(task)
            if known.isEmpty():
                raise EnvironmentFault(f"{task}: ScienceWorld has no such task")
            made = known.get()
            family, variations = made.getClass().getSimpleName(), made.numCombinations()
            self._kinds[task] = Kind(str(family), int(variations))
        return self._kinds[task]

    def _prepared(self, family: str, seed: int) -> None:
        """Make the objects of a family's tasks, as `load` makes them for a variation."""
        self._random.setSeed(seed)
        draws, before = FAMILIES[family][1], 0
        for name, (objects, drawn) in FAMILIES.items():
            if name == family or (draws and drawn):
                set_count(self._numbers, before)
                if name not in self._makers:
                    self._makers[name] = module(self._jvm, f"{_TASKS}{name}$")
                self._makers[name].registerTasks(self._tasks)
            if name == family:
                break
            before += objects
        set_count(self._numbers, OBJECTS)

    def _turn_of(self, game: Game) -> Any:
        """The game, with the process's switches set to its own."""
        if game.switches != self._switches:
            self._simplifier.parseSimplificationStr(game.switches)
            self._switches = game.switches
        return game.play

    def took(self, game: Game, action: str, named: bool) -> Took:
        """Take an action; `named` asks for the names of things as well, as JSON."""
        step = self._named_step if named else self._step
        said, _, things = str(step.apply(self._turn_of(game), shorter(action))).partition(END)
        text, score, over = said[1:-1].rsplit(",", 2)
        return Took(text or _UNKNOWN, float(score), over == "true", things)

    def answer(self, game: Game, action: str) -> str | None:
        """What the package answers of itself; None for an action, which is taken."""
        match action.strip().lower():
            case "help":
                return "\n\t".join(("Possible actions: ", *self.actions(game)))
            case "objects":
                things = self._turn_of(game).getPossibleObjects()
                return "\n\t".join(("Possible object references: ", *things))
            case "task":
                return f"Task description:\n{game.play.getTaskDescription()}"
        return None

    def told(self, game: Game) -> str:
        """The task in the game's own words."""
        return str(self._turn_of(game).freeActionTaskDesc())

    def actions(self, game: Game) -> tuple[str, ...]:
        """The actions there are, with OBJ for things: the same in all games with these switches."""
        if game.switches not in self._actions:
            self._actions[game.switches] = tuple(game.play.getPossibleActions())
        return self._actions[game.switches]

    def valid(self, game: Game) -> str:
        """The commands that do something, as JSON: each entry of a Java list is a call."""
        return str(self._turn_of(game).getValidActionObjectCombinationsJSON())

    def gold(self, task: str, variation: int) -> tuple[str, ...]:
        """The commands that win a game, as the package finds them, in up to twenty seconds."""
        package = self._jvm.scienceworld.runtime.pythonapi.PythonInterface()
        self._switches = ""
        reply = package.load(task, variation, SIMPLIFICATION, True)
        plan = tuple(package.getGoldActionSequence())
        self._gateway.detach(package)
        if reply:
            raise EnvironmentFault(f"{task}/{variation}: {reply}")
        return plan

    def forget(self, game: Game) -> None:
        """Let Java forget a game; raises nothing, also of a process that dies just now.

        py4j's proxies hold themselves: Python's collector alone would come for them, some day.
        """
        self._gateway.detach(game.play)


def set_count(numbers: Any, count: int) -> None:
    """Say how many objects were numbered so far; the name is Scala's."""
    getattr(numbers, "count_$eq")(count)
