"""The certificate: what is proven of a reward before it runs."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import Any

from derl_dsl.prove.bounds import Bound
from derl_dsl.prove.steps import StepProof
from derl_grammar.records import record


@record
class Certificate:
    """Proven facts of one reward.

    `finite`: never NaN or infinite. `lo`, `hi`: all values lie in [lo, hi]. `constant`: always
    the same value. `outcome_monotone`: never falls when the outcome rises, all else equal and
    up to rounding (True), falls somewhere (False), or not decided (None; also without an
    outcome). `margin`: the least reward of a right rollout minus the largest of a wrong one (a
    lower bound unless `exact`); above 0 no wrong answer outscores a right one. `vetoes`: inputs
    that at one of their values switch the outcome off; `undecided_vetoes`: those of which neither
    that nor its opposite was found. `cost`: operations per rollout,
    primitives weighted by their class. `exact`: by enumeration of all input values rather than
    by intervals. `steps`: the proof of the step rewards, None without `steps = …`. `bound`: the
    most that one rollout takes, in operations, bytes and seconds.
    """

    finite: bool
    lo: float
    hi: float
    constant: bool
    outcome_monotone: bool | None
    margin: float | None
    vetoes: tuple[str, ...]
    cost: int
    exact: bool
    undecided_vetoes: tuple[str, ...] = ()
    steps: StepProof | None = None
    bound: Bound | None = None

    def to_json(self) -> dict[str, Any]:
        """The record of the JSON output; infinite bounds are null, for JSON has no infinity."""
        record = asdict(self)
        for key in ("lo", "hi", "margin"):
            value = record[key]
            record[key] = value if value is not None and math.isfinite(value) else None
        if record["steps"] is not None:
            steps = record["steps"]
            ends = {k: v for k, v in steps.items() if isinstance(v, float) and not math.isfinite(v)}
            record["steps"] = {**steps, **dict.fromkeys(ends)}
        lists = {"vetoes": list(self.vetoes), "undecided_vetoes": list(self.undecided_vetoes)}
        return {**record, **lists}
