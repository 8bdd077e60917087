"""From screened terms to rewards: the outcome with a term that no wrong answer profits from."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from derl_dsl.checker import check_source
from derl_dsl.generate.unparse import expression_text, number_text
from derl_dsl.score.reward import Reward, compile
from derl_dsl.tools.audit.statistics import misorder
from derl_dsl.tools.evaluate.scoring import Scored, score_rollouts
from derl_dsl.tools.evaluate.summary import flat_groups
from derl_dsl.tools.project import header_settings
from derl_dsl.tools.search.archive import Entry, front, spread_out
from derl_dsl.tools.search.forest import Forest
from derl_dsl.tools.search.problem import Problem, Rollouts
from derl_dsl.tools.search.screen import Screen
from derl_dsl.tools.search.vocabulary import Array, Data
from derl_grammar.limits import WIDE
from derl_grammar.records import record
from derl_grammar.spans import Source
from derl_primitives.suites import find_suite
from derl_runtime.data import give_back, rollouts_of
from derl_runtime.files import write_whole

# What the term may add between its least and its largest value; being right adds 1.
_SHARE = 0.5
_TOGETHER = 16


@record
class Split:
    """Figures of a term on some groups: see `Figures`."""

    finite: bool
    order: float
    signal: float
    spread: float


@record
class Found:
    """A reward that the search gives.

    `term` is what it adds to the outcome and `size` the names, numbers and operations of that;
    `held_out` are its figures on groups it was not chosen on. Of the whole reward: `spread` is the
    share of groups whose rollouts differ in it, `inversions` the pairs of one group in which the
    wrong one scores higher, both on all rows; `margin` is proven, `key` its equivalence key.
    """

    text: str
    term: str
    size: int
    screened: Split
    held_out: Split | None
    spread: float
    inversions: int
    margin: float | None
    monotone: bool | None
    key: str


@record
class Composed:
    """All rewards of a front; `refused` failed the checker, `equal` train like an earlier one."""

    found: tuple[Found, ...]
    front: int
    refused: int
    equal: int


def compose(problem: Problem, data: Data, kept: Iterable[Entry], size: int, top: int) -> Composed:
    """The rewards of the front of what a search kept, `top` at most, the best order first."""
    forest = Forest(problem.features, size)
    scorer = _Scorer(problem, data)
    best = front(kept)
    rewards: dict[str, tuple[Entry, Found]] = {}
    refused = equal = 0
    terms = [expression_text(forest.expression(forest.plant(entry.tree))) for entry in best]
    for entry, found in zip(best, scorer.found(terms, [e.size for e in best]), strict=True):
        if found is None:
            refused += 1
        elif found.key in rewards:
            equal += 1
        else:
            rewards[found.key] = (entry, found)
    shown = set(spread_out([entry for entry, _ in rewards.values()], top))
    chosen = tuple(found for entry, found in rewards.values() if entry in shown)
    return Composed(chosen, len(best), refused, equal)


class _Scorer:
    """Checks rewards and scores them the way they are scored in training."""

    def __init__(self, problem: Problem, data: Data) -> None:
        self.problem = problem
        self.rollouts = rollouts_of(data)
        self.screens = [
            None if part is None else (Screen(problem.features, part), part)
            for part in (problem.screened, problem.held_out)
        ]
        self.right = np.full(self.rollouts.rows, np.nan)
        for part in (problem.screened, problem.held_out):
            if part is not None:
                self.right[part.index] = part.right

    def found(self, terms: Sequence[str], sizes: Sequence[int]) -> list[Found | None]:
        """The reward of each term with its figures, or None where it fails the checker."""
        found: list[Found | None] = [None] * len(terms)
        made = [(k, _compiled(self.problem, term)) for k, term in enumerate(terms)]
        fine = [(k, one) for k, one in made if one is not None]
        # Some at a time: they read the rows together, and their scores are kept until all are read.
        for start in range(0, len(fine), _TOGETHER):
            some = fine[start : start + _TOGETHER]
            rewards = [reward for _, (_, reward, _) in some]
            scored = score_rollouts(rewards, self.rollouts, [self.problem.groups] * len(some))
            give_back()
            for (k, one), scores in zip(some, scored, strict=True):
                found[k] = self._one(*one, terms[k], sizes[k], scores)
        return found

    def _one(
        self, text: str, reward: Reward, part: str, term: str, size: int, scores: Scored
    ) -> Found | None:
        groups, values = self.problem.groups, scores.values.whole()
        added = scores.parts[part].whole()
        splits = [None if s is None else _figures(s[0], s[1], added) for s in self.screens]
        assert splits[0] is not None
        if not all(split is None or split.finite for split in splits):
            return None
        wrong = misorder(values, self.right, groups, 0)
        certificate = reward.certificate
        return Found(
            text, term, size, splits[0], splits[1], float(1 - flat_groups(values, groups).mean()),
            wrong.above, certificate.margin, certificate.outcome_monotone, reward.key,
        )  # fmt: skip


def _compiled(problem: Problem, term: str) -> tuple[str, Reward, str] | None:
    """The text of a term's reward, the reward, and the part that is the term; None where it fails
    the checker."""
    text, part = reward_text(problem, term)
    if text is None:
        return None
    settings = header_settings("reward", text)
    if not check_source(Source(text), settings.scope(), settings.sizes).ok:
        return None
    return text, compile(text, settings.suite, settings.columns, settings.outcome), part


def _figures(screen: Screen, part: Rollouts, values: Array) -> Split:
    found = screen.survey(np.ascontiguousarray(values[None, part.index]))
    return Split(
        bool(found.finite[0]), float(found.order[0]), float(found.signal[0]), float(found.spread[0])
    )


def reward_text(problem: Problem, term: str) -> tuple[str | None, str]:
    """A reward file that adds a term to the outcome, and the name the term has in it.

    None where the range of the term cannot be proven.
    """
    scope = problem.scope
    taken = {*scope.names, *scope.primitives}
    ok = _free(("ok", "right", "ok_"), taken)
    part = _free(("shaping", "term", "shaping_"), taken)
    checked = check_source(Source(f"reward = {term}"), scope, WIDE)
    if checked.certificate is None or not checked.ok:
        return None, part
    width = checked.certificate.hi - checked.certificate.lo
    if not 0 < width < math.inf:
        return None, part
    weight = _rounded_down(_SHARE / width)
    scaled = part if weight == 1 else f"{number_text(weight)} * {part}"
    lines = [*_header(problem, term), f"{part} = {term}"]
    outcome = problem.outcome
    if not outcome.isidentifier():
        lines.append(f"{ok} = {outcome}")
        outcome = ok
    return "\n".join([*lines, f"reward = {outcome} + {scaled}\n"]), part


def _free(names: Sequence[str], taken: set[str]) -> str:
    return next((name for name in names if name not in taken), f"{names[-1]}_")


def _rounded_down(value: float) -> float:
    """Two digits, never more than the value."""
    shift = 10.0 ** (1 - math.floor(math.log10(value)))
    found = math.floor(value * shift + 1e-9) / shift
    return float(f"{found:.2g}")


def _header(problem: Problem, term: str) -> list[str]:
    """The settings that the reward is checked with: the suites and columns that it names."""
    used = set(re.findall(r"[A-Za-z_]\w*", f"{term} {problem.outcome}"))
    found = []
    if problem.suite is not None:
        parts = {name: find_suite(name) for name in problem.suite.split("+")}
        named = [n for n, s in parts.items() if used & {*s.primitives, *s.bindings}]
        known = {c for n in named for c in parts[n].columns}
        # A column that no suite kept declares: the suite that does is kept as well.
        named += [
            n for n, s in parts.items() if n not in named and used & (s.columns.keys() - known)
        ]
        found.append(f"# suite: {'+'.join(named)}")
    found += [
        f"# column: {name}: {kind}" for name, kind in problem.declared.items() if name in used
    ]
    return [*found, f"# outcome: {problem.outcome}"]


def write(found: Sequence[Found], folder: Path, source: str, problem: Problem) -> list[Path]:
    """Write each reward to a file of the folder, its figures above it. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for number, reward in enumerate(found, 1):
        path = folder / f"{number:02}-{reward.key[:8]}.derl"
        write_whole(path, "\n".join([*_told(reward, source, problem), reward.text]))
        paths.append(path)
    return paths


def _told(found: Found, source: str, problem: Problem) -> list[str]:
    """The figures of a reward as comments."""
    held = found.held_out
    apart = "" if held is None else f" ({held.order:.3f} on groups it was not chosen on)"
    margin = "unknown" if found.margin is None else f"{found.margin:.3g}"
    return [
        f"# Found by derl-dsl search on {source}, {problem.group}, outcome {problem.given}.",
        f"# ordering {found.screened.order:.3f}{apart}: the term puts right before wrong.",
        f"# signal {found.screened.signal:.1%}: groups of one outcome in which it differs;",
        f"# spread {found.spread:.1%}: groups that the reward tells apart; margin {margin}.",
    ]
