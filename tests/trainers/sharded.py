"""Two CPU processes that each hold half of every weight, and save the policy: run by torchrun.

accelerate itself shards on accelerators alone; here torch shards, and accelerate is told so.
"""

import sys
from pathlib import Path
from types import SimpleNamespace

from accelerate import Accelerator
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor

from derl_trainers.inner.scoring import save
from derl_trainers.policy.loading import load_model

policy, out = map(Path, sys.argv[1:])
accelerator = Accelerator(cpu=True)
Accelerator.is_fsdp2 = property(lambda self: True)  # type: ignore[method-assign, assignment]
model, tokenizer = load_model(policy)
whole = {name: weight.shape for name, weight in model.named_parameters()}
for layer in model.model.layers:
    fully_shard(layer)
fully_shard(model)
for name, weight in model.named_parameters():
    assert isinstance(weight, DTensor)
    assert weight.shape == whole[name]
    assert weight.to_local().numel() < weight.numel(), name
trainer = SimpleNamespace(
    accelerator=accelerator,
    model=model,
    model_wrapped=model,
    is_fsdp_enabled=True,
    is_deepspeed_enabled=False,
    is_world_process_zero=lambda: accelerator.is_main_process,
)
save(trainer, tokenizer, out)  # type: ignore[arg-type]
accelerator.wait_for_everyone()
accelerator.end_training()
