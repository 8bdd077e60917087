"""Measures how verdicts err on the judged answers; prints the table of `derl_primitives.measured`.

`python -m tests.primitives.measure`
"""

from __future__ import annotations

from derl_primitives.measured import Measured
from derl_primitives.primitive import Primitive
from derl_primitives.suites import SUITES
from tests.primitives.judged import Judged, judged

VERDICTS = ("correct", "exact", "numeric_equal", "same_choice", "math_equal")


def verdict(name: str) -> Primitive:
    """The primitive of a name."""
    return next(s.primitives[name] for s in SUITES.values() if name in s.primitives)


def _values(primitive: Primitive, rows: list[Judged]) -> list[float]:
    """A value for each row; a row that only lacked time on a busy machine is asked again."""
    values: list[float] = [float("nan")] * len(rows)
    for _ in range(6):
        missing = [i for i, v in enumerate(values) if v != v]
        if not missing:
            break
        asked = [rows[i] for i in missing]
        found = primitive([r.completion for r in asked], [r.answer for r in asked]).tolist()
        for i, value in zip(missing, found, strict=True):
            values[i] = value
    return values


def measured(name: str, rows: list[Judged]) -> Measured:
    """The error of a verdict; `same_choice` is measured on choices."""
    rows = [r for r in rows if name != "same_choice" or r.kind == "choice"]
    values = _values(verdict(name), rows)
    accepted = [v == 1 for v in values]
    fp = sum(a and not r.right for a, r in zip(accepted, rows, strict=True))
    fn = sum(r.right and not a for a, r in zip(accepted, rows, strict=True))
    right = sum(r.right for r in rows)
    return Measured(fp, len(rows) - right, fn, right)


if __name__ == "__main__":
    cases = judged("judged_held.txt")
    for one in VERDICTS:
        found = measured(one, cases)
        print(f'    "{one}": {found!r},  # {found}')
