"""The small task and policy that several tests train, built once."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from derl_trainers.tasks.base import Task


@pytest.fixture(scope="session")
def task() -> Task:
    """Sums of three numbers."""
    from derl_trainers.tasks.arithmetic import arithmetic

    return arithmetic(size=80, test_size=16, warmup_size=400, terms=3)


@pytest.fixture(scope="session")
def policy(task: Task, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a policy of two heads that was taught them."""
    torch = pytest.importorskip("torch")
    from derl_trainers.policy.tiny import build_policy
    from derl_trainers.settings.run import TinySection

    torch.set_num_threads(1)
    tiny = TinySection(hidden_size=32, intermediate_size=64, heads=2, steps=40, batch_size=32)
    return build_policy(task, tiny, tmp_path_factory.mktemp("policies"))
