"""The table of tasks, and the section of a config that chooses one."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any

from derl_grammar.settings import setting
from derl_trainers.tasks.arithmetic import ArithmeticSection
from derl_trainers.tasks.base import OwnTask, Task, TaskError
from derl_trainers.tasks.contents import content
from derl_trainers.tasks.data import FORMATS, DataSection, is_local, load_data_task
from derl_trainers.tasks.environments.alfworld.section import AlfworldSection
from derl_trainers.tasks.environments.played import PlayedTask
from derl_trainers.tasks.environments.scienceworld.section import ScienceWorldSection
from derl_trainers.tasks.environments.sokoban import SokobanSection
from derl_trainers.tasks.equations import EquationsSection
from derl_trainers.tasks.gym import GymSection
from derl_trainers.tasks.mixed import MixedSection


@dataclass(frozen=True, slots=True)
class OwnTasks(DataSection):
    """The tasks that are no rows of data, each with a section of its own: one line a task."""

    arithmetic: ArithmeticSection = field(default_factory=ArithmeticSection)
    equations: EquationsSection = field(default_factory=EquationsSection)
    gsm8k_math: MixedSection = field(default_factory=MixedSection)
    reasoning_gym: GymSection = field(default_factory=GymSection)
    alfworld: AlfworldSection = field(default_factory=AlfworldSection)
    scienceworld: ScienceWorldSection = field(default_factory=ScienceWorldSection)
    sokoban: SokobanSection = field(default_factory=SokobanSection)


_DATA = frozenset(f.name for f in fields(DataSection))
OWN = {f.name.replace("_", "-"): f.name for f in fields(OwnTasks) if f.name not in _DATA}


@dataclass(frozen=True, slots=True)
class TaskSection(OwnTasks):
    """The problems: a task with settings of its own, or GSM8K, MATH or rows of your own from data.

    Paths are relative to the config's folder.
    """

    name: str = setting(
        "arithmetic",
        "`arithmetic` and `equations` are embedded, `reasoning-gym` any family of it, `gsm8k-math` "
        "both of them trained together; `alfworld`, `scienceworld` and `sokoban` are games of "
        "several steps; each has settings of its own. `gsm8k` has `question` and `answer` "
        "with `#### gold`, `math` `problem` and `solution` with the gold in the last box; `rows` "
        "any prompts and answers",
        choices=(*OWN, *FORMATS),
    )

    @property
    def own(self) -> OwnTask | None:
        """The section of the task itself, None for rows of data."""
        return getattr(self, OWN[self.name]) if self.name in OWN else None

    @property
    def played(self) -> PlayedTask | None:
        """The section of a task that is played, None for one that is answered."""
        own = self.own
        return own if isinstance(own, PlayedTask) else None

    @property
    def remote(self) -> bool:
        """Whether its problems are read from the hub."""
        if self.own is not None:
            return self.own.remote
        source = self.data or FORMATS[self.name].hub
        return any(name and not is_local(name) for name in (source, self.test))

    @property
    def teaches(self) -> bool:
        """Whether the policy `tiny` can learn its ways of answering from this task."""
        return self.own is not None and self.own.can_teach

    def lacks(self, columns: tuple[str, ...]) -> str | None:
        """The first column that the task cannot give; None too where the rows will tell."""
        own = self.own
        given = columns if own is None else own.gives
        return next((name for name in columns if name not in given), None)

    def load(self, columns: tuple[str, ...] = ()) -> Task:
        """The problems, with the columns that a reward reads of them; raises TaskError."""
        missing = self.lacks(columns)
        if missing is not None:
            raise TaskError(f"the reward reads {missing!r}, which {self.name} does not give")
        own = self.own
        return own.load() if own is not None else load_data_task(self.name, self, columns)

    def depends(self) -> dict[str, Any]:
        """All that its problems depend on: settings, and of files what is in them."""
        own = self.own
        if own is not None:
            return {"name": self.name, **own.depends()}
        rows = {f.name: getattr(self, f.name) for f in fields(DataSection)}
        files = {key: content(rows[key]) for key in ("data", "test")}
        return {"name": self.name, **rows, **{k: v for k, v in files.items() if v is not None}}

    def misplaced(self) -> str | None:
        """What is set for data although the task is none, with where it belongs."""
        own = self.own
        if own is None:
            return None
        known = {f.name for f in fields(own)}  # type: ignore[arg-type]
        for f in fields(DataSection):
            if getattr(self, f.name) != f.default:
                section = OWN[self.name]
                fix = f"[task.{section}] {f.name}" if f.name in known else 'name = "rows"'
                return f"{f.name}: is for data, and the task is {self.name}; write {fix}"
        return None
