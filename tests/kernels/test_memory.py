"""Compiled code of dropped rewards is given back."""

from __future__ import annotations

import gc
from pathlib import Path

import pytest

import derl_dsl


def resident() -> int:
    """The memory of this process that is in use, in kB."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="reads /proc")
def test_dropped_rewards_give_their_code_back() -> None:
    data = {"a": [0.5]}

    def use(count: int) -> None:
        for _ in range(count):
            text = "0.5 * a + 0.25"
            assert derl_dsl.compile(text, columns={"a": "number[0, 1]"}, backend="native").score(
                data
            ).values.tolist() == [0.5]
        gc.collect()

    use(600)
    before = resident()
    use(1500)
    # A reward left 33 kB, which would be 50 MB.
    assert resident() - before < 12_000
