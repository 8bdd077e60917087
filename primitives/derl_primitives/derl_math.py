r"""The four math primitives of DERL (arXiv 2512.13399): one value for no, one for yes.

Both are shifted by 1e-6, as in the reference code, so that formulas may divide by them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from derl_primitives.arrays import per_row, two_valued
from derl_primitives.correctness import boxed, contains_answer, same_final
from derl_primitives.primitive import primitive
from derl_primitives.shape import step_markers

if TYPE_CHECKING:
    from derl_primitives.arrays import Floats

NO, YES = 1e-6, 1 + 1e-6
_RANGE = f"number{{{NO!r}, {YES!r}}}"
_SOURCE = "DERL (arXiv 2512.13399)"
STEPS_NEEDED = 2


@primitive(
    f"(completion: text, answer: text) -> {_RANGE}", cost="scan", source=f"{_SOURCE}, g1", good=True
)
def g1(completion: Sequence[str], answer: Sequence[str]) -> Floats:
    r"""Whether the answer is exactly right: 1.000001 if the last marked one is gold, else 0.000001.

    >>> g1(["#### 18", "#### 19"], ["18", "18"]).tolist()
    [1.000001, 1e-06]
    """
    completion, answer = per_row(completion, answer)
    return two_valued(list(same_final(completion, answer)), NO, YES)


@primitive(f"(completion: text) -> {_RANGE}", cost="scan", source=f"{_SOURCE}, g2", good=True)
def g2(completion: Sequence[str]) -> Floats:
    r"""Whether an answer is given in `\boxed{}`: 1.000001 if `boxed`, else 0.000001.

    >>> g2([r"so \boxed{18}", "#### 18"]).tolist()
    [1.000001, 1e-06]
    """
    return two_valued(boxed(completion), NO, YES)


@primitive(f"(completion: text) -> {_RANGE}", cost="scan", source=f"{_SOURCE}, g3", good=True)
def g3(completion: Sequence[str]) -> Floats:
    r"""Whether steps are visible: 1.000001 if there are two or more `step_markers`, else 0.000001.

    >>> g3(["Step 1: add\nStep 2: halve", "Step 1: add"]).tolist()
    [1.000001, 1e-06]
    """
    return two_valued(step_markers(completion) >= STEPS_NEEDED, NO, YES)


@primitive(
    f"(completion: text, answer: text) -> {_RANGE}", cost="scan", source=f"{_SOURCE}, g4", good=True
)
def g4(completion: Sequence[str], answer: Sequence[str]) -> Floats:
    """Whether the gold answer occurs anywhere: 1.000001 if `contains_answer`, else 0.000001.

    >>> g4(["18 or 19?", "180"], ["18", "18"]).tolist()
    [1.000001, 1e-06]
    """
    return two_valued(contains_answer(completion, answer), NO, YES)
