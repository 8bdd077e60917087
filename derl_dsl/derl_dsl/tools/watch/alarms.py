"""An alarm, and what each kind of it is called and says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from derl_grammar.records import record

KINDS = {
    "reward without outcome": "the reward rises and right answers do not: look at what is paid",
    "one part dominates": "one part decides who is rewarded, and the outcome hardly does",
    "length drifts": "completions change their length and right answers do not grow with it",
    "groups go flat": "most groups have equal rewards: they train nothing",
    "variance collapses": "rewards within groups hardly differ any more",
    "faults rise": "more rollouts are left without a reward by a fault",
}


@record
class Alarm:
    """What a watch has seen at `step`, going on since about `since`: a figure, what it was in the
    first steps, and rollouts that show it."""

    kind: str
    step: int
    since: int
    figure: float
    usual: float
    of: str = ""
    rows: tuple[Mapping[str, Any], ...] = ()

    def __str__(self) -> str:
        of = f" ({self.of})" if self.of else ""
        return (
            f"step {self.step}: {self.kind}{of}, since about step {self.since}: {self.figure:.3g}, "
            f"at first {self.usual:.3g}; {KINDS[self.kind]}"
        )
