"""Supervised fine-tuning of a policy on a task's own solutions, so that it leaves the floor."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from transformers import PreTrainedTokenizerBase, PrinterCallback, TrainerCallback
from trl import SFTConfig, SFTTrainer

from derl_trainers.policy.answers import Chat, chat_for
from derl_trainers.policy.loading import MOST, ModelMissing, load_model, vocabulary
from derl_trainers.policy.lora import lora_config, merged
from derl_trainers.policy.quiet import quiet
from derl_trainers.settings.sections import PolicySection
from derl_trainers.tasks.base import Example, TaskError
from derl_trainers.tasks.contents import content
from derl_trainers.tasks.table import TaskSection

RECORD = "taught.json"  # beside the model: what it was taught by, and the loss on the way
Progress = Callable[[int, int, dict[str, float]], None]


@dataclass(frozen=True, slots=True)
class Lessons:
    """How a policy is taught: steps of so many solutions each.

    With `bf16` products are of bfloat16, as on CUDA they always are: weights stay as they were.
    """

    steps: int
    batch: int
    learning_rate: float
    seed: int
    bf16: bool = False

    @property
    def halved(self) -> bool:
        """Whether products are of bfloat16 on this machine."""
        return self.bf16 or torch.cuda.is_available()

    def depends(self) -> dict[str, Any]:
        """What a taught policy depends on."""
        found = {**asdict(self), "bf16": self.halved}
        # Records of before there was `bf16` hold.
        return found if self.halved else {k: v for k, v in found.items() if k != "bf16"}


def teach(
    task: TaskSection,
    policy: PolicySection,
    lessons: Lessons,
    out: Path,
    progress: Progress | None = None,
) -> bool:
    """Train the policy on the solutions of the task's training problems; False if `out` has it.

    `out` becomes a checkpoint that plain transformers loads, in one move. Validation and test
    problems are not read. Raises TaskError for a task without solutions or with too few, a folder
    that holds something else, and a model that cannot be loaded.
    """
    depends = {
        "task": task.depends(),
        "policy": {**asdict(policy), "model": content(policy.model) or policy.model},
        "lessons": lessons.depends(),
    }
    digest = hashlib.sha256(json.dumps(depends, sort_keys=True, default=str).encode()).hexdigest()
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        if _digest_of(out) == digest:
            return False
        raise TaskError(f"{out}: holds something else than what these settings teach")
    rows = [example for example in task.load().train if example.solution]
    if len(rows) < lessons.batch:
        raise TaskError(
            f"{task.name} has {len(rows)} training problems with a solution, and a step takes "
            f"{lessons.batch}: GSM8K, MATH and equations have them, rows of data have their answers"
        )
    out.parent.mkdir(parents=True, exist_ok=True)
    unfinished = Path(tempfile.mkdtemp(prefix=".taught-", dir=out.parent))
    try:
        try:
            losses = _train(rows, policy, lessons, unfinished, progress)
        except ModelMissing as error:
            raise TaskError(str(error)) from None
        record = {"digest": digest, **depends, "problems": len(rows), "losses": losses}
        (unfinished / RECORD).write_text(json.dumps(record, indent=1, default=str), "utf-8")
        if out.exists():
            out.rmdir()
        unfinished.rename(out)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return True


def _digest_of(folder: Path) -> str | None:
    record = folder / RECORD
    if not record.is_file():
        return None
    found: str | None = json.loads(record.read_text("utf-8")).get("digest")
    return found


def _train(
    rows: Sequence[Example],
    policy: PolicySection,
    lessons: Lessons,
    folder: Path,
    progress: Progress | None,
) -> list[float]:
    """The loss of each step, on the tokens of the solutions alone; the model is saved."""
    model, tokenizer = load_model(policy.model, getattr(torch, policy.dtype))
    chat = chat_for(tokenizer, policy.chat, policy.system)
    told = _Told(lessons.steps, progress)
    with quiet():
        trainer = _Trainer(
            model=model,
            args=_settings(lessons, folder),
            train_dataset=Dataset.from_list([lesson(row, chat, tokenizer) for row in rows]),
            processing_class=tokenizer,
            callbacks=[told],
            peft_config=lora_config(policy.lora_rank, policy.lora_alpha, policy.lora_targets),
        )
        trainer.remove_callback(PrinterCallback)
        trainer.train()
        merged(trainer.model).save_pretrained(folder)
        tokenizer.save_pretrained(folder)
    return told.losses


def lesson(row: Example, chat: Chat | None, tokenizer: PreTrainedTokenizerBase) -> dict[str, Any]:
    """A problem as the policy is asked it, and its solution up to the end."""
    if chat is not None:
        answer = [{"role": "assistant", "content": row.solution}]
        return {"prompt": chat.messages(row.prompt), "completion": answer}
    return {"prompt": row.prompt, "completion": row.solution + str(tokenizer.eos_token)}


def _settings(lessons: Lessons, folder: Path) -> SFTConfig:
    cuda = torch.cuda.is_available()
    return SFTConfig(
        output_dir=str(folder),
        max_steps=lessons.steps,
        per_device_train_batch_size=lessons.batch,
        learning_rate=lessons.learning_rate,
        lr_scheduler_type="cosine",
        warmup_steps=min(10, lessons.steps // 5),
        seed=lessons.seed,
        data_seed=lessons.seed,
        completion_only_loss=True,
        train_sampling_strategy="group_by_length",
        gradient_checkpointing=cuda,
        logging_steps=1,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        bf16=lessons.halved,
        use_cpu=not cuda,
        dataloader_pin_memory=False,
    )


class _Trainer(SFTTrainer):  # type: ignore[misc]
    """SFTTrainer with a plain loss on a CPU: TRL's saves memory, tells entropy, takes longer."""

    def compute_loss(
        self, model: Any, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        labels = inputs["labels"]
        taught = (labels != -100).any(0).nonzero()
        first = max(1, int(taught[0])) if len(taught) else 1  # column of the first token
        size = labels[:, first:].numel() * vocabulary(model)
        other = labels.is_cuda or return_outputs or self.aux_loss_enabled or size > MOST
        if other or num_items_in_batch is None:
            return super().compute_loss(model, inputs, return_outputs, num_items_in_batch)
        asked = {name: value for name, value in inputs.items() if name != "labels"}
        kept = labels.shape[1] - first + 1
        logits = model(**asked, use_cache=False, logits_to_keep=kept).logits[:, -kept:-1]
        loss = torch.nn.functional.cross_entropy(
            logits.flatten(0, 1).float(),
            labels[:, first:].flatten(),
            ignore_index=-100,
            reduction="sum",
        )
        return loss / num_items_in_batch * self.accelerator.num_processes


class _Told(TrainerCallback):  # type: ignore[misc]
    """Keeps the loss of each step, and tells it."""

    def __init__(self, steps: int, progress: Progress | None) -> None:
        self.steps = steps
        self.progress = progress
        self.losses: list[float] = []

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
        if not logs or "loss" not in logs:
            return
        self.losses.append(float(logs["loss"]))
        if self.progress is not None:
            self.progress(state.global_step, self.steps, {"loss": self.losses[-1]})
