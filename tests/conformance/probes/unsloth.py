"""unsloth: the newest TRL that it takes; to import unsloth itself takes a GPU."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.conformance.probes import trl
from tests.conformance.probes.loading import Seen

PACKAGES = ("unsloth==2026.10.9", "trl==1.15.0")
ALONE = True
VERSION = "unsloth"
PARTS = "means"
EXPORTED = "trl"
HOW = "GRPOTrainer._calculate_rewards of TRL 1.15.0, the newest that it takes (it wants a GPU)"


def drive(file: Path, name: str, rows: list[dict[str, Any]], size: int | None) -> Seen:
    return trl.drive(file, name, rows, size)
