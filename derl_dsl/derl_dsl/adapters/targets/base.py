"""What is known of a trainer: the file it takes, its settings, what it cannot carry."""

from __future__ import annotations

from typing import TYPE_CHECKING

from derl_grammar.records import record

if TYPE_CHECKING:
    from derl_dsl.adapters.rows import OnFault


@record
class Target:
    """A trainer that takes a reward as a file.

    `body` is the file's code below the scorer, in which `@NAME@` stands for the reward's name,
    `@CLASS@` for a class name made of it. `settings` are the lines that make this version of the
    trainer use it (`@FILE@`, `@MODULE@`, `@NAME@`, `@CLASS@`, `@PARTS@`); `gives` the columns that
    it has words of its own for, `others` where all other columns come from. `groups`: it can score
    whole groups. `progress`, `tokens`: it gives `progress`, `completion_ids`; `lists`: its columns
    may hold lists. `steps`: it takes one reward a step beside that of the rollout.
    `policies`: what its protocol can do about a fault, the default first; without `skip` it takes
    numbers alone.
    """

    name: str
    title: str
    version: str
    package: str | None
    body: str
    settings: str
    gives: tuple[str, ...]
    others: str
    policies: tuple[OnFault, ...]
    groups: bool = False
    progress: bool = False
    tokens: bool = False
    lists: bool = True
    steps: bool = False

    @property
    def skips(self) -> bool:
        """Whether "not applicable" has a word in its protocol."""
        return "skip" in self.policies
