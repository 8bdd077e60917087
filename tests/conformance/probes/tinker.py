"""Tinker cookbook: its own `do_group_rollout` over the file's builder, which is pickled first."""

from __future__ import annotations

import asyncio
import pickle
from pathlib import Path
from typing import Any

from tests.conformance.probes.loading import Seen, by_path

PACKAGES = (
    "tinker-cookbook==0.6.1", "tinker==0.38.0", "chz", "distro", "orjson", "pyqwest", "zstandard",
    "blobfile", "tml-renderers", "tiktoken", "termcolor", "pyrage", "cloudpickle", "sniffio",
    "anyio", "httpx", "httpcore", "h11", "h2", "hpack", "hyperframe", "protobuf", "pydantic",
    "pydantic-core", "annotated-types", "typing-inspection", "certifi", "idna",
)  # fmt: skip
ALONE = True
VERSION = "tinker-cookbook"
HOW = "do_group_rollout with its EnvGroupBuilder, pickled; its metrics"


def drive(file: Path, name: str, rows: list[dict[str, Any]], size: int | None) -> Seen:
    from tinker_cookbook.rl.rollouts import do_group_rollout

    module = by_path(file)
    made = [v for k, v in vars(module).items() if k.endswith("Reward") and isinstance(v, type)]
    step = size or len(rows)
    out: Seen = []
    for k in range(0, len(rows), step):
        builder = pickle.loads(pickle.dumps(made[0](inner(rows[k : k + step]))))
        group = asyncio.run(do_group_rollout(builder, _policy))
        parts = [{n: p for n, p in told.items() if n != "failed"} for told in group.metrics_G]
        assert builder.inner.cleaned, "cleanup was not passed on"
        assert name in builder.logging_tags()
        out += list(zip(group.get_total_rewards(), parts, strict=True))
    return out


async def _policy(observation: Any, stop: Any) -> Any:
    from tinker_cookbook.completers import TokensWithLogprobs

    return TokensWithLogprobs(tokens=[1], maybe_logprobs=[0.0])


def inner(rows: list[dict[str, Any]]) -> Any:
    """A user's builder: one environment of one step for each row."""
    import tinker
    from tinker_cookbook.rl.types import Env, EnvGroupBuilder, StepResult

    class Once(Env):
        def __init__(self, row: dict[str, Any]) -> None:
            self.row = row

        def columns(self) -> dict[str, Any]:
            return self.row

        async def initial_observation(self) -> Any:
            return tinker.ModelInput.from_ints([0]), []

        async def step(self, action: Any, *, extra: Any = None) -> Any:
            return StepResult(
                reward=0.0, episode_done=True, next_stop_condition=[], metrics={}, logs={},
                next_observation=tinker.ModelInput.from_ints([0, 1]),
            )  # fmt: skip

    class Inner(EnvGroupBuilder):
        cleaned = False

        def __init__(self, rows: list[dict[str, Any]]) -> None:
            self.rows = rows

        def __reduce__(self) -> Any:
            return inner, (self.rows,)

        async def make_envs(self) -> Any:
            return [Once(row) for row in self.rows]

        async def cleanup(self) -> None:
            self.cleaned = True

    return Inner(rows)
