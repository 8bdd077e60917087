"""The small computation graph of the paper: two tanh units over the scores, as one formula.

`reward = v1*tanh(w1·g + b1) + v2*tanh(w2·g + b2)`: with four scores 8 + 2 + 2 = 12 weights, in
general 2k + 4. Weights are (2k + 4,) in the order w1, b1, w2, b2, v1, v2.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from derl_dsl.generate.unparse import number_text
from derl_trainers.outer.judge import judge
from derl_trainers.outer.prompts import scores
from derl_trainers.outer.proposers.base import Context, Proposer
from derl_trainers.reading import ConfigError
from derl_trainers.settings.run import RunConfig

Weights = NDArray[np.float64]
_DIGITS = 4


@dataclass(frozen=True, slots=True)
class Network:
    """The graph over some scores, each an expression of the suite."""

    suite: str
    scores: tuple[str, ...]

    @property
    def size(self) -> int:
        """The number of weights."""
        return 2 * len(self.scores) + 4

    def mean(self) -> Weights:
        """Weights of a reward that is about the mean of the scores; the second unit is idle."""
        found = np.zeros(self.size)
        found[: len(self.scores)] = 2 / len(self.scores)
        found[-2] = 1.0
        return found

    def text(self, weights: Sequence[float] | Weights) -> str:
        """The formula, weights written to four decimals.

        >>> Network("derl-math", ("g1", "g2")).text([1, 0.5, 0, -1, 0.25, 0.1, 1, -0.5])
        '1*tanh(1*g1 + 0.5*g2 + 0) - 0.5*tanh(-1*g1 + 0.25*g2 + 0.1)'
        """
        numbers = [round(float(w), _DIGITS) + 0.0 for w in weights]
        return self._joined([(w < 0, number_text(abs(w))) for w in numbers])

    def program(self, names: Sequence[str], most: float) -> str:
        """The same with each weight a parameter of that name, within -most and most."""
        lines = [f"{name} = param(0, min=-{most:g}, max={most:g})" for name in names]
        return "\n".join([*lines, f"reward = {self._joined([(False, name) for name in names])}"])

    def _joined(self, weights: Sequence[tuple[bool, str]]) -> str:
        """The formula from the sign and the text of each weight."""
        k = len(self.scores)
        units = []
        for start in (0, k + 1):
            parts = zip(weights[start : start + k], self.scores, strict=True)
            terms = [(sign, f"{w}*{score}") for (sign, w), score in parts]
            units.append(f"tanh({_sum([*terms, weights[start + k]])})")
        outer = zip(weights[-2:], units, strict=True)
        return _sum([(sign, f"{v}*{unit}") for (sign, v), unit in outer])

    def usable(self, weights: Weights) -> str | None:
        """The formula, None where the checker refuses it: weights that round to a constant."""
        text = self.text(weights)
        return text if judge(text, self.suite).key is not None else None


class Networked(Proposer):
    """A proposer of formulas of the graph."""

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self.network = network(context.suite, self.config.proposer.kind)

    @classmethod
    def check(cls, config: RunConfig) -> None:
        """Raise ConfigError for a suite without 0/1 scores."""
        network(config.suite, config.proposer.kind)


def _sum(terms: Sequence[tuple[bool, str]]) -> str:
    """Terms and whether each is subtracted, as the text of their sum."""
    (minus, first), *rest = terms
    return ("-" if minus else "") + first + "".join(f" {'-' if m else '+'} {t}" for m, t in rest)


def network(suite: str, kind: str) -> Network:
    """The graph over the 0/1 scores of a suite; ConfigError where it has none."""
    found = scores(suite)
    if not found:
        raise ConfigError(
            f"[proposer] kind: {kind!r} combines 0/1 scores, and the suite {suite!r} has none; "
            "use 'evolution', or a suite such as derl-math or math"
        )
    return Network(suite, tuple(found))
