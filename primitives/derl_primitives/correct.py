"""`correct`: whether the final answer is right, judged as a careful grader would."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from derl_primitives.arrays import bools, per_row
from derl_primitives.equality import with_asked
from derl_primitives.extras import MATH
from derl_primitives.primitive import primitive

if TYPE_CHECKING:
    from derl_primitives.arrays import Bools
    from derl_primitives.partial import Partial


def _why(completion: str, answer: str) -> list[tuple[str, str]]:
    """Which answer was taken from where, how gold was read, what decided."""
    from derl_primitives.verdict import judge, read_gold

    verdict, gold = judge(completion, answer), read_gold(answer)
    right, layer = verdict.right, verdict.layer
    if verdict.ask is not None:
        if MATH.missing:
            right, layer = False, "nothing here can tell, and math-verify is not installed"
        else:
            found = with_asked([None], {0: (*verdict.ask, True)}).tolist()[0]
            right = bool(found == 1)
            layer = "math-verify" if found == found else "math-verify gave no verdict in time"
    return [
        ("answer", "none" if verdict.answer is None else verdict.answer),
        ("taken from", verdict.source),
        ("gold", "blank" if gold is None else gold.bare),
        ("read as", verdict.kind),
        ("decided", layer),
        ("verdict", "right" if right else "wrong"),
    ]


@primitive(
    "(completion: text, answer: text) -> bool",
    cost="parse",
    source="judging rules of `derl_primitives.verdict`",
    good=True,
    explains=_why,
)
def correct(completion: Sequence[str] | str, answer: Sequence[str] | str) -> Bools | Partial:
    r"""Whether the final answer of the completion is right, judged as a careful grader would.

    The final answer is the last marked one (`\boxed{}`, `####`, `<answer>`, "the answer is" in many
    languages, a bold last line), else what the concluding sentence states. Thinking blocks and end
    tokens are no answer; one that is taken back, denied, refused, cut off, or offered beside others
    is wrong. Two answers are the same by what gold is: numbers by exact value (grouping, fractions,
    percent, number words, digits of other scripts), amounts with their units, expressions for all
    values, sets without order, tuples with it, intervals, matrices, dates, digits in a base,
    letters of a choice, yes and no, texts by their words.

    Nearly every pair is decided at once. Formulas that cannot be read here go to math-verify in
    worker processes when the extra `math` is installed, and count as different when it is not; a
    verdict that takes more than 2 s is a fault of its row.

    >>> correct([r"<think>\boxed{6}</think> So \boxed{5}", "The answer is 2 2/3.", "x is 3 or 4"],
    ...         ["5", r"\frac{8}{3}", "4"]).tolist()
    [True, True, False]
    """
    from derl_primitives.verdict import judge

    completion, answer = per_row(completion, answer)
    verdicts: list[bool | None] = []
    asked: dict[int, tuple[str, str, bool]] = {}
    for row, (text, gold) in enumerate(zip(completion, answer, strict=True)):
        verdict = judge(text, gold)
        verdicts.append(verdict.right)
        if verdict.ask is not None:
            asked[row] = (*verdict.ask, True)
    if asked and not MATH.missing:
        return with_asked(verdicts, asked)
    return bools(map(bool, verdicts), len(verdicts))
