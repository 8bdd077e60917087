"""attack: completions that are wrong and paid like right ones, found and cut down.

The wrong texts of each family are scored as they are and with what the program's parts ask for,
added one at a time as long as it pays. What is paid at least as much as the least an honest right
answer gets is a hit, cut down to the decorations it needs.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from derl_dsl.score.reward import Reward, columns_of
from derl_dsl.tools.attack.decorations import Decoration, decorations
from derl_dsl.tools.attack.families import BUILT_IN, FAMILIES, Problem, lazy, right, wrong
from derl_grammar.records import record
from derl_grammar.types import Bool, List, Number, Optional, Text
from derl_runtime.reading import ColumnError

_GROUP = 4
# Columns that are the texts, the gold answer, or nothing of the policy's.
_SPOKEN = ("completion", "completion_ids", "answer", "prompt", "progress")
_SLACK = 1e-9


@record
class Hit:
    """A wrong completion and what it is paid; `above_right` over the least right answer,
    `above_wrong` over the best honest wrong one; `rows` is it, and the group it was scored in, as
    columns."""

    family: str
    problem: Problem
    completion: str
    decorations: tuple[str, ...]
    reward: float
    above_right: float
    above_wrong: float
    rows: tuple[Mapping[str, Any], ...] = ()


@record
class Lazy:
    """What a lazy strategy earns on average; right answers earn `right`."""

    strategy: str
    mean: float
    right: float


@record
class Attack:
    """What was found: hits from the highest paid above right, the scoreboard, texts tried; `told`
    of `problems` are those where the reward tells an honest right answer from a wrong one; `held`
    are columns that were left as they are, whatever a completion would have made of them."""

    hits: tuple[Hit, ...]
    scoreboard: tuple[Lazy, ...]
    tried: int
    told: int
    problems: int
    held: tuple[str, ...] = ()


@record
class Candidate:
    """A wrong text with what was added to it; `row` has its columns where it was logged."""

    family: str
    core: str
    added: tuple[Decoration, ...] = ()
    row: Mapping[str, Any] | None = None

    @property
    def text(self) -> str:
        """The whole completion."""
        text = self.core
        for decoration in self.added:
            text = decoration.of(text)
        return text


@record
class Said:
    """A logged completion and the other columns of its row."""

    text: str
    row: Mapping[str, Any]


@record
class Logged:
    """Logged rows of one problem: the columns of a row besides the completion, what was said right
    and wrong."""

    problem: Problem
    row: Mapping[str, Any]
    right: tuple[Said, ...]
    wrong: tuple[Said, ...]


def attack(reward: Reward, logged: Sequence[Logged] = (), rounds: int = 3) -> Attack:
    """Search for wrong completions that a reward pays like right ones.

    `rounds` is how many things the program's parts ask for are put together; 0 tries the families
    as they are. Raises ColumnError when the reward reads no completion, or columns that only data
    can give.

    >>> from derl_dsl import compile
    >>> found = attack(compile("contains(completion, answer)", suite="math"))
    >>> found.hits[0].above_right
    0.0
    """
    if "completion" not in columns_of(reward):
        raise ColumnError("the reward reads no completion: there is no text to attack it with")
    known = logged or [Logged(p, {}, (), ()) for p in BUILT_IN]
    scorer = _Scorer(reward)
    added = decorations(reward)
    found = [_of_problem(scorer, one, added, rounds) for one in known]
    hits = [hit for some in found for hit in some or ()]
    told = sum(some is not None for some in found)
    # One text a family and problem: the others are its siblings.
    best: dict[tuple[str, str, str], Hit] = {}
    for hit in sorted(hits, key=lambda h: (-h.above_right, len(h.completion))):
        best.setdefault((hit.family, hit.problem.prompt, hit.problem.gold), hit)
    board = _scoreboard(scorer, known)
    return Attack(tuple(best.values()), board, scorer.tried, told, len(known), scorer.held)


class _Scorer:
    """Scores texts for a problem; other columns are the row's, or a plain value."""

    def __init__(self, reward: Reward) -> None:
        self.reward, self.tried = reward, 0
        self.columns = columns_of(reward)
        self.size = _GROUP if reward.uses_groups else 1
        spoken = (*_SPOKEN, reward.outcome)
        self.held = tuple(name for name in self.columns if name not in spoken)

    def score(self, one: Logged, said: Sequence[Said], is_right: bool = False) -> list[float]:
        """The reward of each text, -inf where it has none; group functions see honest fellows.

        Where the outcome is a column it says what the texts are: `is_right` or not.
        """
        if not said:
            return []
        self.tried += len(said)
        given = self.given(one, said, is_right)
        scores = self.reward.score(given, group_size=self.size if self.size > 1 else None)
        return [v if v == v else -np.inf for v in scores.values[:: self.size].tolist()]

    def given(self, one: Logged, said: Sequence[Said], is_right: bool = False) -> dict[str, Any]:
        """The columns of the texts, each with its fellows."""
        fellows = [*wrong(one.problem)[1:3], right(one.problem)[1]]
        group = [Said(text, one.row) for text in fellows] if self.size > 1 else []
        rows = [row for text in said for row in (text, *group)]
        verdicts = [is_right, False, False, True][: self.size] * len(said)
        return {name: self._column(name, one, rows, verdicts) for name in self.columns}

    def _column(
        self, name: str, one: Logged, said: Sequence[Said], verdicts: Sequence[bool]
    ) -> list[Any]:
        if name == "completion":
            return [row.text for row in said]
        if name == "completion_ids":
            return [[zlib.crc32(w.encode()) % 50_000 for w in row.text.split()] for row in said]
        if name == self.reward.outcome:
            worst, best = _ends(self.columns[name].type)
            return [best if right else worst for right in verdicts]
        fixed = {"answer": one.problem.gold, "prompt": one.problem.prompt, "progress": 0.5}
        value = fixed.get(name, _middle(self.columns[name].type))
        if value is None and name not in one.row:
            raise ColumnError(f"the reward reads {name!r}: give rows that have it with --data")
        return [row.row.get(name, value) for row in said]

    def rows(self, one: Logged, said: Said) -> tuple[Mapping[str, Any], ...]:
        """A text and its fellows as rows."""
        columns = self.given(one, [said])
        return tuple({n: column[k] for n, column in columns.items()} for k in range(self.size))


def _ends(kind: Any) -> tuple[float, float]:
    """What an outcome is for a wrong rollout and for a right one."""
    kind = kind.item if isinstance(kind, Optional) else kind
    return (kind.lo, kind.hi) if isinstance(kind, Number) else (False, True)


def _middle(kind: Any) -> Any:
    """A plain value of a type; None where only data can say."""
    if isinstance(kind, Optional):
        kind = kind.item
    if isinstance(kind, Bool):
        return False
    if isinstance(kind, Number):
        return min(max(0.0, kind.lo), kind.hi)
    return None if isinstance(kind, Text | List) else 0.0


def _of_problem(
    scorer: _Scorer, one: Logged, added: Sequence[Decoration], rounds: int
) -> list[Hit] | None:
    """The hits of one problem; None where the reward does not tell right from wrong."""
    problem = one.problem
    rights = scorer.score(one, [Said(text, one.row) for text in right(problem)], True)
    wrongs = scorer.score(one, [Said(text, one.row) for text in wrong(problem)])
    # A style in which the reward does not tell right from wrong says nothing of what right earns.
    seen = [r for r, w in zip(rights, wrongs, strict=True) if r > w]
    # Columns that no text changes are those of the row: like is compared with like.
    said = [v for v in scorer.score(one, one.right, True) if v > -np.inf]
    alike = scorer.score(one, [Said(s.text, one.row) for s in one.right], True)
    made = [*seen, *(v for v in alike if v > -np.inf)]
    if not made:
        return None
    best_wrong = max([*wrongs, *scorer.score(one, one.wrong)])

    def least(candidate: Candidate) -> float:
        return min(made) if candidate.row is None else min([*seen, *said])

    cores = [Candidate(name, text) for name, make in FAMILIES.items() for text in make(problem)]
    cores += [Candidate("a logged wrong answer", s.text, row=s.row) for s in one.wrong]
    cores += [Candidate("an honest wrong answer", text) for text in wrong(problem)]
    scored = list(zip(scorer.score(one, [_said(one, c) for c in cores]), cores, strict=True))
    front = _best(scored, 2)
    for _ in range(rounds):
        grown = [
            replace(c, added=(*c.added, d))
            for value, c in front
            for d in added
            if value < least(c) - _SLACK and d not in c.added
        ]
        if not grown:
            break
        more = list(zip(scorer.score(one, [_said(one, c) for c in grown]), grown, strict=True))
        before = {(id(c.row), c.family, c.core, c.added): v for v, c in front}
        more = [
            (v, c)
            for v, c in more
            if v > before[(id(c.row), c.family, c.core, c.added[:-1])] + _SLACK
        ]
        scored += more
        front = _best(more, 1)
    return [
        _hit(scorer, one, c, least(c), best_wrong)
        for value, c in scored
        if value >= least(c) - _SLACK
    ]


def _best(scored: Sequence[tuple[float, Candidate]], each: int) -> list[tuple[float, Candidate]]:
    """The best `each` of each family."""
    found: dict[str, list[tuple[float, Candidate]]] = {}
    for value, candidate in sorted(scored, key=lambda s: (-s[0], len(s[1].text))):
        found.setdefault(candidate.family, []).append((value, candidate))
    return [pair for pairs in found.values() for pair in pairs[:each]]


def _hit(
    scorer: _Scorer, one: Logged, candidate: Candidate, least: float, best_wrong: float
) -> Hit:
    """The candidate with as little added as still makes it a hit."""

    def pays(tried: Candidate) -> bool:
        return scorer.score(one, [_said(one, tried)])[0] >= least - _SLACK

    for decoration in candidate.added:
        rest = replace(candidate, added=tuple(d for d in candidate.added if d is not decoration))
        candidate = rest if pays(rest) else candidate
    for k in range(len(candidate.added)):
        candidate = _fewest(candidate, k, pays)
    said = _said(one, candidate)
    (value,) = scorer.score(one, [said])
    names = tuple(d.name for d in candidate.added)
    return Hit(
        candidate.family, one.problem, candidate.text, names,
        value, value - least, value - best_wrong, scorer.rows(one, said),
    )  # fmt: skip


def _fewest(candidate: Candidate, k: int, pays: Callable[[Candidate], bool]) -> Candidate:
    """The candidate with the fewest of a decoration that still pay, found by halving."""

    def at(times: int) -> Candidate:
        fewer = replace(candidate.added[k], times=times)
        return replace(candidate, added=(*candidate.added[:k], fewer, *candidate.added[k + 1 :]))

    low, high = 0, candidate.added[k].times
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if pays(at(middle)) else (middle, high)
    return at(high)


def _said(one: Logged, candidate: Candidate) -> Said:
    return Said(candidate.text, one.row if candidate.row is None else candidate.row)


def _scoreboard(scorer: _Scorer, known: Sequence[Logged]) -> tuple[Lazy, ...]:
    rights = [
        v
        for one in known
        for v in scorer.score(one, [Said(right(one.problem)[2], one.row), *one.right], True)
    ]
    mean = float(np.mean([v for v in rights if v > -np.inf] or [np.nan]))
    table = []
    for strategy, texts in lazy([one.problem for one in known]).items():
        paid = [
            scorer.score(one, [Said(t, one.row)])[0] for one, t in zip(known, texts, strict=True)
        ]
        paid = [v for v in paid if v > -np.inf]
        table.append(Lazy(strategy, float(np.mean(paid)) if paid else float("nan"), mean))
    return tuple(sorted(table, key=lambda row: -row.mean))
