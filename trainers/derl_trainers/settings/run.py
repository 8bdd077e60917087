"""The settings of a meta-training run: TOML in, frozen dataclasses out, mistakes named.

Nothing here imports torch: `derl-dsl meta-train` reads its config before the slow imports.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from importlib import import_module, resources
from pathlib import Path
from typing import Any

from derl_dsl.elaborate.custom import REGISTRY, Origin, PrimitiveError, load_with
from derl_grammar.near import did_you_mean
from derl_grammar.settings import read_settings, setting
from derl_primitives.suites import SuiteError, find_suite
from derl_trainers.reading import (
    ConfigError,
    merged,
    put,
    read_toml,
)
from derl_trainers.settings.proposers import (
    KEY_PREFIX,
    KEY_VARIABLES,
    EvolutionSection,
    GraphSection,
    PromptedSection,
    ProposerSection,
)
from derl_trainers.settings.sections import (
    TINY,
    BudgetSection,
    ExecutorSection,
    FinalSection,
    InnerSection,
    MetaSection,
    PolicySection,
    SandboxSection,
    StylesSection,
    TinySection,
    Training,
)
from derl_trainers.tasks.base import TASK_COLUMNS
from derl_trainers.tasks.table import TaskSection

__all__ = [
    "BudgetSection",
    "ConfigError",
    "EvolutionSection",
    "ExecutorSection",
    "FinalSection",
    "GraphSection",
    "InnerSection",
    "MetaSection",
    "PolicySection",
    "PromptedSection",
    "ProposerSection",
    "SandboxSection",
    "StylesSection",
    "TaskSection",
    "TinySection",
]

KEPT = "primitives"  # the folder of a run with copies of the files it began with
MODELS = (TINY, "smollm2")  # built here, and from a package
_FILES = (".jsonl", ".ndjson", ".json", ".parquet", ".pq", ".gguf")


@dataclass(frozen=True, slots=True)
class RunConfig:
    """A meta-training run."""

    name: str = setting("demo", "name of the run; part of its folder's name")
    seed: int = setting(0, "of every random choice: cold start, sampling, inner runs", least=0)
    suite: str = setting(
        "derl-math",
        "names that the formulas may use; `derl-math[-g3]` leaves g3 out, and `derl-math[~g3]` "
        "turns it round, for ablations",
    )
    primitives: tuple[str, ...] = setting(
        (),
        "files of untrusted primitives that formulas may call too, relative to the config's folder",
    )
    task: TaskSection = field(default_factory=TaskSection)
    policy: PolicySection = field(default_factory=PolicySection)
    inner: InnerSection = field(default_factory=InnerSection)
    eval_batch: int = setting(512, "problems scored at once", least=1)
    budget: BudgetSection = field(default_factory=BudgetSection)
    trl: Mapping[str, Any] = field(default_factory=dict)
    meta: MetaSection = field(default_factory=MetaSection)
    proposer: ProposerSection = field(default_factory=ProposerSection)
    final: FinalSection = field(default_factory=FinalSection)
    executor: ExecutorSection = field(default_factory=ExecutorSection)
    sandbox: SandboxSection = field(default_factory=SandboxSection)

    def to_json(self) -> dict[str, Any]:
        """All settings as nested plain values."""
        return asdict(self)

    @property
    def training(self) -> Training:
        """What an inner run takes from it."""
        return Training(self.task, self.policy, self.inner, self.budget, self.eval_batch, self.trl)


def builtin_configs() -> list[str]:
    """Names of the configs that come with the package."""
    folder = resources.files("derl_trainers") / "configs"
    names = [entry.name for entry in folder.iterdir()]
    return sorted(name.removesuffix(".toml") for name in names if name.endswith(".toml"))


def load_config(source: str | Path, flags: Mapping[str, Any] | None = None) -> RunConfig:
    """Read a config by built-in name or by path; `flags` maps `section.key` to what goes over it.

    Raises ConfigError for an unreadable file, a key or section that does not exist, a value of the
    wrong type or out of range, and settings that do not go together.
    """
    over: dict[str, Any] = {}
    for name, value in (flags or {}).items():
        put(over, name, value, "--set")
    return parse_config(merged(_tables(str(source)), beside(over, Path())), str(source))


def _tables(source: str, seen: tuple[str, ...] = ()) -> dict[str, Any]:
    """The tables of a config over those of the one that it extends; files found from anywhere."""
    builtin = source in builtin_configs()
    path = Path(str(resources.files("derl_trainers") / "configs" / f"{source}.toml"))
    path = path if builtin else Path(source)
    if not path.exists():
        hint = did_you_mean(path.name, builtin_configs(), "built in:")
        raise ConfigError(f"{source}: no such config file; {hint}")
    if source in seen:
        raise ConfigError(f"{source}: extends: comes back to itself by {' and '.join(seen)}")
    table = beside(read_toml(path, source), path.parent)
    base = table.pop("extends", None)
    if base is None:
        return table
    if not isinstance(base, str):
        raise ConfigError(f"{source}: extends: expected a built-in name or a file, not {base!r}")
    base = base if base in builtin_configs() else str(path.parent / base)
    return merged(_tables(base, (*seen, source)), table)


def beside(table: dict[str, Any], folder: Path) -> dict[str, Any]:
    """The tables of a config file with the files that it names found from there.

    Of data and models, what is neither there nor has a file's suffix is a name or an id of the hub.
    """
    folder = folder.absolute()
    places = (("task", "data"), ("task", "test"), ("policy", "model"), ("meta", "model"))
    for section, key in places:
        part = table.get(section)
        name = part.get(key) if isinstance(part, dict) else None
        if isinstance(part, dict) and isinstance(name, str) and name and name not in MODELS:
            file = folder / Path(name).expanduser()
            if file.exists() or file.suffix in _FILES or name.startswith("."):
                part[key] = str(file)
    task = table.get("task")
    for part in task.get("gsm8k_math", {}).values() if isinstance(task, dict) else ():
        for key in ("data", "test"):
            if isinstance(part, dict) and isinstance(part.get(key), str) and part[key]:
                file = folder / Path(part[key]).expanduser()
                if file.exists() or file.suffix in _FILES:
                    part[key] = str(file)
    files, meta = table.get("primitives"), table.get("meta")
    if isinstance(files, list) and all(isinstance(file, str) for file in files):
        table["primitives"] = [str(folder / file) for file in files]
    for key in ("cold_file", "origin"):
        if isinstance(meta, dict) and isinstance(meta.get(key), str) and meta[key]:
            meta[key] = str(folder / meta[key])
    return table


def wants_hub(config: RunConfig) -> bool:
    """Whether the task or a model of a run is named by an id of the Hugging Face hub."""
    named = [name for name in (config.policy.model, config.meta.model) if name not in MODELS]
    if config.task.own is None:
        named += [config.task.data or "the public set", config.task.test]
    return any(name and not Path(name).exists() for name in named)


def load_custom(config: RunConfig, kept: Path | None = None) -> tuple[Origin, ...]:
    """Load the primitives of a config; what is returned loads them in workers, as they are now.

    `kept` is the folder of a run that has copies of their files: those that lie there count, and
    the others are copied there, so that a run goes on with what it began with. Raises ConfigError
    for a file that cannot be used, and when the machine lacks the walls.
    """
    own = config.task.own
    try:
        for module in own.primitives if own is not None else ():
            import_module(module)
        for number, path in enumerate(config.primitives):
            copy = None if kept is None else kept / f"{number}-{Path(path).name}"
            if copy is not None and not copy.exists():
                copy.parent.mkdir(exist_ok=True)
                shutil.copyfile(path, copy)
            load_with(path, config.sandbox.settings(), copy)
    except PrimitiveError as error:
        raise ConfigError(f"primitives: {error}") from None
    entries = (REGISTRY[name].origin for name in REGISTRY)
    return tuple(dict.fromkeys(entries))


def parse_config(table: Mapping[str, Any], source: str = "config") -> RunConfig:
    """A config from nested plain values; `source` names them in messages, as in load_config."""
    config = read_settings(RunConfig, table, source, error=ConfigError)
    _check_together(config, source)
    return config


def _check_together(config: RunConfig, source: str) -> None:
    """Settings that are fine alone and not together."""
    try:
        suite = find_suite(config.suite)
    except SuiteError as error:
        raise ConfigError(f"{source}: suite: {error}") from None
    unknown = config.task.lacks(tuple(c for c in suite.columns if c not in TASK_COLUMNS))
    if unknown is not None:
        what = f"reads {unknown!r}, which {config.task.name} does not give; derl-math and math fit"
        raise ConfigError(f"{source}: suite: {config.suite!r} {what}")
    if suite.outcome is None:
        what = "has no outcome; put derl-math or math before it, as in 'math+length'"
        raise ConfigError(f"{source}: suite: {config.suite!r} {what}")
    if not config.name or not all(c.isalnum() or c in "-_." for c in config.name):
        raise ConfigError(
            f"{source}: name: expected letters, digits, '-', '_' and '.', not {config.name!r}"
        )
    variable = config.proposer.prompted.key_variable
    if variable and variable not in KEY_VARIABLES and not variable.startswith(KEY_PREFIX):
        what = (
            f"expected one of {', '.join(KEY_VARIABLES)}, or a name that begins with {KEY_PREFIX}"
        )
        raise ConfigError(f"{source}: [proposer.prompted] key_variable: {what}, not {variable!r}")
    check_training(config.task, config.policy, config.inner, source)
    check_heads(config.meta, "meta", source)
    _check_race(config.meta, config.inner.steps, source)
    if config.meta.cold_file and not Path(config.meta.cold_file).is_file():
        raise ConfigError(f"{source}: [meta] cold_file: no such file: {config.meta.cold_file}")


def _check_race(meta: MetaSection, steps: int, source: str) -> None:
    race = meta.race
    if list(race) != sorted(set(race)) or not all(0 < step < steps for step in race):
        raise ConfigError(
            f"{source}: [meta] race: expected rising steps from 1 to {steps - 1}, before the last "
            f"of [inner] steps = {steps}, not {list(race)}"
        )
    if race and meta.start == "best":
        what = "does not go with start = 'best': scores of runs that start elsewhere are no measure"
        raise ConfigError(f"{source}: [meta] race: {what}")
    if race and meta.repeats == "average":
        what = "does not go with repeats = 'average': a mean would be of runs of several lengths"
        raise ConfigError(f"{source}: [meta] race: {what}")


def check_training(
    task: TaskSection, policy: PolicySection, inner: InnerSection, source: str
) -> None:
    """Raise ConfigError for what does not go together in one training of a policy."""
    completions = inner.prompts * inner.num_generations
    if completions % inner.updates:
        raise ConfigError(
            f"{source}: [inner] updates: expected a divisor of prompts x num_generations = "
            f"{completions}, not {inner.updates}"
        )
    _check_task(task, source)
    if policy.built:
        if not task.teaches:
            raise ConfigError(
                f"{source}: [policy] model: 'tiny' cannot be taught here; for {task.name!r} "
                "name another: smollm2, a folder, a .gguf file or a Hugging Face id"
                + (
                    "; or set [task.reasoning_gym] warmup_size"
                    if task.name == "reasoning-gym"
                    else ""
                )
            )
        check_heads(policy.tiny, "policy.tiny", source)
        if not sum(asdict(policy.tiny.styles).values()):
            raise ConfigError(f"{source}: [policy.tiny.styles]: expected one share above 0")
    elif policy.chat == "no" and policy.system:
        raise ConfigError(f'{source}: [policy] system: needs a conversation, and chat is "no"')


def _check_task(task: TaskSection, source: str) -> None:
    if task.name == "rows" and not task.data:
        raise ConfigError(f"{source}: [task] data: name the file or the hub id of the rows")
    # Read as if they were of the task itself, they would be ignored without a word.
    misplaced = task.misplaced()
    if misplaced is not None:
        raise ConfigError(f"{source}: [task] {misplaced}")


def check_heads(part: TinySection | MetaSection, name: str, source: str) -> None:
    """Raise ConfigError when the width of a small model cannot be shared out among its heads."""
    if part.hidden_size % (2 * part.heads):
        raise ConfigError(
            f"{source}: [{name}] hidden_size: expected a multiple of 2 x heads = "
            f"{2 * part.heads}, not {part.hidden_size}"
        )
