"""NeMo-RL: its interface as documented (PyPI has a placeholder alone), the actor started by Ray."""

from __future__ import annotations

import abc
import os
import sys
from pathlib import Path
from types import ModuleType
from typing import Any, Generic, NamedTuple, TypeVar

from tests.conformance.probes.loading import Seen, by_path

PACKAGES: tuple[str, ...] = ()
VERSION = ""
HOW = "as documented (a placeholder on PyPI): `step(message_logs, metadata)`"
M = TypeVar("M")


class EnvironmentReturn(NamedTuple, Generic[M]):
    """The fields of nemo_rl.environments.interfaces, all batched."""

    observations: list[dict[str, str]]
    metadata: list[M]
    next_stop_strings: list[list[str] | None] | list[None]
    rewards: Any
    terminateds: Any
    answers: list[str | None] | None = None


class EnvironmentInterface(abc.ABC, Generic[M]):
    """The abstract methods of nemo_rl.environments.interfaces."""

    @abc.abstractmethod
    def step(self, message_log_batch: list[Any], metadata: list[M]) -> EnvironmentReturn[M]: ...

    @abc.abstractmethod
    def global_post_process_and_metrics(self, batch: Any) -> tuple[Any, dict[str, Any]]: ...


def documented() -> None:
    """Make `nemo_rl.environments.interfaces` importable, in a worker of Ray too."""
    for name in ("nemo_rl", "nemo_rl.environments", "nemo_rl.environments.interfaces"):
        sys.modules.setdefault(name, ModuleType(name))
    vars(sys.modules["nemo_rl.environments.interfaces"]).update(
        EnvironmentInterface=EnvironmentInterface, EnvironmentReturn=EnvironmentReturn
    )


def drive(file: Path, name: str, rows: list[dict[str, Any]], size: int | None) -> Seen:
    documented()
    env = _actor(file).__ray_metadata__.modified_class({"num_workers": 1})
    logs, metadata = zip(*(_rollout(row) for row in rows), strict=True)
    found = env.step(list(logs), list(metadata))
    _, metrics = env.global_post_process_and_metrics({"total_reward": found.rewards})
    assert abs(metrics["reward"] - found.rewards.mean().item()) < 1e-5
    assert found.terminateds.tolist() == [1.0] * len(rows)
    assert len(found.observations) == len(found.next_stop_strings) == len(rows)
    return [(value, None) for value in found.rewards.tolist()]


def setting(file: Path) -> str:
    """Whether the class of one file runs as an actor of Ray and scores the same there."""
    import ray

    os.environ["PYTHONPATH"] = os.pathsep.join(sys.path)  # its worker imports the file as well
    setup = {"worker_process_setup_hook": documented}
    ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False, runtime_env=setup)
    rollout = _rollout({"completion": "5", "answer": "5"})
    try:
        env = _actor(file).remote({"num_workers": 1})
        found = ray.get(env.step.remote([rollout[0]], [rollout[1]]), timeout=300)
    finally:
        ray.shutdown()
    env = _actor(file).__ray_metadata__.modified_class()
    same = found.rewards.equal(env.step([rollout[0]], [rollout[1]]).rewards)
    return "as a Ray actor: equal" if same else "as a Ray actor: other rewards"


def _actor(file: Path) -> Any:
    return next(v for k, v in vars(by_path(file)).items() if k.endswith("Reward"))


def _rollout(row: dict[str, Any]) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """A message log, with the tensors that NeMo-RL keeps beside the text, and its metadata."""
    import torch

    said = {"role": "assistant", "content": row.get("completion", "")}
    asked = {"role": "user", "content": row.get("prompt", "p")}
    known = ("completion", "prompt", "answer")
    given = {k: v for k, v in row.items() if k not in known}
    gold = {"ground_truth": row["answer"]} if "answer" in row else {}
    return [{**m, "token_ids": torch.tensor([1])} for m in (asked, said)], {**given, **gold}
