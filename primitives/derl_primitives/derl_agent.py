"""The four agent primitives of DERL (arXiv 2512.13399): solved, and step scores by thirds.

The paper gives no rule for a number of steps that three does not divide. Here third k (0, 1, 2) of
n steps is `steps[k*n // 3 : (k+1)*n // 3]`: nothing is left out or counted twice, and a remainder
goes to the later thirds (4 steps: 1, 1, 2; 5 steps: 1, 2, 2). An empty third scores 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from derl_primitives.arrays import segment_means, two_valued
from derl_primitives.primitive import primitive

if TYPE_CHECKING:
    from derl_primitives.arrays import Floats

_SOURCE = "DERL (arXiv 2512.13399), step scores after RLVMR"
Steps = Sequence[Sequence[float]]


@primitive("(solved: bool) -> number{0, 1}", cost="constant", source=_SOURCE, good=True)
def g1(solved: Sequence[bool]) -> Floats:
    """Whether the task was solved: 1 or 0.

    >>> g1([True, False]).tolist()
    [1.0, 0.0]
    """
    return two_valued(solved, 0.0, 1.0)


@primitive(
    "(step_scores: list[number[0, 1]]) -> number[0, 1]", cost="scan", source=_SOURCE, good=True
)
def g2(step_scores: Steps) -> Floats:
    """The mean step score of the first third of the episode; 0 when it is empty.

    >>> g2([[1, 0, 1, 1, 0, 0], [1, 1]]).tolist()
    [0.5, 0.0]
    """
    return segment_means(step_scores, 0, 3)


@primitive(
    "(step_scores: list[number[0, 1]]) -> number[0, 1]", cost="scan", source=_SOURCE, good=True
)
def g3(step_scores: Steps) -> Floats:
    """The mean step score of the middle third of the episode; 0 when it is empty.

    >>> g3([[1, 0, 1, 1, 0, 0], [1, 0]]).tolist()
    [1.0, 1.0]
    """
    return segment_means(step_scores, 1, 3)


@primitive(
    "(step_scores: list[number[0, 1]]) -> number[0, 1]", cost="scan", source=_SOURCE, good=True
)
def g4(step_scores: Steps) -> Floats:
    """The mean step score of the last third of the episode; 0 when there are no steps.

    >>> g4([[1, 0, 1, 1, 0, 0], [0.25], []]).tolist()
    [0.0, 0.25, 0.0]
    """
    return segment_means(step_scores, 2, 3)
