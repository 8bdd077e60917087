"""axolotl: its own `get_reward_func` takes `trl.reward_funcs`; the TRL that it pins calls it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from tests.conformance.probes import trl
from tests.conformance.probes.loading import Seen

PACKAGES = (
    "axolotl==0.19.0", "trl==1.9.0", "addict", "pydantic", "pydantic-core", "typing-inspection",
    "annotated-types",
)  # fmt: skip
ALONE = True
VERSION = "axolotl"
PARTS = "means"
EXPORTED = "trl"
HOW = "GRPOStrategy.get_reward_func, GRPOTrainer._calculate_rewards of its TRL 1.9.0"


def drive(file: Path, name: str, rows: list[dict[str, Any]], size: int | None) -> Seen:
    from axolotl.core.trainers.grpo import GRPOStrategy

    sys.path.insert(0, str(file.parent))
    try:
        function = GRPOStrategy.get_reward_func(f"{file.stem}.{name}")
    finally:
        sys.path.pop(0)
    return trl.called(function, rows, size)
