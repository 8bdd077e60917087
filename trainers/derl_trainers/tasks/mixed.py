"""GSM8K and MATH trained together, and scored apart."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import Any

from derl_trainers.tasks.base import Example, OwnTask, Task
from derl_trainers.tasks.contents import content
from derl_trainers.tasks.data import FORMATS, DataSection, is_local, load_data_task


@dataclass(frozen=True, slots=True)
class MixedSection(OwnTask):
    """GSM8K and MATH as one task: problems of both in a step, a score for each beside the whole's.

    Each is read as the task of its name; `size` and `test_size` are of each.
    """

    gsm8k: DataSection = field(default_factory=DataSection)
    math: DataSection = field(default_factory=DataSection)

    @property
    def remote(self) -> bool:
        """Whether one of them is read from the hub."""
        return any(
            not is_local(source)
            for name, part in self._parts()
            for source in (part.data or FORMATS[name].hub, part.test)
            if source
        )

    def depends(self) -> dict[str, Any]:
        """The settings of both, and of files what is in them."""
        found: dict[str, Any] = {}
        for name, part in self._parts():
            files = {key: content(getattr(part, key)) for key in ("data", "test")}
            found[name] = asdict(part) | {k: v for k, v in files.items() if v is not None}
        return found

    def load(self) -> Task:
        """The problems of both, each marked with where it is from; raises TaskError."""
        tasks = {name: load_data_task(name, part) for name, part in self._parts()}

        def both(of: str) -> tuple[Example, ...]:
            return tuple(
                replace(example, source=name)
                for name, task in tasks.items()
                for example in getattr(task, of)
            )

        return Task(
            name="+".join(tasks),
            warmup=(),
            train=both("train"),
            validation=both("validation"),
            test=both("test"),
            left_out=sum(task.left_out for task in tasks.values()),
        )

    def _parts(self) -> list[tuple[str, DataSection]]:
        return [("gsm8k", self.gsm8k), ("math", self.math)]
