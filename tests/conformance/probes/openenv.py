"""OpenEnv: the file's class is a Rubric; it is called with an action and an observation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.conformance.probes.loading import Seen, by_path

PACKAGES = ("openenv-core==0.3.0",)
VERSION = "openenv-core"
HOW = "openenv.core.rubrics.Rubric.__call__"


def drive(file: Path, name: str, rows: list[dict[str, Any]], size: int | None) -> Seen:
    from openenv.core.env_server.types import Action, Observation
    from openenv.core.rubrics import Rubric

    class Said(Action):
        message: str

    module = by_path(file)
    found = [v for v in vars(module).values() if isinstance(v, type) and issubclass(v, Rubric)]
    rubric = next(c for c in found if c is not Rubric)()
    out: Seen = []
    for row in rows:
        fields = {k: v for k, v in row.items() if k != "completion"}
        value = rubric(Said(message=row.get("completion", "")), Observation(metadata=fields))
        assert rubric.last_score == value
        out.append((value, rubric.last_parts))
    return out
