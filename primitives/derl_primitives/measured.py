"""How verdicts err, measured on the judged answers of `tests/primitives/data/judged_held.txt`.

The answers are hard cases on purpose: what graders trip over, not what models mostly write. Nothing
was tuned on them. A test measures again and compares.
"""

from __future__ import annotations

from derl_grammar.records import record


@record
class Measured:
    """How a verdict errs on judged answers: wrong ones called right (FP), right ones wrong (FN)."""

    false_positives: int
    wrong: int
    false_negatives: int
    right: int

    def __str__(self) -> str:
        fp, fn = (
            f"{share:.1%} [{low:.1%}, {high:.1%}]"
            for share, low, high in (
                _share(self.false_positives, self.wrong),
                _share(self.false_negatives, self.right),
            )
        )
        return (
            f"calls {fp} of {self.wrong} wrong answers right, {fn} of {self.right} right ones wrong"
        )

    @property
    def errs(self) -> str:
        """The share of all judged answers that it gets wrong, with its interval."""
        share, low, high = _share(
            self.false_positives + self.false_negatives, self.wrong + self.right
        )
        return f"{share:.1%} [{low:.1%}, {high:.1%}]"


def _share(part: int, whole: int) -> tuple[float, float, float]:
    """A share with its 95 % Wilson interval.

    >>> [round(x, 3) for x in _share(1, 100)]
    [0.01, 0.002, 0.054]
    """
    z2 = 1.959964**2
    share = part / whole
    centre = (share + z2 / (2 * whole)) / (1 + z2 / whole)
    half = (z2 * (share * (1 - share) / whole + z2 / (4 * whole**2))) ** 0.5 / (1 + z2 / whole)
    return share, max(0.0, centre - half), min(1.0, centre + half)


MEASURED: dict[str, Measured] = {
    "correct": Measured(false_positives=0, wrong=62, false_negatives=2, right=122),
    "exact": Measured(false_positives=0, wrong=62, false_negatives=72, right=122),
    "numeric_equal": Measured(false_positives=16, wrong=62, false_negatives=56, right=122),
    "same_choice": Measured(false_positives=0, wrong=2, false_negatives=0, right=6),
    "math_equal": Measured(false_positives=11, wrong=62, false_negatives=62, right=122),
}
"""By the primitive's name: false positives of wrong answers, false negatives of right ones."""
