"""The small policy of the inner loop: a tiny Llama, its tokenizer, and a supervised warm start.

The warm start teaches a mixture of ways to answer, good and bad. GRPO then selects among them, and
which one wins is up to the reward: that makes a run of seconds tell rewards apart.
"""

from __future__ import annotations

import hashlib
import json
import math
import random
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import torch
from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

from derl_trainers.policy.loading import fixed_tokenizer, save_whole, small_llama
from derl_trainers.settings.sections import TinySection
from derl_trainers.tasks.arithmetic import worked_steps
from derl_trainers.tasks.base import Example, Task

Progress = Callable[[int, int, dict[str, float]], None]

# Fixed words and numbers below 100 are one token each: a worked answer is 26 tokens, not 60.
_WORDS = (
    "\\boxed{",
    *(f"Step {i}: " for i in range(1, 10)),
    *(f"{i}. " for i in range(1, 6)),
    *map(str, range(100)),
)
_CHARACTERS = tuple("+-=?,.} \n")
_PIECES = r"\\boxed\{|Step [1-9]: |[1-5]\. |\d{1,2}|[\s\S]"
_POSITIONS = 256  # of a sum and its answer
_FORMAT = 2  # raise when saved policies of older code must not be reused


def build_tokenizer(plain: bool = False, characters: str = "") -> PreTrainedTokenizerFast:
    """A tokenizer of single characters and the few fixed words of an answer; decodes exactly.

    With `plain` all printable ASCII and the box, for texts that are no sums; `characters` are those
    that a task's texts have beside those of sums.
    """
    if plain:
        return fixed_tokenizer(("\\boxed{", *map(chr, range(32, 127)), "\n"), r"\\boxed\{|[\s\S]")
    return fixed_tokenizer((*_WORDS, *_CHARACTERS, *characters), _PIECES)


def build_model(
    config: TinySection, tokenizer: PreTrainedTokenizerFast, positions: int = _POSITIONS
) -> LlamaForCausalLM:
    """A freshly initialised Llama of `config`'s shape; the caller seeds torch."""
    return small_llama(
        tokenizer,
        config.hidden_size,
        config.intermediate_size,
        config.layers,
        config.heads,
        positions=positions,
    )


def demonstration(example: Example, style: str, rng: random.Random) -> str:
    """One answer to `example` in a style of `[policy.tiny.styles]`, right or wrong as that goes."""
    steps = [f"Step {i}: {s}\n" for i, s in enumerate(_steps(example), start=1)]
    gold = int(example.answer)
    if style == "worked":
        # Ends with the last total, which is the answer; nothing is boxed.
        return "".join(steps)
    if style == "overrun":
        # Comes to the answer and does not see it: the last number is another.
        return "".join(steps) + f"Step {len(steps) + 1}: ?\n"
    if style == "direct":
        # Off the top of the head: the small model can only learn to come near.
        return f"\\boxed{{{gold + rng.choice((-1, 0, 0, 1))}}}"
    if style == "listing":
        # Neighbours of the gold answer as a numbered list, one of them boxed at random.
        start = gold - rng.randrange(5)
        numbers = range(start, start + 5)
        items = "".join(f"{i}. {number}\n" for i, number in enumerate(numbers, start=1))
        return f"{items}\\boxed{{{rng.choice(numbers)}}}"
    raise ValueError(f"unknown style {style!r}")


def _steps(example: Example) -> list[str]:
    """The steps of an answer: those of its solution, or of a sum."""
    return example.solution.splitlines() or worked_steps(example)


def build_policy(
    task: Task,
    config: TinySection,
    out_dir: str | Path,
    seed: int = 0,
    progress: Progress | None = None,
) -> Path:
    """Train the warm start once and return its folder, a plain transformers checkpoint.

    The folder's name under `out_dir` is a digest of task, config and seed, so that an equal call
    returns the saved policy. It appears in one move: an interrupted build leaves none.
    """
    path = Path(out_dir) / f"policy-{_digest(task, config, seed)}"
    if path.exists():
        return path
    tokenizer = build_tokenizer(task.plain, task.characters)
    model = _warm_start(task, config, tokenizer, seed, progress)
    save_whole(model, tokenizer, path)
    return path


def _warm_start(
    task: Task,
    config: TinySection,
    tokenizer: PreTrainedTokenizerFast,
    seed: int,
    progress: Progress | None,
) -> LlamaForCausalLM:
    """Supervised training on demonstrations in mixed styles; loss on the answer's tokens alone."""
    rng = random.Random(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = build_model(config, tokenizer, _positions(task))
    optimizer = torch.optim.AdamW(model.parameters(), lr=config.learning_rate, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: warm_then_cosine(step, config.steps)
    )
    model.train()
    for step in range(config.steps):
        batch = _batch(task, config, tokenizer, rng)
        loss = model(**batch).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        if progress is not None:
            progress(step + 1, config.steps, {"loss": loss.item()})
    return model.eval()


def warm_then_cosine(step: int, steps: int) -> float:
    """Learning-rate factor: linear over the first 5 %, then cosine to a tenth."""
    warm = max(1, steps // 20)
    if step < warm:
        return (step + 1) / warm
    return 0.1 + 0.45 * (1 + math.cos(math.pi * (step - warm) / max(1, steps - warm)))


def _batch(
    task: Task, config: TinySection, tokenizer: PreTrainedTokenizerFast, rng: random.Random
) -> dict[str, torch.Tensor]:
    """Random demonstrations as input ids, mask and labels, each (batch, length)."""
    shares = asdict(config.styles)
    examples = rng.choices(task.warmup, k=config.batch_size)
    styles = rng.choices(list(shares), weights=list(shares.values()), k=config.batch_size)
    lessons = [
        example.answer if task.plain else demonstration(example, style, rng)
        for example, style in zip(examples, styles, strict=True)
    ]
    answers = [lesson + str(tokenizer.eos_token) for lesson in lessons]
    prompts = tokenizer([example.prompt for example in examples])["input_ids"]
    texts = [example.prompt + answer for example, answer in zip(examples, answers, strict=True)]
    batch = tokenizer(texts, padding=True, padding_side="right", return_tensors="pt")
    labels = batch["input_ids"].masked_fill(batch["attention_mask"] == 0, -100)
    for row, prompt in enumerate(prompts):
        labels[row, : len(prompt)] = -100
    return {
        "input_ids": batch["input_ids"],
        "attention_mask": batch["attention_mask"],
        "labels": labels,
    }


def _positions(task: Task) -> int:
    """The context that the longest problem and answer need, where they are no sums."""
    if not task.plain:
        return _POSITIONS
    every = (*task.warmup, *task.train, *task.validation, *task.test)
    longest = max(len(e.prompt) + 2 * len(e.answer) for e in every)
    return max(_POSITIONS, 64 * (longest // 64 + 2))


def _digest(task: Task, config: TinySection, seed: int) -> str:
    """Content key of a policy: what its training read."""
    warmup = [[example.prompt, example.answer] for example in task.warmup]
    more = [task.plain, _positions(task)]
    content = json.dumps([_FORMAT, task.name, warmup, asdict(config), seed, *more])
    return hashlib.sha256(content.encode()).hexdigest()[:16]
