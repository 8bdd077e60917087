"""The agents' benchmark: its table, its rewards, and the level's games."""

from __future__ import annotations

import derl_dsl
from benchmarks.agents import REWARDS, table


def row(reward: str, seed: int, solved: float) -> dict[str, object]:
    return {"level": "L0", "seed": seed, "reward": reward, "solved": solved, "games": 200}


def test_differences_are_paired_by_seed() -> None:
    rows = [
        row("outcome", 0, 0.2), row("outcome", 1, 0.6), row("gain", 0, 0.3), row("gain", 1, 0.7),
    ]  # fmt: skip
    shown = table(rows)
    assert "| L0 | gain | 0.500 ± 2.541 | +0.100 ± 0.000 |" in shown
    assert "| L0 | outcome | 0.400 ± 2.541 |  |" in shown
    alone = table([row("outcome", 0, 0.5)])
    assert "0.500 [0.431, 0.569]" in alone


def test_rewards_compile_and_pay_no_circles_with_steps() -> None:
    for _, suite, text, advantage in REWARDS:
        proof = derl_dsl.compile(text, suite=suite).certificate.steps
        assert (proof is not None) == (advantage != "none")
        # What RLVMR's tags pay is not known to the prover: DRL540 says so.
        assert proof is None or proof.circling <= 0 or "step_scores" in text
