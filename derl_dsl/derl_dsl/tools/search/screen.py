"""Screening: programs run over all rollouts at once by the virtual machine, and their figures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from derl_dsl.backends.pack import Program, key_of
from derl_dsl.backends.vm import Session
from derl_dsl.graph.ir import Graph
from derl_dsl.tools.search.forest import column
from derl_dsl.tools.search.problem import Rollouts
from derl_dsl.tools.search.survey import survey
from derl_dsl.tools.search.vocabulary import Feature

# Scores of one call stay in the cache of a core.
_CACHE = 1 << 19


class Figures(NamedTuple):
    """Figures of K programs, each (K,).

    `finite`: on all rollouts. `order`: the share of pairs of one group in which the right rollout
    outscores the wrong one, ties half. `spread`: the share of groups whose scores differ, `signal`
    the same of the groups whose outcome is one throughout (of all, where there are none). `width`:
    the largest score less the smallest. `prints`: equal for scores that differ by an affine change.
    """

    finite: NDArray[np.bool_]
    order: NDArray[np.float64]
    spread: NDArray[np.float64]
    signal: NDArray[np.float64]
    width: NDArray[np.float64]
    prints: NDArray[np.uint64]


class Screen:
    """The rollouts of one split, bound once."""

    def __init__(self, features: Sequence[Feature], rollouts: Rollouts) -> None:
        graph = Graph()
        inputs = {}
        for k, feature in enumerate(features):
            node = graph.add("input", (), (0, 0), column(k, feature))
            inputs[key_of(graph.nodes[node])] = rollouts.features[k]
        rows = rollouts.rows
        self.session = Session(inputs, rows, rollouts.offsets)
        self.chunk = max(1, _CACHE // (8 * rows))
        self.good, self.bad = rollouts.pairs()
        self.offsets = rollouts.offsets
        self.still = rollouts.still()
        self.groups = int((np.diff(rollouts.offsets) > 1).sum())
        random = np.random.default_rng(1)
        self.weights = random.integers(1, 1 << 63, rows, dtype=np.uint64) * np.uint64(2)
        self.weights += np.uint64(1)

    def figures(self, program: Program) -> Figures:
        """The figures of a program's outputs, at best `chunk` of them."""
        return self.survey(self.session.run([program]))

    def survey(self, scores: NDArray[np.float64]) -> Figures:
        """The figures of (K, B) scores."""
        count = len(scores)
        figures = np.empty((count, 4), dtype=np.int64)
        ends = np.empty((count, 2))
        prints = np.empty(count, dtype=np.uint64)
        survey(
            scores, self.good, self.bad, self.offsets, self.still, self.weights, figures, ends,
            prints,
        )  # fmt: skip
        pairs, still = len(self.good), int(self.still.sum())
        spread = figures[:, 2] / max(1, self.groups)
        return Figures(
            figures[:, 0] == 1,
            figures[:, 1] / (2 * pairs) if pairs else np.full(count, 0.5),
            spread,
            figures[:, 3] / still if still else spread,
            ends[:, 1] - ends[:, 0],
            prints,
        )
