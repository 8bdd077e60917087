"""The cold start: a short supervised run on formulas, which ends while many still fail."""

from __future__ import annotations

import hashlib
import json
import random
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from transformers import PrinterCallback, TrainerCallback
from trl import SFTConfig, SFTTrainer

from derl_dsl.checker import check
from derl_dsl.generate.sample import FORMULAS, Profile, sample_program
from derl_trainers.outer.judge import judge
from derl_trainers.outer.optimizer import (
    MetaOptimizer,
    build_meta_optimizer,
    meta_peft_config,
    prompt_with_history,
    sample_formulas,
)
from derl_trainers.outer.prompts import suite_scope
from derl_trainers.outer.run import Run
from derl_trainers.policy.lora import merged
from derl_trainers.policy.quiet import quiet
from derl_trainers.reading import ConfigError
from derl_trainers.runs.jobs import source_of
from derl_trainers.settings.run import MetaSection, RunConfig
from derl_trainers.tasks.contents import content

Progress = Callable[[int, int, dict[str, float]], None]
_PROBE = 32  # formulas sampled to see how many pass the checker
_PROBE_EVERY = 10  # cold-start steps
_RECORD = "cold_start.json"  # beside the model: steps, lessons, and what it wrote untrained
# Settings of [meta] that only the search after the cold start reads.
_LATER = frozenset({"steps", "formulas", "updates", "learning_rate", "beta", "penalty", "rewards",
                    "repeats", "start", "patience", "race", "trl", "model", "cold_file",
                    "origin", "given"})  # fmt: skip

# Arithmetic of a few terms: what a small model can learn from a thousand examples.
_SHORT = Profile(
    terms=5, parts=0, weights={k: w for k, w in FORMULAS.weights.items() if k != "conditional"}
)


def cold_start_formulas(suite: str, count: int, seed: int) -> list[str]:
    """`count` random formulas of the suite that pass the checker; equal ones may occur."""
    scope, rng = suite_scope(suite), random.Random(seed)
    found: list[str] = []
    while len(found) < count:
        text = sample_program(scope, rng, _SHORT)
        if _passes(text, suite):
            found.append(text)
    return found


def share_valid(formulas: list[str], suite: str) -> float:
    """Share of formulas without an error."""
    return sum(_passes(f, suite) for f in formulas) / len(formulas)


def _passes(formula: str, suite: str) -> bool:
    return all(d.severity != "error" for d in check(formula, suite))


@dataclass(frozen=True, slots=True)
class Cold:
    """A cold-started model: its folder, how many steps it took, and what they learnt from.

    `too_long` counts formulas that `[meta] max_tokens` would cut off, which are left out.
    """

    folder: Path
    steps: int
    formulas: int
    too_long: int
    untrained: dict[str, int]


def cold_started(run: Run) -> Cold:
    """The cold-started model of a run, of this suite and these settings; made where there is none.

    Its folder is named by all that it depends on, and appears in one move, when all is done.
    """
    if run.config.meta.origin:
        return _taken(run, Path(run.config.meta.origin))
    folder = run.home / "meta" / f"cold-{_depends(run)}"
    if not folder.exists():
        _make(run, folder)
    found = Cold(folder, **json.loads((folder / _RECORD).read_text("utf-8")))
    run.store.add_probe(-1, found.untrained)
    return found


def _taken(run: Run, origin: Path) -> Cold:
    """The model of an earlier run, copied, so that this run holds all that it needs."""
    folder = run.home / "meta" / f"from-{(content(str(origin)) or '')[:16]}"
    if not folder.exists():
        unfinished = Path(tempfile.mkdtemp(prefix=".from-", dir=_made(folder.parent)))
        shutil.copytree(origin, unfinished, dirs_exist_ok=True)
        unfinished.rename(folder)
    return Cold(folder, 0, 0, 0, {})


def check_origin(meta: MetaSection) -> None:
    """Raise ConfigError where `origin` holds no model."""
    if meta.origin and not (Path(meta.origin) / "config.json").is_file():
        raise ConfigError(
            f"[meta] origin: {meta.origin}: no model here; a finished run of the proposer grpo "
            "has one in its meta/trained"
        )


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _depends(run: Run) -> str:
    """All that a cold start depends on, in one word."""
    meta = asdict(run.config.meta)
    found = {name: value for name, value in meta.items() if name not in _LATER}
    found["model"] = content(run.config.meta.model) or run.config.meta.model
    found["cold_file"] = content(run.config.meta.cold_file)
    sources = [source_of(origin) for origin in run.primitives]
    text = json.dumps([found, run.config.suite, run.config.seed, sources], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _make(run: Run, folder: Path) -> None:
    config, view = run.config, run.runner.view
    meta = build_meta_optimizer(config.meta, config.suite, config.seed)
    untrained = probe(config, meta)

    def progress(step: int, total: int, metrics: dict[str, float]) -> None:
        view.bar("meta-optimizer: cold start", step, total, metrics)
        run.runner.pump()

    unfinished = Path(tempfile.mkdtemp(prefix=".cold-", dir=_made(folder.parent)))
    try:
        learnt = cold_start(meta, config.meta, config.suite, config.seed, unfinished, progress)
        record = {**asdict(learnt), "untrained": untrained}
        (unfinished / _RECORD).write_text(json.dumps(record), "utf-8")
        if not folder.exists():
            unfinished.rename(folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    view.drop("meta-optimizer: cold start")


def probe(config: RunConfig, meta: MetaOptimizer) -> dict[str, int]:
    """What the meta-optimizer writes now, by the checker alone; the random state is left alone."""
    with quiet(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        formulas = sample_formulas(meta, config.meta, config.meta.probe)
    verdicts = [judge(formula, config.suite) for formula in formulas]
    certificates = [v.certificate for v in verdicts if v.certificate is not None]
    return {
        "formulas": len(verdicts),
        "valid": len(certificates),
        "monotone": sum(c["outcome_monotone"] is True for c in certificates),
        "distinct_keys": len({v.key for v in verdicts if v.key is not None}),
    }


@dataclass(frozen=True, slots=True)
class Learnt:
    """What a cold start came to: its steps, the formulas it learnt from, those too long for it."""

    steps: int
    formulas: int
    too_long: int


def cold_start(
    meta: MetaOptimizer,
    config: MetaSection,
    suite: str,
    seed: int,
    out_dir: Path,
    progress: Progress | None = None,
) -> Learnt:
    """Supervised training on formulas until `cold_valid` of what is freely written is valid.

    The model is trained in place, LoRA adapters are merged into it, and it is saved to `out_dir`, a
    plain transformers checkpoint. Formulas that `max_tokens` would cut off are left out: what is
    learnt from them could never be written. `progress` hears first what a file of formulas gave,
    if there is one. Raises ConfigError where none is left to learn.
    """
    if config.cold_file:
        file = read_formulas(Path(config.cold_file), suite)
        formulas = file.formulas
        if progress is not None:
            read = {"formulas": float(len(formulas)), "left out": float(file.left_out)}
            progress(0, config.cold_steps, read)
    else:
        formulas = cold_start_formulas(suite, config.cold_formulas, seed)
    fitting = [text for text in formulas if _tokens(meta, text) <= config.max_tokens]
    if not fitting:
        least = min(_tokens(meta, text) for text in formulas)
        raise ConfigError(
            f"[meta] max_tokens: each of the {len(formulas)} cold-start formulas is longer than "
            f"{config.max_tokens} tokens; the shortest has {least}"
        )
    probe = _Probe(meta, config, suite, progress)
    with quiet():
        if config.cold_steps:
            trainer = SFTTrainer(
                model=meta.model,
                args=_sft_config(config, seed, out_dir),
                train_dataset=Dataset.from_list(_lessons(meta, config, suite, fitting, seed)),
                processing_class=meta.tokenizer,
                callbacks=[probe],
                peft_config=meta_peft_config(config),
            )
            trainer.remove_callback(PrinterCallback)
            trainer.train()
            # Adapters live in the layers of `meta.model`, and leave them here.
            merged(trainer.model)
        meta.model.eval()
        meta.model.save_pretrained(out_dir)
        meta.tokenizer.save_pretrained(out_dir)
    return Learnt(probe.steps, len(fitting), len(formulas) - len(fitting))


def _tokens(meta: MetaOptimizer, formula: str) -> int:
    """The tokens of a formula as a completion, its end among them."""
    return len(meta.tokenizer(formula, add_special_tokens=False)["input_ids"]) + 1


def _lessons(
    meta: MetaOptimizer, config: MetaSection, suite: str, formulas: list[str], seed: int
) -> list[dict[str, Any]]:
    """Prompts and formulas to learn; a history in the prompt is of formulas with made-up scores."""
    rng = random.Random(seed)
    rows = []
    for formula in formulas:
        past = rng.sample(formulas, min(rng.randint(0, config.history), len(formulas)))
        made_up = sorted(rng.random() for _ in past)
        prompt = prompt_with_history(meta, suite, list(zip(past, made_up, strict=True)))
        rows.append({"prompt": prompt, "completion": meta.completion(formula)})
    return rows


@dataclass(frozen=True, slots=True)
class FormulaFile:
    """The formulas of a file that pass the checker, and how many lines were left out."""

    formulas: list[str]
    left_out: int


def read_formulas(path: Path, suite: str) -> FormulaFile:
    """The formulas of a file, one a line; empty lines do not count.

    Raises ConfigError for a file that cannot be read or has no formula that passes the checker.
    """
    try:
        lines = [line.strip() for line in path.read_text("utf-8").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"[meta] cold_file: {path} cannot be read: {error}") from None
    found = [line for line in lines if line]
    good = [line for line in found if _passes(line, suite)]
    if not good:
        raise ConfigError(
            f"[meta] cold_file: none of the {len(found)} lines of {path} is a formula of the suite "
            f"{suite!r} that passes the checker; try `derl-dsl check`"
        )
    return FormulaFile(good, len(found) - len(good))


def _sft_config(config: MetaSection, seed: int, out_dir: Path) -> SFTConfig:
    return SFTConfig(
        output_dir=str(out_dir),
        max_steps=config.cold_steps,
        per_device_train_batch_size=config.cold_batch,
        learning_rate=config.cold_learning_rate,
        lr_scheduler_type="constant_with_warmup",
        warmup_steps=min(10, config.cold_steps // 5),
        seed=seed,
        data_seed=seed,
        completion_only_loss=True,
        gradient_checkpointing=False,
        logging_strategy="no",
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        bf16=False,
        use_cpu=not torch.cuda.is_available(),
        dataloader_pin_memory=False,
    )


class _Probe(TrainerCallback):  # type: ignore[misc]
    """Samples now and then, and ends the cold start when enough of it passes the checker."""

    def __init__(
        self, meta: MetaOptimizer, config: MetaSection, suite: str, progress: Progress | None
    ) -> None:
        self.meta = meta
        self.config = config
        # Under masks there is little to get wrong, and nothing to see of what is learnt.
        self.free = replace(config, decoding="free")
        self.suite = suite
        self.progress = progress
        self.steps = 0
        self.last = 0.0

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> Any:
        self.steps = state.global_step
        metrics: dict[str, float] = {}
        if self.steps % _PROBE_EVERY == 0:
            formulas = sample_formulas(self.meta, self.free, _PROBE)
            share = share_valid(formulas, self.suite)
            # Two probes in a row: one alone is right by luck too often.
            metrics["valid"] = (share + self.last) / 2
            self.last = share
            control.should_training_stop |= metrics["valid"] >= self.config.cold_valid
        if self.progress is not None:
            self.progress(self.steps, self.config.cold_steps, metrics)
        return control
