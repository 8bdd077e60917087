"""What is searched: features and outcome of logged rollouts in groups, and how they are split."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from derl_dsl.elaborate.scope import Scope, build_scope
from derl_dsl.score.reward import RewardError
from derl_dsl.tools.audit.statistics import misorder
from derl_dsl.tools.evaluate.evaluation import Question, evaluate, group_of
from derl_dsl.tools.evaluate.summary import flat_groups
from derl_dsl.tools.search.vocabulary import Array, Data, Feature, infer_declared, measured
from derl_grammar.records import record
from derl_grammar.types import Type
from derl_primitives.suites import SUITES, SuiteError, find_suite
from derl_runtime.data import rollouts_of
from derl_runtime.reading import ColumnError, rows_in
from derl_runtime.seen import infer_type

Rows = NDArray[np.int64]

# An input that goes with the outcome this often, or puts this share of pairs in order (or all
# wrong) on its own, is the outcome by another name: a search with it would find nothing else.
_SAME = 0.98
# The share of groups that programs are not chosen on, if there are enough.
_HELD_OUT = 0.25
_FEWEST_GROUPS = 16
NO_GROUPS = "say which rows belong to one prompt: --group COLUMN or --group-size N"


@record
class Rollouts:
    """Rows in order of their groups.

    `index` (B,) says which rows of the data they are, `features` (F, B) holds what programs read,
    `right` (B,) which rows are right, `offsets` (G + 1,) where groups start.
    """

    index: Rows
    features: Array
    right: NDArray[np.bool_]
    offsets: Rows

    @property
    def rows(self) -> int:
        """The number of rollouts."""
        return len(self.right)

    @property
    def groups(self) -> int:
        """The number of groups."""
        return len(self.offsets) - 1

    def pairs(self) -> tuple[Rows, Rows]:
        """The right and the wrong row of every pair of one group with different outcomes."""
        good, bad = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
        for start, end in zip(self.offsets[:-1].tolist(), self.offsets[1:].tolist(), strict=True):
            inside = np.arange(start, end)
            right, wrong = inside[self.right[start:end]], inside[~self.right[start:end]]
            good.append(np.repeat(right, len(wrong)))
            bad.append(np.tile(wrong, len(right)))
        return np.concatenate(good), np.concatenate(bad)

    def still(self) -> NDArray[np.bool_]:
        """Which groups of two or more rows have one outcome throughout, (G,)."""
        starts = self.offsets[:-1]
        count = np.add.reduceat(self.right.astype(np.int64), starts)
        sizes = np.diff(self.offsets)
        found: NDArray[np.bool_] = (sizes > 1) & ((count == 0) | (count == sizes))
        return found

    def mixed(self) -> int:
        """How many groups have both right and wrong rows."""
        return int((np.diff(self.offsets) > 1).sum() - self.still().sum())


@record
class Problem:
    """One search.

    `outcome` is the expression that rewards name the outcome by, `given` how the question did.
    `declared` are the types of columns that no suite declares. `held_out` is None with few groups.
    `groups` numbers the group of each row of the data, `group` says how in words. `same` are the
    inputs that say the outcome too, `flat` those that vary within no group: both are left out.
    """

    suite: str | None
    declared: Mapping[str, str | Type]
    outcome: str
    given: str
    group: str
    features: tuple[Feature, ...]
    screened: Rollouts
    held_out: Rollouts | None
    groups: Rows
    same: tuple[str, ...]
    flat: tuple[str, ...]

    @property
    def mixed(self) -> float:
        """The share of groups that the outcome alone tells apart."""
        parts = [p for p in (self.screened, self.held_out) if p is not None]
        return sum(p.mixed() for p in parts) / max(1, sum(p.groups for p in parts))

    @property
    def scope(self) -> Scope:
        """What the rewards may name."""
        return build_scope(self.suite, self.declared, self.outcome)


def suites_for(data: Data) -> str | None:
    """The suites whose columns the data has, joined by `+`; in order.

    Left out are suites of bound names (g1, g2), and those that do not combine with one before.
    """
    found: str | None = None
    for suite in SUITES.values():
        if suite.bindings or not all(c in data for c in suite.columns):
            continue
        joined = suite.name if found is None else f"{found}+{suite.name}"
        try:
            find_suite(joined)
        except SuiteError:
            continue
        found = joined
    return found


def pose(question: Question, data: Data, group_size: int | None = None, seed: int = 0) -> Problem:
    """Features, outcome and groups of the rows of `data`; `question.text` is not read.

    Without a suite and columns, all that the data has counts: the suites whose columns it has, and
    its own columns of numbers, conditions and lists. Raises ColumnError or ValueError where the
    data does not fit the question.
    """
    if question.suite is None and not question.columns:
        question = replace(question, suite=suites_for(data), columns=None)
        guess = True
    else:
        guess = False
    outcome = question.outcome or (find_suite(question.suite).outcome if question.suite else None)
    if outcome is None:
        raise ValueError("say which column is the outcome: --outcome COLUMN")
    groups, group = _groups(question, data, group_size)
    right = _outcome(replace(question, text=outcome, group=None, outcome=None), data)
    without = [name for name in (outcome, question.group) if name is not None]
    scope = build_scope(question.suite, question.columns, None)
    declared: dict[str, Any] = dict(question.columns or {})
    if guess:
        declared |= infer_declared(data, scope, without)
        scope = build_scope(question.suite, declared, None)
    found = measured(scope, data, without)
    same = _same(right, groups, found)
    named = _named(outcome, question, same)
    if named in data and named not in declared and named not in scope.names:
        declared[named] = infer_type(data[named])
    kept, flat = [], []
    for k, (feature, values) in enumerate(found):
        if feature.text in same or feature.text == named:
            continue
        if flat_groups(values, groups).all():
            flat.append(feature.text)
        else:
            kept.append(k)
    if not kept:
        raise ColumnError(
            "no input varies within a group, the outcome aside; give more with --suite or --column"
        )
    features = tuple(found[k][0] for k in kept)
    table = np.stack([found[k][1] for k in kept])
    del found  # all values of all features, twice
    screened, held = _split(table, right, groups, seed)
    return Problem(
        question.suite, declared, named, outcome, group, features, screened, held, groups,
        tuple(same), tuple(flat),
    )  # fmt: skip


def _groups(question: Question, data: Data, group_size: int | None) -> tuple[Rows, str]:
    """The group of each row as a number, and how it is told."""
    if group_size is not None:
        rows = rows_in(data)
        if group_size < 2 or rows % group_size:
            raise ColumnError(f"{rows} rows are no whole number of groups of {group_size}")
        return np.arange(rows) // group_size, f"groups of {group_size} rows"
    if question.group is None:
        raise ColumnError(NO_GROUPS)
    return group_of(rollouts_of(data), question.group), f"groups by {question.group}"


def _outcome(question: Question, data: Data) -> NDArray[np.float64]:
    """1 where a rollout is right, 0 where not, NaN where unknown."""
    try:
        values = evaluate(question, data).components[-1].values
    except RewardError as error:
        first = error.diagnostics[0].message
        raise ValueError(f"the outcome {question.text!r} cannot be used: {first}") from error
    return np.where(np.isnan(values), np.nan, (values > 0.5).astype(np.float64))


def _same(right: Array, groups: Rows, found: Sequence[tuple[Feature, Array]]) -> dict[str, bool]:
    """The features that say the outcome, and whether they are right and wrong where it is."""
    known = ~np.isnan(right)
    same = {}
    for feature, values in found:
        agrees = np.mean((values > 0.5)[known] == (right > 0.5)[known]) >= _SAME
        pairs = misorder(values, right, groups, 0)
        wrong = (pairs.above + pairs.tied / 2) / max(1, pairs.pairs)
        if agrees or (pairs.pairs and not 1 - _SAME < wrong < _SAME):
            same[feature.text] = bool(agrees)
    return same


def _named(outcome: str, question: Question, same: Mapping[str, bool]) -> str:
    """What rewards call the outcome.

    A column of verdicts is not there when a policy trains: if a primitive says the same, the
    reward uses that one; the suite's own outcome first.
    """
    suite = None if question.suite is None else find_suite(question.suite)
    if suite is not None and outcome in suite.columns:
        return outcome
    usual = None if suite is None else suite.outcome
    agreeing = [text for text, agrees in same.items() if agrees]
    return next((t for t in (outcome, usual, *agreeing) if t in agreeing), outcome)


def _split(table: Array, right: Array, groups: Rows, seed: int) -> tuple[Rollouts, Rollouts | None]:
    """Rows with all values, by group; a share of the groups is held out."""
    rows = np.flatnonzero(~np.isnan(table).any(axis=0) & ~np.isnan(right))
    found = np.unique(groups[rows])
    held = np.zeros(0, dtype=np.int64)
    if len(found) >= _FEWEST_GROUPS:
        order = np.random.default_rng(seed).permutation(found)
        held = order[: int(len(found) * _HELD_OUT)]
    aside = np.isin(groups[rows], held)
    screened = _rollouts(table, right, groups, rows[~aside])
    if not len(screened.pairs()[0]):
        raise ColumnError(
            "no group has both a right and a wrong rollout: there is nothing to put in order; "
            "see --outcome and --group"
        )
    return screened, _rollouts(table, right, groups, rows[aside]) if len(held) else None


def _rollouts(table: Array, right: Array, groups: Rows, rows: Rows) -> Rollouts:
    rows = rows[np.argsort(groups[rows], kind="stable")]
    starts = np.flatnonzero(np.diff(groups[rows], prepend=-1))
    offsets = np.append(starts, len(rows)).astype(np.int64)
    return Rollouts(rows, np.ascontiguousarray(table[:, rows]), right[rows] > 0.5, offsets)
