"""The meta-optimizer: a language model that writes formulas, cold-started and left imperfect.

`tiny` is built here and reads characters; `smollm2` is SmolLM2-135M-Instruct. Both learn the
language from formulas that the project samples from its own grammar, by a short supervised run
that ends while a good share of what they write still fails: the outer loop has to teach the rest.
"""

from __future__ import annotations

import random
import re
import string
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from transformers import (
    PreTrainedModel,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
    PrinterCallback,
    TrainerCallback,
)
from trl import SFTConfig, SFTTrainer

from derl_dsl.checker import check
from derl_dsl.custom import REGISTRY
from derl_dsl.sample import FORMULAS, Profile, sample_program
from derl_dsl.scope import Scope, build_scope
from derl_grammar.types import Bool
from derl_primitives.suites import find_suite
from derl_runtime.faults import visible
from derl_trainers.config import MetaSection
from derl_trainers.models import SMOLLM2, fixed_tokenizer, load_model, small_llama
from derl_trainers.quiet import quiet

Progress = Callable[[int, int, dict[str, float]], None]
Prompt = str | list[dict[str, str]]

_PROBE = 32  # formulas sampled to see how many pass the checker
_PROBE_EVERY = 10  # cold-start steps
# Arithmetic of a few terms: what a small model can learn from a thousand examples.
_SHORT = Profile(
    terms=5, parts=0, weights={k: w for k, w in FORMULAS.weights.items() if k != "conditional"}
)
_SYSTEM = "You write reward formulas for reinforcement learning."
_INSTRUCTION = """\
Combine these scores of an answer with numbers, + - * / and brackets:
{names}{history}
Reply with one formula alone, like: {example}"""
_HISTORY = """
Formulas tried so far, each after the score it reached, the best last:
{lines}
Write one that will score higher."""
# Where a model without a chat template goes on.
_ASK = "reward = "


@dataclass(frozen=True, slots=True)
class MetaOptimizer:
    """A model, its tokenizer, and the fixed prompt it answers with a formula."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    prompt: Prompt

    def completion(self, formula: str) -> Prompt:
        """A formula in the form of this model's completions."""
        if isinstance(self.prompt, str):
            return formula
        return [{"role": "assistant", "content": formula}]


def build_meta_optimizer(config: MetaSection, suite: str, seed: int) -> MetaOptimizer:
    """The untrained `tiny`, or the pretrained `smollm2`; raises ModelMissing without weights."""
    if config.model == "smollm2":
        return _smollm2(suite)
    tokenizer = build_tokenizer()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = small_llama(
            tokenizer,
            config.hidden_size,
            2 * config.hidden_size,
            config.layers,
            config.heads,
            positions=512,
        )
    return MetaOptimizer(model, tokenizer, _ASK)


def build_tokenizer() -> PreTrainedTokenizerFast:
    """One token for each printable ASCII character: the model may write anything, also nonsense."""
    letters = string.ascii_letters + string.digits + string.punctuation + " \n"
    return fixed_tokenizer(letters, r"[\s\S]")


def _smollm2(suite: str) -> MetaOptimizer:
    model, tokenizer = load_model(SMOLLM2)
    return MetaOptimizer(model, tokenizer, chat_prompt(suite))


def chat_prompt(suite: str, past: Sequence[tuple[str, float]] = ()) -> list[dict[str, str]]:
    """The conversation that asks for a formula; `past` as in `prompt_with_history`."""
    return [
        {"role": "system", "content": _SYSTEM},
        {"role": "user", "content": instruction(suite, past)},
    ]


def prompt_with_history(
    meta: MetaOptimizer, suite: str, past: Sequence[tuple[str, float]]
) -> Prompt:
    """The prompt with formulas of earlier steps and their scores in it, best last.

    A model that only goes on with a text reads them as lines before its own.
    """
    if isinstance(meta.prompt, str):
        head = meta.prompt.removesuffix(_ASK)
        lines = [f"{_ASK}{formula}  # {score:.3f}\n" for formula, score in past]
        return f"{head}{''.join(lines)}{_ASK}"
    return chat_prompt(suite, past)


def instruction(suite: str, past: Sequence[tuple[str, float]] = ()) -> str:
    """What a model that reads English is asked: the suite's names, custom ones, an example.

    `past` as in `prompt_with_history`.
    """
    found = find_suite(suite)
    docs = {name: binding.primitive.doc for name, binding in found.bindings.items()}
    docs |= {p.signature: p.doc for p in found.primitives.values()}
    docs |= {e.primitive.signature: visible(e.primitive.doc, 80) for e in REGISTRY.values()}
    # The sentence up to its first colon says what; the rest, the exact values.
    lines = [f"{name}: {re.split('[:.]', doc)[0]}" for name, doc in docs.items()]
    first, second = scores(suite)[:2]
    example = f"0.7 * {first} + 0.3 * {second}"
    tried = "\n".join(f"{score:.3f}: {formula}" for formula, score in past)
    history = _HISTORY.format(lines=tried) if past else ""
    return _INSTRUCTION.format(names="\n".join(lines), history=history, example=example)


def scores(suite: str) -> list[str]:
    """The 0/1 scores of a suite as expressions: its bound names, or its calls of the columns."""
    found = find_suite(suite)
    return list(found.bindings) or [
        f"{p.name}({', '.join(parameter.name for parameter in p.params)})"
        for p in found.primitives.values()
        if p.returns == Bool() and all(q.name in found.columns for q in p.params)
    ]


def suite_scope(suite: str) -> Scope:
    """The names of the suite and the custom primitives, without those of every program."""
    scope, found = build_scope(suite), find_suite(suite)
    own = found.bindings.keys() | found.columns.keys()
    names = {name: source for name, source in scope.names.items() if name in own}
    primitives = {name: scope.primitives[name] for name in (*found.primitives, *REGISTRY)}
    return replace(scope, names=names, primitives=primitives)


def formula_text(completion: Any) -> str:
    """The formula in a completion: its first line that is not empty, Markdown's fences left out."""
    text = completion if isinstance(completion, str) else completion[-1]["content"]
    lines = [line.strip().strip("`").strip() for line in text.splitlines()]
    return next((line for line in lines if line and not re.fullmatch("python|text", line)), "")


def cold_start_formulas(suite: str, count: int, seed: int) -> list[str]:
    """`count` random formulas of the suite that pass the checker; equal ones may occur."""
    scope, rng = suite_scope(suite), random.Random(seed)
    found: list[str] = []
    while len(found) < count:
        text = sample_program(scope, rng, _SHORT)
        if _passes(text, suite):
            found.append(text)
    return found


@torch.inference_mode()
def sample_formulas(meta: MetaOptimizer, config: MetaSection, count: int) -> list[str]:
    """`count` formulas as the meta-optimizer writes them now; leaves the model's mode as it was."""
    was_training = meta.model.training
    meta.model.eval()
    if isinstance(meta.prompt, str):
        batch = meta.tokenizer([meta.prompt], return_tensors="pt", return_token_type_ids=False)
    else:
        batch = meta.tokenizer.apply_chat_template(
            [meta.prompt], add_generation_prompt=True, return_tensors="pt", return_dict=True
        )
    tokens = meta.model.generate(
        **batch.to(meta.model.device),
        do_sample=True,
        temperature=config.temperature,
        top_k=0,
        num_return_sequences=count,
        max_new_tokens=config.max_tokens,
        pad_token_id=meta.tokenizer.pad_token_id,
        eos_token_id=meta.tokenizer.eos_token_id,
    )
    meta.model.train(was_training)
    new = tokens[:, batch["input_ids"].shape[1] :]
    return [formula_text(t) for t in meta.tokenizer.batch_decode(new, skip_special_tokens=True)]


def share_valid(formulas: list[str], suite: str) -> float:
    """Share of formulas without an error."""
    return sum(_passes(f, suite) for f in formulas) / len(formulas)


def _passes(formula: str, suite: str) -> bool:
    return all(d.severity != "error" for d in check(formula, suite))


def cold_start(
    meta: MetaOptimizer,
    config: MetaSection,
    suite: str,
    seed: int,
    out_dir: Path,
    progress: Progress | None = None,
) -> int:
    """Supervised training on sampled formulas until `cold_valid` of what is written is valid.

    The model is trained in place and saved to `out_dir`, a plain transformers checkpoint. Returns
    the number of steps.
    """
    formulas = cold_start_formulas(suite, config.cold_formulas, seed)
    rows = [{"prompt": meta.prompt, "completion": meta.completion(f)} for f in formulas]
    probe = _Probe(meta, config, suite, progress)
    with quiet():
        if config.cold_steps:
            trainer = SFTTrainer(
                model=meta.model,
                args=_sft_config(config, seed, out_dir),
                train_dataset=Dataset.from_list(rows),
                processing_class=meta.tokenizer,
                callbacks=[probe],
            )
            trainer.remove_callback(PrinterCallback)
            trainer.train()
        meta.model.eval()
        meta.model.save_pretrained(out_dir)
        meta.tokenizer.save_pretrained(out_dir)
    return probe.steps


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
        self.suite = suite
        self.progress = progress
        self.steps = 0
        self.last = 0.0

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> Any:
        self.steps = state.global_step
        metrics: dict[str, float] = {}
        if self.steps % _PROBE_EVERY == 0:
            formulas = sample_formulas(self.meta, self.config, _PROBE)
            share = share_valid(formulas, self.suite)
            # Two probes in a row: one alone is right by luck too often.
            metrics["valid"] = (share + self.last) / 2
            self.last = share
            control.should_training_stop |= metrics["valid"] >= self.config.cold_valid
        if self.progress is not None:
            self.progress(self.steps, self.config.cold_steps, metrics)
        return control
