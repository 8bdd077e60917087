"""What a search would do and cost, before it begins: counts, tokens, minutes, memory, refusals.

Two inner steps of the start policy's shape are timed here. Where the policy is not at hand, its
step is arithmetic: sampling by the tokens of a completion, updates by the operations of weights
and tokens; what it takes for the device's speed is said beside it.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

import derl_dsl
from derl_trainers.inner.loop import train_inner
from derl_trainers.outer.baselines import baselines
from derl_trainers.outer.cold_start import cold_start_formulas
from derl_trainers.outer.final import final_steps
from derl_trainers.outer.meta import check
from derl_trainers.outer.proposers.base import proposer_class
from derl_trainers.policy.answers import check_lengths
from derl_trainers.policy.loading import ModelMissing, load_policy
from derl_trainers.policy.start import start_policy
from derl_trainers.reading import ConfigError
from derl_trainers.runs.store.comparison import OUTCOME_ONLY
from derl_trainers.settings.run import RunConfig
from derl_trainers.tasks.base import Example, Task, TaskError
from derl_trainers.tasks.load import load_task, task_columns

_STEPS = 2
_DECODE = 0.06  # seconds a token of one batch of `generate`, a 3B model in bf16 on an H100
_VLLM = 0.01  # the same in vLLM, whose step takes no longer for a hundred more sequences
_SPEED = 0.4 * 989e12  # operations a second: 40 % of an H100's bf16 peak
_UPDATE = 8  # operations a weight and token: 2 forward, 4 back, 2 forward again for checkpointing
_LOGITS = 4  # bytes a logit, in float32


@dataclass(frozen=True, slots=True)
class _Counts:
    """Inner runs of each phase at most, and inner steps of them all."""

    baselines: int
    search: int
    confirmation: int
    final: int
    steps: int

    @classmethod
    def of(cls, config: RunConfig) -> _Counts:
        rewards = len(baselines(config.suite))
        confirmed = config.final.confirm - 1 if config.meta.start == "base" else 0
        search = config.meta.steps * config.meta.formulas
        final = (rewards + 1) * config.final.seeds
        # What leads is confirmed; as a rule two or three come to lead.
        early = rewards + search + 3 * confirmed
        steps = early * config.inner.steps + final * final_steps(config)
        return cls(rewards, search, 3 * confirmed, final, steps)

    @property
    def runs(self) -> int:
        """All of them."""
        return self.baselines + self.search + self.confirmation + self.final


def plan(
    config: RunConfig, told: Callable[[str], None], waits: Callable[[str], None]
) -> tuple[str, ...]:
    """Tell the lines of a plan, each once it is known; what would be refused, if anything.

    `waits` hears what takes minutes for a language model, or where games are played first. Nothing
    is written where runs lie, and nothing is downloaded.
    """
    refused: list[str] = []
    with _refusals(refused):
        check(config, remote=True)
    task = None
    if not config.task.remote:
        with _refusals(refused):
            task = load_task(config.task, task_columns(config.suite))
    counts = _Counts.of(config)
    for line in (*_counted(config, counts), *_problems(config, task)):
        told(line)
    step, said = None, list[str]()
    if refused and not _is_here(config.policy.model):
        # What this machine lacks is no part of the arithmetic.
        step, said = _reckoned(config)
    if not refused:
        with _refusals(refused):
            for line in _formulas(config):
                told(line)
            waits("timing two inner steps of the start policy")
            step, said = _step(config, task, refused)
    if step is not None:
        said += _minutes(config, counts, step)
    for line in said:
        told(line)
    return tuple(dict.fromkeys(refused))


@contextmanager
def _refusals(refused: list[str]) -> Iterator[None]:
    try:
        yield
    except (ConfigError, TaskError, ModelMissing) as error:
        refused.append(str(error))
    except (ValueError, ImportError, RuntimeError) as error:
        # What TRL or the device says of the steps that were tried.
        refused.append(f"{type(error).__name__}: {str(error).splitlines()[0]}")


def _counted(config: RunConfig, counts: _Counts) -> list[str]:
    inner, completions = config.inner, config.inner.completions
    tokens = counts.steps * completions * _longest(config)
    return [
        f"{config.meta.steps} outer steps x {config.meta.formulas} formulas by "
        f"{config.proposer.kind} over {config.suite}; policy {config.policy.model}",
        f"at most {counts.runs} inner runs: {counts.baselines} baselines, {counts.search} "
        f"formulas, about {counts.confirmation} to confirm, {counts.final} in the final "
        "comparison; formulas that fail or equal another cost none",
        f"an inner run: {inner.steps} steps of {inner.prompts} {_sampled(config)}",
        f"at most {tokens:,} tokens sampled in {counts.steps:,} inner steps",
        *_raced(config, counts),
    ]


def _raced(config: RunConfig, counts: _Counts) -> list[str]:
    race, steps = config.meta.race, config.inner.steps
    if not race:
        return []
    at = ", ".join(map(str, race))
    ended = counts.search // 2
    return [
        f"racing at inner step {at}: each run is validated there as well; if half of the formulas "
        f"end at step {race[0]}, {ended * (steps - race[0]):,} inner steps fewer"
    ]


def _sampled(config: RunConfig) -> str:
    inner = config.inner
    if config.task.played is None:
        return (
            f"problems x {inner.num_generations} completions of at most "
            f"{inner.max_completion_length} tokens"
        )
    return (
        f"games x {inner.num_generations} episodes of at most {inner.agent.limit} steps and "
        f"{inner.agent.longest:,} tokens"
    )


def _longest(config: RunConfig) -> int:
    """Tokens of a completion, or of an episode, at most."""
    inner = config.inner
    return inner.max_completion_length if config.task.played is None else inner.agent.longest


def _problems(config: RunConfig, task: Task | None) -> list[str]:
    if task is None and not config.task.remote:
        return []  # it was refused
    if task is None:
        return [f"problems of {config.task.name}: read from the hub when the run begins, not now"]
    shares = config.inner.steps * config.inner.prompts / len(task.train)
    return [
        f"problems: {len(task.train):,} to train on ({shares:.2f} epochs a run), "
        f"{len(task.validation):,} validation, {len(task.test):,} test"
    ]


def _formulas(config: RunConfig) -> list[str]:
    """Cold-start formulas that `max_tokens` would cut off, where a token is a character."""
    if not (config.meta.built and proposer_class(config).cold) or config.meta.cold_file:
        return []
    found = cold_start_formulas(config.suite, min(200, config.meta.cold_formulas), config.seed)
    long = sum(len(text) + 1 > config.meta.max_tokens for text in found)
    return [
        f"{long / len(found):.0%} of cold-start formulas are longer than [meta] max_tokens = "
        f"{config.meta.max_tokens}, and left out"
    ]


def _step(
    config: RunConfig, task: Task | None, refused: list[str]
) -> tuple[float | None, list[str]]:
    """Seconds of an inner step, and how that is known."""
    if not (config.policy.built or _is_here(config.policy.model)):
        return _reckoned(config)
    made_up = task is None
    if task is None:
        if task_columns(config.suite):
            return None, ["the problems are not here, so no step was timed"]
        task = _made_up(config)
    with TemporaryDirectory(prefix="derl-plan-") as folder:
        policy = config.policy
        if policy.built:  # Its shape is what counts; what it has learnt is not.
            policy = replace(policy, tiny=replace(policy.tiny, steps=1))
            torch.set_num_threads(1)
        path = start_policy(config.task, policy, Path(folder), config.seed)
        model, tokenizer = load_policy(path, policy)
        try:
            every = (*task.train, *task.validation, *task.test)
            check_lengths(model, tokenizer, every, config.training)
        except ValueError as error:
            refused.append(str(error))
            return None, []
        size = sum(weights.numel() for weights in model.parameters())
        words = int(model.config.get_text_config().vocab_size)
        del model
        # A language model without a device takes minutes for a step of many problems.
        one = made_up or not (config.policy.built or torch.cuda.is_available())
        seconds, timed = _timed(config, path, task, one), f"{_STEPS} timed ones"
        if one:
            kind = "made-up problems" if made_up else "one problem"
            timed += f" of {config.inner.num_generations} completions to {kind}"
    return seconds, [
        f"an inner step takes {seconds:.1f} s here, by {timed} with one worker",
        *_memory(config, size, words),
    ]


def _made_up(config: RunConfig) -> Task:
    """As many problems as a step takes, of the length of a word problem, for those of the hub."""
    template = config.task.template or "{prompt}"
    rows = tuple(
        Example(template.replace("{prompt}", f"{k}. " + "some words of it " * 14), "0")
        for k in range(max(2, config.inner.prompts))
    )
    return Task(name="made up", warmup=(), train=rows, validation=rows[:1], test=rows[:1])


def _timed(config: RunConfig, path: str, task: Task, one: bool) -> float:
    """Seconds of a step by some with the outcome alone, the first of which loads and warms up.

    With `one` they are of one problem each, and count as often as a step has problems.
    """
    reward = derl_dsl.compile(baselines(config.suite)[OUTCOME_ONLY], suite=config.suite)
    times: list[float] = []
    inner, trl = replace(config.inner, steps=_STEPS), dict(config.trl)
    if one:
        inner = replace(inner, prompts=1, updates=1)
        trl.pop("gradient_accumulation_steps", None)
    budget = replace(config.budget, flat_steps=0, tokens=0, seconds=0.0)
    train_inner(
        reward, path, task.train, task.validation[:1],
        replace(config.training, inner=inner, budget=budget, trl=trl),
        seed=config.seed, on_step=lambda _: times.append(time.perf_counter()),
    )  # fmt: skip
    return (times[-1] - times[-2]) * (config.inner.prompts if one else 1)


def _reckoned(config: RunConfig) -> tuple[float | None, list[str]]:
    """A step by arithmetic, for a model that is not here and says its size in its name."""
    found = re.search(r"(\d+(?:\.\d+)?)[Bb](?![a-z])", config.policy.model)
    if found is None:
        return None, [f"policy {config.policy.model}: not here, so no step was timed"]
    size, inner = float(found[1]) * 1e9, config.inner
    decode = _VLLM if config.trl.get("use_vllm") else _DECODE
    sampling = _longest(config) * decode * max(1.0, size / 3e9)
    tokens = inner.completions * _longest(config)
    updates = tokens * size * _UPDATE / _SPEED
    dominant = "sampling" if sampling > updates else "updates"
    return sampling + updates, [
        f"policy {config.policy.model}: not here; by arithmetic an inner step takes at most "
        f"{sampling + updates:.0f} s on one H100 in bf16: sampling {sampling:.0f} s "
        f"({decode * 1000:.0f} ms a token of a batch), updates {updates:.0f} s (40 % of its "
        f"peak), so mostly {dominant}",
        *_memory(config, int(size), 152_000),
    ]


def _memory(config: RunConfig, size: int, words: int) -> list[str]:
    """Memory of a worker at the least: weights, gradients, Adam, the reference, a micro-batch."""
    wide = 2 if config.policy.dtype != "float32" else 4
    trained = size if not config.policy.lora_rank else size // 50
    fixed = size * wide + trained * (wide + 2 * wide) + (size * wide if config.inner.beta else 0)
    rows = config.inner.completions // config.inner.updates
    rows //= int(config.trl.get("gradient_accumulation_steps", 1))
    logits = rows * _longest(config) * words * _LOGITS
    there, what = _there()
    each = f"{fixed / 1e9:.1f} GB of weights, gradients and Adam, {logits / 1e9:.1f} GB of logits"
    said = f"memory of a worker: about {each}; {what} has {there / 1e9:.0f} GB"
    if fixed + logits > there:
        said += ": more than there is here; a larger device, LoRA, or gradient accumulation"
    return [said]


def _there() -> tuple[float, str]:
    if torch.cuda.is_available():
        return float(torch.cuda.get_device_properties(0).total_memory), "the device"
    pages = Path("/proc/meminfo").read_text("utf-8") if Path("/proc/meminfo").exists() else ""
    found = re.search(r"MemTotal:\s+(\d+) kB", pages)
    return (float(found[1]) * 1024 if found else float("inf")), "this machine"


def _minutes(config: RunConfig, counts: _Counts, step: float) -> list[str]:
    at_once = 1 if config.executor.kind == "inprocess" else config.executor.workers
    hours = counts.steps * step / 3600
    spans = hours / at_once
    shown = f"{spans * 60:.0f} minutes" if spans < 3 else f"{spans:.0f} hours"
    return [
        f"at most {hours:.1f} worker hours of inner steps, {shown} with {at_once} at once; warm "
        "starts and scoring not counted"
    ]


def _is_here(name: str) -> bool:
    return Path(name).expanduser().exists() or "/" not in name
