"""verifiers v1: a task whose rewards are plugged by its config, scored by its own `Task.score`."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from tests.conformance.probes.loading import Seen

PACKAGES = ("verifiers==0.4.0",)
VERSION = "verifiers"
HOW = "Task.score with the reward plugged by TOML's config"


def drive(file: Path, name: str, rows: list[dict[str, Any]], size: int | None) -> Seen:
    import verifiers.v1 as vf
    from pydantic import ConfigDict

    class Data(vf.TaskData):
        model_config = ConfigDict(frozen=True, extra="allow")

    class Problem(vf.Task[Data]):
        """A task that has no reward of its own."""

    config = vf.TaskConfig(rewards={name: {"fn": f"{file}:{name}", "weight": 1.0}})
    out: Seen = []
    for k, row in enumerate(rows):
        fields = {n: v for n, v in row.items() if n not in ("completion", "prompt", "truncated")}
        data = Data(idx=k, prompt=row.get("prompt") or "p", **fields)
        task = Problem(data, config)
        trace = _trace(vf, data, row)
        asyncio.run(task.score(trace, None))
        parts = {n: v for n, v in trace.metrics.items() if v is not None}
        out.append((trace.reward, parts))
    return out


def _trace(vf: Any, data: Any, row: dict[str, Any]) -> Any:
    from verifiers.v1.configs.agent import AgentConfig
    from verifiers.v1.graph import MessageNode
    from verifiers.v1.trace import AgentInfo, TraceTask
    from verifiers.v1.types import AssistantMessage, UserMessage

    said = AssistantMessage(content=row.get("completion", ""))
    return vf.Trace(
        task=TraceTask(type="Problem", data=data),
        agent=AgentInfo(config=AgentConfig()),
        nodes=[
            MessageNode(message=UserMessage(content="p")),
            MessageNode(parent=0, message=said, sampled=True),
        ],
        stop_condition="max_output_tokens" if row.get("truncated") else None,
        ok=True,
    )
