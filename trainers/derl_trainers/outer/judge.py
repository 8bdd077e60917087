"""The judge: what a formula is worth before any training, from how far the checker let it come."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, pstdev
from typing import Any

import derl_dsl
from derl_dsl.key.exact import TABULAR, corners, exact_values, grid
from derl_dsl.prove.codes import CONSTANT
from derl_dsl.score.reward import Reward
from derl_grammar.diagnostics import CODES, Diagnostic, Report
from derl_grammar.spans import Source
from derl_trainers.inner.grpo import Invariance

# The earliest stage first. Too long or too deep a text is as far from usable as one that does not
# parse.
GRADED = {
    "limits": -1.0,
    "syntax": -1.0,
    "names": -0.8,
    "types": -0.6,
    "unsafe": -0.4,
    "degenerate": -0.2,
}
FLAT = -1.0
_NEAR = 1e-9  # a spread that rounding could make, beside numbers of 1


@dataclass(frozen=True, slots=True)
class Verdict:
    """One formula as the checker sees it.

    `stage` is the earliest stage with an error and `penalty` its meta-reward; both are None for a
    formula that can be trained, which has a `key` and a `certificate` instead.
    """

    formula: str
    diagnostics: tuple[Diagnostic, ...]
    stage: str | None = None
    penalty: float | None = None
    key: str | None = None
    certificate: dict[str, Any] | None = None

    def to_json(self) -> dict[str, Any]:
        """The record of the run store."""
        return {
            "formula": self.formula,
            "stage": self.stage,
            "diagnostics": [d.to_json() for d in self.diagnostics],
            "key": self.key,
            "certificate": self.certificate,
            "meta_reward": self.penalty,
        }


def run_key(reward: Reward, invariance: Invariance = "group") -> str:
    """A word that is the same for rewards that train alike, where training sees no more of them.

    >>> a, b = (derl_dsl.compile(t, suite="derl-math") for t in ("g1", "0.1 * g1"))
    >>> [run_key(a, of) == run_key(b, of) for of in ("group", "affine", "text")]
    [True, True, False]
    """
    # What rewards single steps is no part of the reward's own key.
    stepped = reward.graph.steps is not None
    if stepped or invariance == "text" or (invariance == "affine" and reward.uses_groups):
        written = " ".join(reward.text.split())
        return "text-" + hashlib.sha256(written.encode()).hexdigest()[:24]
    return reward.key


def _rounding_alone(reward: Reward) -> bool:
    """Whether a reward differs by rounding alone, its exact value being one and the same."""
    certificate, graph = reward.certificate, reward.graph
    root = graph.outputs["reward"]
    near = certificate.hi - certificate.lo <= _NEAR * max(1.0, abs(certificate.hi))
    used = graph.used([root])
    if not near or "reward" in graph.valids or not {graph.nodes[i].op for i in used} <= TABULAR:
        return False
    inputs = graph.inputs([root])
    domains = corners(graph, inputs)
    if domains is None:
        return False
    exact = exact_values(graph, root, grid(inputs, domains), math.prod(map(len, domains)))
    return exact is not None and len(set(exact[0])) == 1


def penalty_of(stage: str, penalty: str = "graded") -> float:
    """The meta-reward of a formula that fails at a stage."""
    return GRADED[stage] if penalty == "graded" else FLAT


def apart(rewards: Sequence[float | None]) -> list[float | None]:
    """The meta-rewards of a group with failures apart: scores less their mean, over their spread.

    A failure is as far below the worst score as its penalty says, in the same unit. By plain
    meta-rewards a group's deviation is that between scores and penalties: every valid formula has a
    positive advantage, and what they scored hardly counts.

    >>> apart([0.2, 0.4, -1.0, None])
    [-1.0, 1.0, -2.0, None]
    >>> apart([0.3, -0.2]), apart([-1.0, -0.8])
    ([0.0, -0.2], [-1.0, -0.8])
    """
    scores = [reward for reward in rewards if reward is not None and reward >= 0]
    mean = fmean(scores) if scores else 0.0
    spread = pstdev(scores) if scores else 0.0
    worst = (min(scores) - mean) / spread if spread > _NEAR else 0.0

    def seen(reward: float | None) -> float | None:
        if reward is None or reward < 0:
            return None if reward is None else round(worst + reward, 12)
        return round((reward - mean) / spread, 12) if spread > _NEAR else 0.0

    return [seen(reward) for reward in rewards]


def judge(
    formula: str, suite: str, penalty: str = "graded", invariance: Invariance = "group"
) -> Verdict:
    """Check a formula; `penalty` is `graded` (by stage) or `flat` (-1 for every failure).

    `invariance` says which rewards train alike, and so have one key.

    >>> judge("g1 + g9", "derl-math").penalty, judge("g1 + g2", "derl-math").penalty
    (-0.8, None)
    """
    try:
        reward = derl_dsl.compile(formula, suite=suite)
    except derl_dsl.RewardError as error:
        stages = {CODES[d.code].stage for d in error.diagnostics if d.severity == "error"}
        stage = next(s for s in GRADED if s in stages)
        return Verdict(formula, error.diagnostics, stage, penalty_of(stage, penalty))
    if _rounding_alone(reward):
        report = Report(Source(formula))
        place = reward.graph.places[reward.graph.outputs["reward"]]
        what = "the reward is constant, but for what float64 rounds"
        report.add(CONSTANT, place, what, "equal rewards teach nothing")
        stage = CODES[CONSTANT.code].stage
        found = tuple(report.sorted())
        return Verdict(formula, found, stage, penalty_of(stage, penalty))
    certificate = reward.certificate.to_json()
    key = run_key(reward, invariance)
    return Verdict(formula, reward.diagnostics, key=key, certificate=certificate)
