"""What an audit says: findings with a verdict, a figure, a threshold and rows to look at."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from derl_dsl.tools.audit.codes import FIXES, PASSED
from derl_grammar.diagnostics import Code, Severity
from derl_grammar.records import record

Verdict = Literal["ok", "look", "bad"]
SEVERITIES: dict[Verdict, Severity] = {"ok": "info", "look": "warning", "bad": "error"}
VERDICTS: tuple[Verdict, ...] = ("bad", "look", "ok")
SHOWN_ROWS = 10


@record
class Finding:
    """One question that the audit asked of one subject, with the answer.

    `figure` is what was measured and `shown` the same as text; `threshold` and `limit` say, as a
    number and as text, where the verdict would change. `rows` are the first few, from 0, of the
    `count` rows to look at.
    """

    code: str
    title: str
    verdict: Verdict
    subject: str
    figure: float | None
    shown: str
    threshold: float | None
    limit: str
    message: str
    rows: tuple[int, ...] = ()
    count: int = 0

    @property
    def severity(self) -> Severity:
        """The verdict as the severity of a diagnostic."""
        return SEVERITIES[self.verdict]

    @property
    def fix(self) -> str:
        """What to do about it."""
        return FIXES[self.code]


@record
class Measure:
    """A figure with its text, and the threshold that it was held against."""

    figure: float | None
    shown: str
    threshold: float | None
    limit: str


def finding(
    code: Code,
    verdict: Verdict,
    subject: str,
    measure: Measure,
    message: str,
    rows: Sequence[int] | NDArray[np.int64] = (),
) -> Finding:
    """A finding of `code`; of the rows the first few are kept."""
    return Finding(
        code.code,
        PASSED[code.code] if verdict == "ok" else code.title,
        verdict,
        subject,
        measure.figure,
        measure.shown,
        measure.threshold,
        measure.limit,
        message,
        tuple(int(row) for row in rows[:SHOWN_ROWS]),
        len(rows),
    )
