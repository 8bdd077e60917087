"""What rewards are worth on a start policy, from those that were trained on it: a surrogate.

To a group's advantage a reward is its values up to shift and scale. So a reward's position is its
values at all combinations of the scores that a rollout can have, centred and scaled, and what was
measured is interpolated between positions by a Gaussian process (Matérn 3/2; length, noise and
spread by the likelihood, on a grid). Seeds of one reward are points of one position: their spread
is noise. A draw is the process's mean and the residual of one of the nearest measured points, each
predicted without its own position: noise here is whatever the surrogate does not explain.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

import derl_dsl
from benchmarks.evidence.plan import AT_RATE, OTHERS
from derl_primitives.derl_math import NO, YES

Floats = NDArray[np.float64]

NAMES = ("g1", "g2", "g3", "g4")
# A right answer is an answer that occurs: g1 without g4 there is none.
STATES = [s for s in product((NO, YES), repeat=len(NAMES)) if s[0] == NO or s[3] == YES]
_NEAR = 12  # measured points that a draw takes its noise from
_LENGTHS, _NOISES = np.geomspace(0.1, 6, 16), np.geomspace(0.003, 3, 14)
_LARGEST = 1e9  # values beyond are one another's equals


@lru_cache(100_000)
def position(formula: str) -> tuple[float, ...]:
    """A reward's values at the states, mean 0 and standard deviation 1; DERL's math suite."""
    columns = dict.fromkeys(NAMES, f"number{{{NO!r}, {YES!r}}}")
    reward = derl_dsl.compile(formula, columns=columns, outcome=NAMES[0])
    rows = dict(zip(NAMES, np.array(STATES).T, strict=True))
    values = np.clip(reward.score(rows, group_size=len(STATES)).values, -_LARGEST, _LARGEST)
    spread = values.std() or 1.0
    return tuple(float(x) for x in ((values - values.mean()) / spread).round(6))


@dataclass(frozen=True, slots=True)
class Points:
    """Measured scores: positions (n, states), scores (n,), whether of the search's own seed."""

    positions: Floats
    scores: Floats
    own: NDArray[np.bool_]

    @property
    def groups(self) -> list[NDArray[np.int64]]:
        """The points of each position."""
        _, which = np.unique(self.positions, axis=0, return_inverse=True)
        return [np.flatnonzero(which == k) for k in range(which.max() + 1)]


def measured(jobs: Iterable[Mapping[str, Any]], start: int) -> Points:
    """What runs of an inner run's length scored on validation; each run once.

    Other proposers were run when settings had been screened, and take no part.
    """
    found: dict[tuple[str, int], tuple[str, float]] = {}
    for job in jobs:
        if job["seed"] != start or job["kind"] not in ("baseline", "search"):
            continue
        if job.get("arm") in OTHERS:
            continue
        if job["status"] == "done" and AT_RATE not in job["label"]:
            found[job["key"], job["job_seed"]] = job["formula"], job["pass_at_1"]
    return Points(
        np.array([position(formula) for formula, _ in found.values()]),
        np.array([score for _, score in found.values()]),
        np.array([seed == start for _, seed in found]),
    )


class Landscape:
    """The surrogate of one start policy."""

    def __init__(self, start: int, points: Points) -> None:
        self.start, self.points = start, points
        n = len(points.scores)
        self.mean = float(points.scores.mean())
        centred = points.scores - self.mean
        gaps = _gaps(points.positions, points.positions)
        likely = -np.inf
        for length in _LENGTHS:
            values, vectors = np.linalg.eigh(_matern(gaps / length))
            along = vectors.T @ centred
            for noise in _NOISES:
                variances = np.maximum(values, 0) + noise
                scale = float((along**2 / variances).mean())
                found = -(n * np.log(scale) + np.log(variances).sum()) / 2
                if found > likely:
                    likely, self.length, self.noise = found, length, float(np.sqrt(noise * scale))
                    ridge = noise
        inverse = np.linalg.inv(_matern(gaps / self.length) + ridge * np.eye(n))
        self.weights = inverse @ centred
        self.residuals = np.zeros(n)
        for group in points.groups:  # a position is predicted without any of its own points
            part = inverse[np.ix_(group, group)]
            self.residuals[group] = np.linalg.solve(part, self.weights[group])

    def values(self, positions: Sequence[Sequence[float]]) -> Floats:
        """The scores without noise."""
        gaps = _gaps(np.array(positions), self.points.positions)
        found = self.mean + _matern(gaps / self.length) @ self.weights
        return np.clip(found, 0.0, 1.0)

    def value(self, formula: str) -> float:
        """The score of a reward without noise."""
        return float(self.values([position(formula)])[0])

    def draw(self, formula: str, seed: int) -> float:
        """The score of one run, the same for equal rewards of one seed."""
        place = position(formula)
        digest = hashlib.sha256(f"{self.start}/{place}/{seed}".encode()).digest()
        rng = np.random.default_rng(int.from_bytes(digest[:8], "big"))
        near = np.argsort(_gaps(np.array([place]), self.points.positions)[0], kind="stable")
        pool = self.residuals[near[:_NEAR]]
        noise = rng.choice(pool) - pool.mean()
        return float(np.clip(self.value(formula) + noise, 0.0, 1.0))

    @property
    def quality(self) -> dict[str, float]:
        """Leave-one-position-out on runs of the search's own seed, and the spread of the noise."""
        own = self.points.own
        scores, left = self.points.scores[own], self.residuals[own]
        among = ((scores - scores.mean()) ** 2).sum()
        return {
            "points": float(len(scores)),
            "r2": float(1 - (left**2).sum() / among),
            "rank": float(np.corrcoef(_ranks(scores), _ranks(scores - left))[0, 1]),
            "rms": float(np.sqrt((left**2).mean())),
            "noise": self.noise,
        }


def _gaps(a: Floats, b: Floats) -> Floats:
    """Root mean square differences of positions."""
    gaps: Floats = np.sqrt(((a[:, None] - b[None]) ** 2).mean(-1))
    return gaps


def _matern(r: Floats) -> Floats:
    r = np.sqrt(3.0) * r
    found: Floats = (1 + r) * np.exp(-r)
    return found


def _ranks(values: Floats) -> Floats:
    """Ranks, equal values sharing their mean."""
    _, which, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    return (ends - (counts - 1) / 2)[which]
