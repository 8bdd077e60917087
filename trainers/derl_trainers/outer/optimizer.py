"""The meta-optimizer: a language model that writes formulas, cold-started and left imperfect.

`tiny` is built here and reads characters; any other causal language model is loaded. It learns the
language from formulas, those of a file or sampled from the project's own grammar, by a short
supervised run that ends while a good share of what it writes still fails: the outer loop has to
teach the rest.
"""

from __future__ import annotations

import random
import re
import string
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from transformers import (
    LogitsProcessorList,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
    PrinterCallback,
    TrainerCallback,
)
from trl import SFTConfig, SFTTrainer

from derl_dsl.checker import check
from derl_dsl.elaborate.custom import REGISTRY
from derl_dsl.elaborate.scope import Scope, build_scope
from derl_dsl.generate import llguidance_grammar
from derl_dsl.generate.sample import FORMULAS, Profile, sample_program
from derl_grammar.types import Bool
from derl_primitives.suites import find_suite
from derl_runtime.faults import visible
from derl_trainers.outer.decoding import FormulaMasks, FormulaProcessor, end_tokens, masked_rows
from derl_trainers.policy.loading import fixed_tokenizer, load_model, small_llama
from derl_trainers.policy.lora import lora_config, merged
from derl_trainers.policy.quiet import quiet
from derl_trainers.settings.run import ConfigError, MetaSection

Progress = Callable[[int, int, dict[str, float]], None]
Prompt = str | list[dict[str, str]]

TINY = "tiny"
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
    """A model, its tokenizer, and the prompt it answers with a formula.

    `masks` say which tokens go on with a formula, for masked and mixed decoding.
    """

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    prompt: Prompt
    masks: FormulaMasks | None = None

    def completion(self, formula: str) -> Prompt:
        """A formula in the form of this model's completions."""
        if isinstance(self.prompt, str):
            return formula
        return [{"role": "assistant", "content": formula}]


def build_meta_optimizer(config: MetaSection, suite: str, seed: int) -> MetaOptimizer:
    """The untrained `tiny`, or a pretrained model; raises ModelMissing if it cannot be loaded."""
    if config.model != TINY:
        return _loaded(config, suite, config.model)
    tokenizer = build_tokenizer()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = small_llama(
            tokenizer,
            config.hidden_size,
            2 * config.hidden_size,
            config.layers,
            config.heads,
            # Room for the history, and some tokens around it.
            positions=(config.history + 1) * (config.max_tokens + 32) + 512,
        )
    return _with_prompt(config, suite, model.to(getattr(torch, config.dtype)), tokenizer)


def load_meta_optimizer(config: MetaSection, suite: str, folder: Path) -> MetaOptimizer:
    """The meta-optimizer that a cold start saved to `folder`.

    GRPO can load the same model from there again, as the reference of its KL term.
    """
    return _loaded(config, suite, folder)


def _loaded(config: MetaSection, suite: str, name: str | Path) -> MetaOptimizer:
    with quiet():
        model, tokenizer = load_model(name, getattr(torch, config.dtype))
    return _with_prompt(config, suite, model, tokenizer)


def _with_prompt(
    config: MetaSection, suite: str, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase
) -> MetaOptimizer:
    if tokenizer.chat_template is not None:
        prompt: Prompt = chat_prompt(suite)
    else:
        # `tiny` reads no English.
        prompt = _ASK if config.model == TINY else f"{instruction(suite)}\n{_ASK}"
    masks = None
    if config.decoding != "free":
        grammar = llguidance_grammar(suite_scope(suite))
        masks = FormulaMasks(grammar, model, tokenizer, config.max_tokens)
    return MetaOptimizer(model, tokenizer, prompt, masks)


def meta_peft_config(config: MetaSection) -> Any:
    """The LoRA adapters to train, None for all weights; raises ModelMissing without peft."""
    return lora_config(config.lora_rank, config.lora_alpha, config.lora_targets)


def build_tokenizer() -> PreTrainedTokenizerFast:
    """One token for each printable ASCII character: the model may write anything, also nonsense."""
    letters = string.ascii_letters + string.digits + string.punctuation + " \n"
    return fixed_tokenizer(letters, r"[\s\S]")


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
def sample_formulas(
    meta: MetaOptimizer, config: MetaSection, count: int, seed: int | None = None
) -> list[str]:
    """`count` formulas as the meta-optimizer writes them now, decoded as `[meta] decoding` says.

    With a seed they depend on it and the weights alone, and torch's random numbers are left as they
    were; so is the model's mode.
    """
    was_training = meta.model.training
    meta.model.eval()
    if isinstance(meta.prompt, str):
        batch = meta.tokenizer([meta.prompt], return_tensors="pt", return_token_type_ids=False)
    else:
        batch = meta.tokenizer.apply_chat_template(
            [meta.prompt], add_generation_prompt=True, return_tensors="pt", return_dict=True
        )
    processors = LogitsProcessorList()
    if config.decoding != "free":
        assert meta.masks is not None
        processors.append(FormulaProcessor(meta.masks, masked_rows(config, count)))
    with _seeded(meta.model.device, seed):
        tokens = meta.model.generate(
            **batch.to(meta.model.device),
            do_sample=True,
            temperature=config.temperature,
            top_k=0,
            top_p=1.0,
            num_return_sequences=count,
            max_new_tokens=config.max_tokens,
            pad_token_id=meta.tokenizer.pad_token_id,
            eos_token_id=end_tokens(meta.model, meta.tokenizer),
            logits_processor=processors,
        )
    meta.model.train(was_training)
    new = tokens[:, batch["input_ids"].shape[1] :]
    return [formula_text(t) for t in meta.tokenizer.batch_decode(new, skip_special_tokens=True)]


@contextmanager
def _seeded(device: torch.device, seed: int | None) -> Iterator[None]:
    """Torch's random numbers from a seed, and put back afterwards; without one, as they are."""
    if seed is None:
        yield
        return
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield


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
    """Supervised training on formulas until `cold_valid` of what is freely written is valid.

    The model is trained in place, LoRA adapters are merged into it, and it is saved to `out_dir`, a
    plain transformers checkpoint. Returns the number of steps. `progress` hears first what a file
    of formulas gave, if there is one. Raises ConfigError for a file that has none to learn.
    """
    if config.cold_file:
        file = read_formulas(Path(config.cold_file), suite)
        formulas = file.formulas
        if progress is not None:
            read = {"formulas": float(len(formulas)), "left out": float(file.left_out)}
            progress(0, config.cold_steps, read)
    else:
        formulas = cold_start_formulas(suite, config.cold_formulas, seed)
    probe = _Probe(meta, config, suite, progress)
    with quiet():
        if config.cold_steps:
            trainer = SFTTrainer(
                model=meta.model,
                args=_sft_config(config, seed, out_dir),
                train_dataset=Dataset.from_list(_lessons(meta, config, suite, formulas, seed)),
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
    return probe.steps


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
