"""attack: completions that are wrong and paid like right ones, found and cut down.

The wrong texts of each family are scored as they are and with what the program's parts ask for,
added one at a time as long as it pays. What is paid at least as much as the least an honest right
answer gets is a hit, cut down to the decorations it needs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from derl_dsl.score.reward import Reward, columns_of
from derl_dsl.tools.attack.decorations import Decoration, decorations
from derl_dsl.tools.attack.families import BUILT_IN, FAMILIES, Problem, lazy, right, wrong
from derl_grammar.records import record
from derl_grammar.types import Bool, List, Number, Optional, Text
from derl_runtime.reading import ColumnError

_GROUP = 4
_SLACK = 1e-9


@record
class Hit:
    """A wrong completion and what it is paid; `above_right` over the least right answer,
    `above_wrong` over the best honest wrong one."""

    family: str
    problem: Problem
    completion: str
    decorations: tuple[str, ...]
    reward: float
    above_right: float
    above_wrong: float


@record
class Lazy:
    """What a lazy strategy earns on average; right answers earn `right`."""

    strategy: str
    mean: float
    right: float


@record
class Attack:
    """What was found: hits from the highest paid above right, the scoreboard, texts tried; `told`
    of `problems` are those where the reward tells an honest right answer from a wrong one."""

    hits: tuple[Hit, ...]
    scoreboard: tuple[Lazy, ...]
    tried: int
    told: int
    problems: int


@record
class Candidate:
    """A wrong text with what was added to it."""

    family: str
    core: str
    added: tuple[Decoration, ...] = ()

    @property
    def text(self) -> str:
        """The whole completion."""
        text = self.core
        for decoration in self.added:
            text = decoration.of(text)
        return text


@record
class Logged:
    """Logged rows of one problem: its columns besides the completion, right and wrong texts."""

    problem: Problem
    row: Mapping[str, Any]
    right: tuple[str, ...]
    wrong: tuple[str, ...]


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
    return Attack(tuple(best.values()), board, scorer.tried, told, len(known))


class _Scorer:
    """Scores texts for a problem; other columns are the row's, or a plain value."""

    def __init__(self, reward: Reward) -> None:
        self.reward, self.tried = reward, 0
        self.columns = columns_of(reward)

    def score(self, one: Logged, texts: Sequence[str], is_right: bool = False) -> list[float]:
        """The reward of each text, -inf where it has none; group functions see honest fellows.

        Where the outcome is a column it says what the texts are: `is_right` or not.
        """
        if not texts:
            return []
        self.tried += len(texts)
        fellows = [wrong(one.problem)[1], wrong(one.problem)[2], right(one.problem)[1]]
        size = _GROUP if self.reward.uses_groups else 1
        rows = [t for text in texts for t in ([text, *fellows] if size > 1 else [text])]
        verdicts = [is_right, False, False, True][:size] * len(texts)
        given = {name: self._column(name, one, rows, verdicts) for name in self.columns}
        scores = self.reward.score(given, group_size=size if size > 1 else None)
        return [v if v == v else -np.inf for v in scores.values[::size].tolist()]

    def _column(
        self, name: str, one: Logged, texts: Sequence[str], verdicts: Sequence[bool]
    ) -> list[Any]:
        if name == "completion":
            return list(texts)
        if name == "completion_ids":
            return [[hash(w) % 50_000 for w in text.split()] for text in texts]
        if name == self.reward.outcome:
            worst, best = _ends(self.columns[name].type)
            return [best if right else worst for right in verdicts]
        fixed = {"answer": one.problem.gold, "prompt": one.problem.prompt, "progress": 0.5}
        value = one.row.get(name, fixed.get(name, _middle(self.columns[name].type)))
        if value is None and name not in one.row:
            raise ColumnError(f"the reward reads {name!r}: give rows that have it with --data")
        return [value] * len(texts)


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
    rights, wrongs = scorer.score(one, right(problem), True), scorer.score(one, wrong(problem))
    # A style in which the reward does not tell right from wrong says nothing of what right earns.
    seen = [r for r, w in zip(rights, wrongs, strict=True) if r > w]
    seen += [v for v in scorer.score(one, one.right, True) if v > -np.inf]
    best_wrong = max([*wrongs, *scorer.score(one, one.wrong)])
    if not seen:
        return None
    least = min(seen)
    cores = [Candidate(name, text) for name, make in FAMILIES.items() for text in make(problem)]
    cores += [Candidate("a logged wrong answer", text) for text in one.wrong]
    cores += [Candidate("an honest wrong answer", text) for text in wrong(problem)]
    scored = list(zip(scorer.score(one, [c.text for c in cores]), cores, strict=True))
    front = _best(scored, 2)
    for _ in range(rounds):
        grown = [
            Candidate(c.family, c.core, (*c.added, d))
            for value, c in front
            for d in added
            if value < least - _SLACK and d not in c.added
        ]
        if not grown:
            break
        more = list(zip(scorer.score(one, [c.text for c in grown]), grown, strict=True))
        before = {(c.family, c.core, c.added): v for v, c in front}
        more = [(v, c) for v, c in more if v > before[(c.family, c.core, c.added[:-1])] + _SLACK]
        scored += more
        front = _best(more, 1)
    return [
        _hit(scorer, one, c, least, best_wrong) for value, c in scored if value >= least - _SLACK
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
        return scorer.score(one, [tried.text])[0] >= least - _SLACK

    for decoration in candidate.added:
        rest = tuple(d for d in candidate.added if d is not decoration)
        if pays(Candidate(candidate.family, candidate.core, rest)):
            candidate = Candidate(candidate.family, candidate.core, rest)
    for k, decoration in enumerate(candidate.added):
        for fewer in decoration.fewer():
            less = (*candidate.added[:k], fewer, *candidate.added[k + 1 :])
            tried = Candidate(candidate.family, candidate.core, less)
            if pays(tried):
                candidate = tried
                break
    (value,) = scorer.score(one, [candidate.text])
    names = tuple(d.name for d in candidate.added)
    return Hit(
        candidate.family, one.problem, candidate.text, names,
        value, value - least, value - best_wrong,
    )  # fmt: skip


def _scoreboard(scorer: _Scorer, known: Sequence[Logged]) -> tuple[Lazy, ...]:
    rights = [
        v for one in known for v in scorer.score(one, [right(one.problem)[2], *one.right], True)
    ]
    mean = float(np.mean([v for v in rights if v > -np.inf] or [np.nan]))
    table = []
    for strategy, texts in lazy([one.problem for one in known]).items():
        paid = [scorer.score(one, [t])[0] for one, t in zip(known, texts, strict=True)]
        paid = [v for v in paid if v > -np.inf]
        table.append(Lazy(strategy, float(np.mean(paid)) if paid else float("nan"), mean))
    return tuple(sorted(table, key=lambda row: -row.mean))
