"""SkyRL-gym: `skyrl_gym.make` of the registered environment, one step."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.conformance.probes.loading import Seen, by_path

PACKAGES = ("skyrl-gym==0.4.0",)
VERSION = "skyrl-gym"
HOW = "skyrl_gym.make, BaseTextEnv.step"


def drive(file: Path, name: str, rows: list[dict[str, Any]], size: int | None) -> Seen:
    import skyrl_gym
    from skyrl_gym.envs.registration import registry

    registry.pop(f"{name}_derl", None)
    by_path(file)
    out: Seen = []
    for row in rows:
        spec = {"ground_truth": row["answer"]} if "answer" in row else {}
        extras = {**{k: v for k, v in row.items() if k != "answer"}, "reward_spec": spec}
        extras.pop("completion", None)
        env = skyrl_gym.make(f"{name}_derl", env_config={}, extras=extras)
        env.init([{"role": "user", "content": row.get("prompt", "p")}])
        step = env.step(row.get("completion", ""))
        parts = {k: v for k, v in step["metadata"].items() if k != "failed"}
        assert step["done"]
        out.append((step["reward"], parts))
    return out
