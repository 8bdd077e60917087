"""Racing: a run that is behind at a step on the way ends there.

The median stopping rule of Google Vizier (Golovin et al. 2017), with two changes. Scores are those
of the step and no running means, for each is of the whole validation set. The bar is of runs that
were done before the outer step began, so that it does not depend on which of the step's own is
faster.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any


@dataclass(frozen=True, slots=True)
class Bar:
    """The least validation pass@1 that a run must have at a step; 0 ends none.

    `runs` counts those whose median it is.
    """

    step: int
    least: float = 0.0
    runs: int = 0

    def said(self, score: float) -> str:
        """Why a run ended.

        >>> Bar(5, 0.24, 11).said(0.12)
        'pass@1 .120 at step 5 is below .240, the median of 11 earlier runs'
        """
        shown, least = (f"{part:.3f}".removeprefix("0") for part in (score, self.least))
        return (
            f"pass@1 {shown} at step {self.step} is below {least}, the median of {self.runs} "
            "earlier runs"
        )


def bars(steps: Iterable[int], curves: Iterable[Iterable[Mapping[str, Any]]]) -> tuple[Bar, ...]:
    """The bar of each step: the median of the scores that runs had there, 0 where none had one.

    A run that ended before has no score, so later bars are of the survivors.

    >>> curve = [{"step": 5, "pass_at_1": 0.25}]
    >>> bars([5, 10], [curve, curve, []])
    (Bar(step=5, least=0.25, runs=2), Bar(step=10, least=0.0, runs=0))
    """
    scores: dict[int, list[float]] = {step: [] for step in steps}
    for point in (point for curve in curves for point in curve):
        if point["step"] in scores:
            scores[point["step"]].append(point["pass_at_1"])
    return tuple(Bar(step, median(of) if of else 0.0, len(of)) for step, of in scores.items())


def holds(result: Mapping[str, Any], race: Iterable[Bar]) -> bool:
    """Whether a result of a run that was raced at these steps is that of a run with these bars.

    It is where all that it passed would let it pass again, and what ended it would end it again.
    """
    scores = {point["step"]: point["pass_at_1"] for point in result["curve"]}
    first = next((bar for bar in race if scores.get(bar.step, 1.0) < bar.least), None)
    return bool(result.get("below") == (None if first is None else asdict(first)))
