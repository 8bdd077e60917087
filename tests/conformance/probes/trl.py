"""TRL: the method of GRPOTrainer that calls reward functions; no model is made."""

from __future__ import annotations

from collections import defaultdict
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from tests.conformance.probes.loading import Seen, by_path

PACKAGES: tuple[str, ...] = ()
VERSION = "trl"
PARTS = "means"
HOW = "GRPOTrainer._calculate_rewards"


def trainer(functions: list[Any], size: int, progress: float) -> Any:
    """As much of a GRPOTrainer as scoring takes."""
    import torch
    from trl import GRPOTrainer

    made = GRPOTrainer.__new__(GRPOTrainer)
    made.accelerator = SimpleNamespace(device=torch.device("cpu"), is_main_process=False)
    made.reward_funcs = functions
    made.reward_processing_classes = [None] * len(functions)
    made.reward_func_names = [f.__name__ for f in functions]
    made.environments = None
    made.num_generations = made.num_generations_eval = size
    made.model = SimpleNamespace(training=True)
    made.args = SimpleNamespace(report_to=[])
    made.state = SimpleNamespace(global_step=round(progress * 10), max_steps=10)
    made._pending_metrics = defaultdict(list)
    made._pending_extra_logs = defaultdict(list)
    return made


def drive(file: Path, name: str, rows: list[dict[str, Any]], size: int | None) -> Seen:
    return called(getattr(by_path(file), name), rows, size)


def called(function: Any, rows: list[dict[str, Any]], size: int | None) -> Seen:
    """What the trainer's own method makes of a reward function."""
    import trl.trainer.grpo_trainer as grpo

    grpo.profiling_context = lambda *_: nullcontext()  # it reports to a run that there is none of
    progress = rows[0].get("progress", 0.0)
    made = trainer([function], size or 1, progress)
    inputs = [{k: v for k, v in row.items() if k != "progress"} for row in rows]
    prompts = [row.get("prompt", "p") for row in rows]
    texts = [row.get("completion", "") for row in rows]
    ids = [row.get("completion_ids", [1]) for row in rows]
    found = made._calculate_rewards(inputs, prompts, texts, ids)[:, 0].tolist()
    parts = {k.removeprefix("parts/"): v[0] for k, v in made._pending_metrics.items()}
    return [(None if v != v else v, parts) for v in found]
