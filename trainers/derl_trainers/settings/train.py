"""The settings of `derl-dsl train`: TOML and flags in, frozen dataclasses out, mistakes named.

Nothing here imports torch.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from derl_grammar.settings import read_settings, setting
from derl_trainers.reading import ConfigError, put, read_toml
from derl_trainers.settings.budget import within
from derl_trainers.settings.run import (
    BudgetSection,
    InnerSection,
    PolicySection,
    beside,
    check_training,
)
from derl_trainers.settings.sections import Training
from derl_trainers.tasks.table import TaskSection

METRICS = "metrics.json"


@dataclass(frozen=True, slots=True)
class TrainBudgetSection(BudgetSection):
    """When a run ends before its last step, whichever comes first; 0 means never.

    What ends a run by seconds differs from machine to machine and from run to run.
    """

    cap_of: str = setting(
        "", "folder of the run with the outcome alone, by an earlier `derl-dsl train`"
    )


@dataclass(frozen=True, slots=True)
class TrainConfig:
    """One training of a policy with a reward file."""

    seed: int = setting(0, "of sampling and training", least=0)
    split: str = setting(
        "search",
        "`search` trains on 80 % and scores on the rest; `final` trains on both, scores on test",
        choices=("search", "final"),
    )
    task: TaskSection = field(default_factory=TaskSection)
    policy: PolicySection = field(default_factory=PolicySection)
    inner: InnerSection = field(default_factory=InnerSection)
    eval_batch: int = setting(64, "problems scored at once", least=1)
    rollouts: int = setting(
        20_000,
        "rollouts kept in the folder `rollouts`, for `derl-dsl replay`; 0 keeps none",
        least=0,
    )
    budget: TrainBudgetSection = field(default_factory=TrainBudgetSection)
    trl: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """All settings as nested plain values."""
        return asdict(self)

    @property
    def training(self) -> Training:
        """What the run itself takes from it."""
        return Training(self.task, self.policy, self.inner, self.budget, self.eval_batch, self.trl)


def load_train_config(path: Path | None, flags: Mapping[str, Any]) -> TrainConfig:
    """The settings of a TOML file, or the defaults, with `flags` over them.

    `flags` maps `section.key`, or a key of the top level, to a value. Raises ConfigError as
    `load_config` does.
    """
    source = "train" if path is None else str(path)
    table = {} if path is None else _read(path)
    for name, value in flags.items():
        put(table, name, value, source)
    config = read_settings(TrainConfig, table, source, error=ConfigError)
    check_training(config.task, config.policy, config.inner, source)
    return replace(config, budget=_capped(config.budget, source))


def _read(path: Path) -> dict[str, Any]:
    if not path.exists():
        raise ConfigError(f"{path}: no such config file")
    return beside(read_toml(path, str(path)), path.parent)


def parse_set(text: str) -> tuple[str, Any]:
    """One `--set section.key=value`, the value as in TOML; a bare word is a text.

    >>> parse_set("inner.steps=4"), parse_set("policy.chat=no")
    (('inner.steps', 4), ('policy.chat', 'no'))
    """
    name, equals, value = text.partition("=")
    if not equals or not name.strip():
        raise ConfigError(f"--set {text}: write section.key=value, such as inner.steps=4")
    try:
        return name.strip(), tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return name.strip(), value.strip()
    except RecursionError:
        raise ConfigError(f"--set {name}: the value is nested too deeply") from None


def _capped(budget: TrainBudgetSection, source: str) -> TrainBudgetSection:
    """The budget with the cap by what an earlier run took."""
    if not budget.cap_of or not budget.cap:
        return budget
    path = Path(budget.cap_of) / METRICS
    try:
        found = json.loads(path.read_text("utf-8"))
        taken = found["seconds"]["training"] if budget.cap_by == "seconds" else found["tokens"]
        most = budget.cap * float(taken)
    except (OSError, ValueError, KeyError, TypeError):
        raise ConfigError(
            f"{source}: [budget] cap_of: {path} is not there, or not of `derl-dsl train`"
        ) from None
    return within(budget, most)
