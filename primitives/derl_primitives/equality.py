r"""`math_equal`: the final answer compared with the gold answer as math-verify compares them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from derl_primitives.answers import marked
from derl_primitives.arrays import bools, per_row
from derl_primitives.correctness import per_gold
from derl_primitives.extras import MATH
from derl_primitives.partial import with_failures
from derl_primitives.patterns import pattern
from derl_primitives.primitive import primitive

if TYPE_CHECKING:
    from derl_primitives.arrays import Bools
    from derl_primitives.partial import Partial

LONGEST_FORMULA = 1000
"""Longer answers are equal only when they are the same text; math-verify is not asked."""

LAST_OF_TEXT = 2000
"""How much of the end of a text without a marked answer math-verify searches."""

# Without one of these math-verify finds no answer in a text.
_HINT = pattern(r"[\d$\\\[]")


@primitive(
    "(completion: text, answer: text) -> bool",
    cost="process",
    source="math-verify (parse and verify); needs the extra `math`",
    good=True,
)
def math_equal(completion: Sequence[str] | str, answer: Sequence[str] | str) -> Bools | Partial:
    r"""Whether the final answer equals the gold answer by math-verify: formulas, sets, intervals.

    The marked answer of the completion (what stands in `\boxed{...}`, or the line after `####`
    without Markdown marks and closing full stop) is compared with the gold answer, both as
    `\boxed{...}`, by `math_verify.parse` and `verify`; in a completion that marks none,
    math-verify looks for the answer in the last 2,000 characters. Plain numbers, fractions and
    letters are decided without it, with the same verdict. Answers of more than 1,000 characters
    are equal only as texts.

    It runs in worker processes behind the sandbox's walls, 10 s a batch at most. A text whose
    verdict takes more than 2 s, or ends its worker, is not equal, and the fault is reported.

    >>> math_equal([r"\boxed{\{2, 1\}}", r"\boxed{x^2 + 2x}", "#### 90,000.0"],
    ...            ["\\{1, 2\\}", "x(x + 2)", "90000"]).tolist()
    [True, True, True]
    """
    MATH.require("math_equal")
    completion, answer = per_row(completion, answer)
    golds = per_gold(answer, lambda text: _answer(text)[0])
    verdicts: list[bool | None] = []
    unknown: dict[int, tuple[str, str, bool]] = {}
    for row, (text, gold) in enumerate(zip(completion, golds, strict=True)):
        given, is_marked = _answer(text)
        verdict = _verdict(gold, given, is_marked)
        verdicts.append(verdict)
        if verdict is None:
            unknown[row] = gold, given if is_marked else text[-LAST_OF_TEXT:], is_marked
    return with_asked(verdicts, unknown) if unknown else bools(map(bool, verdicts), len(verdicts))


def _answer(text: str) -> tuple[str, bool]:
    """The final answer of a text and whether it is marked; all of a text that marks none."""
    answer, boxed = marked(text)
    if answer is None:
        return plain_answer(text), False
    return answer.strip() if boxed else plain_answer(answer), True


def plain_answer(answer: str) -> str:
    """An answer without the Markdown marks around it and the full stop after it.

    >>> plain_answer("**18**."), plain_answer("x_1 ")
    ('18', 'x_1')
    """
    return answer.strip(" \t\r\n*_`").rstrip(".").strip(" \t\r\n*_`")


def _verdict(gold: str, given: str, marked: bool) -> bool | None:
    from derl_primitives.verification.quick import quick_verdict

    if not gold:
        return False
    if not marked:
        return None if _HINT().search(given) else False
    if len(gold) > LONGEST_FORMULA or len(given) > LONGEST_FORMULA:
        return gold == given
    return quick_verdict(gold, given)


def with_asked(
    verdicts: list[bool | None], unknown: dict[int, tuple[str, str, bool]]
) -> Bools | Partial:
    """The verdicts with the unknown ones asked for.

    A text that hangs or ends its worker has failed, unless its gold answer does the same to a
    plain 0: then nobody could judge.
    """
    from derl_primitives.verification.pool import Failure, shared

    replies = dict(zip(unknown, shared().verdicts(list(unknown.values())), strict=True))
    lost = {row: reply for row, reply in replies.items() if isinstance(reply, Failure)}
    if not lost:
        return bools(map(bool, (replies.get(k, v) for k, v in enumerate(verdicts))), len(verdicts))
    caused = {row: (reply.kind, reply.message) for row, reply in lost.items() if reply.asked}
    failed = {row: (r.kind, r.message) for row, r in lost.items() if row not in caused}
    values = [0.0 if k in lost else float(bool(replies.get(k, v))) for k, v in enumerate(verdicts)]
    return with_failures(values, failed, caused)
