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
    `@CLASS@` for a class name made of it, `@ID@` for a name that no reward of the trainer's own
    has: where the file was not loaded, none of these may run in its place. `settings` are the
    lines that make this version of the trainer use it (`@FILE@`, `@MODULE@`, `@PARTS@` as
    well), `quoting` what reads them (shell, toml, or hydra in a shell). `package` is what pip
    installs (None: it comes from source), `module` what it imports. `gives` are the columns
    that it has words of its own for, `others` where all other columns come from. `groups`: it
    can score whole groups. `progress`, `tokens`: it gives `progress`, `completion_ids`;
    `lists`: its columns may hold lists. `steps`: it takes one reward a step beside that of the
    rollout. `policies`: what its protocol can do about a fault, the default first; without
    `skip` it takes numbers alone.
    """

    name: str
    title: str
    version: str
    package: str | None
    module: str
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
    quoting: str = "shell"

    @property
    def skips(self) -> bool:
        """Whether "not applicable" has a word in its protocol."""
        return "skip" in self.policies
