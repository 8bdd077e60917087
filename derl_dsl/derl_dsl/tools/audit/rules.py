"""The rules of an audit: each asks one question of the scored rows and answers with findings.

A rule that finds nothing says so in one finding; a rule whose question cannot be asked of these
rows (no outcome, no groups, no completions) returns none.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from derl_dsl.tools.audit import codes
from derl_dsl.tools.audit.context import Context
from derl_dsl.tools.audit.findings import Finding, Measure, Verdict, finding
from derl_dsl.tools.audit.statistics import Rows, at_bound, first_rows, outliers, relate, rows_where
from derl_dsl.tools.evaluate import summary
from derl_dsl.tools.evaluate.evaluation import Component
from derl_dsl.tools.pages.numbers import number, share, signed

FLAT_LOOK, FLAT_BAD = 0.5, 0.9
WEAK = 0.1  # a correlation below it hardly says anything
MISORDERED_BAD = 0.01
SATURATED = 0.95
FAR, FEW = 6.0, 0.001
OUTLIER_ROWS = 0.01  # more rows than this are a heavy tail, not outliers
LOST_BAD = 0.05
LENGTH_LOOK, LENGTH_BAD = 0.2, 0.5
ALL = "components"
REWARD = "reward"


def stuck_components(context: Context) -> list[Finding]:
    """Components with a single value."""
    if not context.parts:
        return []
    found = []
    for part in context.parts:
        s = part.summary
        if s.rows >= 2 and s.min is not None and s.min == s.max:
            measure = Measure(s.min, f"= {number(s.min)}", None, "varies")
            message = f"{part.name} is {number(s.min)} in every row"
            found.append(finding(codes.STUCK_COMPONENT, "look", part.name, measure, message))
    if found:
        return found
    measure = Measure(None, "varies", None, "varies")
    return [finding(codes.STUCK_COMPONENT, "ok", ALL, measure, "every component varies")]


def stuck_reward(context: Context) -> list[Finding]:
    """A reward with a single value."""
    s = context.reward.summary
    if s.min is None or s.max is None or s.rows < 2:
        return []
    shown = f"{number(s.min)} to {number(s.max)}"
    if s.min < s.max:
        measure = Measure(s.std, "varies", None, "varies")
        return [finding(codes.STUCK_REWARD, "ok", REWARD, measure, f"the reward is {shown}")]
    measure = Measure(0.0, f"= {number(s.min)}", None, "varies")
    message = f"the reward is {number(s.min)} in every row"
    return [finding(codes.STUCK_REWARD, "bad", REWARD, measure, message)]


def flat_groups(context: Context) -> list[Finding]:
    """The share of groups that teach nothing."""
    flat = context.reward.summary.zero_variance_groups
    if flat is None or context.groups is None:
        return []
    verdict: Verdict = "bad" if flat > FLAT_BAD else "look" if flat > FLAT_LOOK else "ok"
    measure = Measure(flat, share(flat), FLAT_LOOK, f"<= {FLAT_LOOK:.0%}")
    name = context.evaluation.question.group
    message = f"{share(flat)} of the {context.evaluation.groups:,} groups by {name} have one reward"
    return [finding(codes.FLAT_GROUPS, verdict, REWARD, measure, message, _flat_rows(context))]


def _flat_rows(context: Context) -> Rows:
    """The first row of each flat group."""
    assert context.groups is not None
    flat = summary.flat_groups(context.reward.kept, context.groups)
    return first_rows(context.groups)[flat]


def contrary_components(context: Context) -> list[Finding]:
    """Components that the reward pays although they are higher where the outcome is worse."""
    if context.outcome is None or not context.parts:
        return []
    found = []
    for part in context.parts:
        relation = relate(part.kept, context.outcome)
        slope = context.directions.get(part.name, 0.0)
        r = relation.spearman
        if r is None or abs(r) <= relation.noise or abs(slope) < 0.01 or slope * r > 0:
            continue
        pays = "rises" if slope > 0 else "falls"
        message = (
            f"the reward {pays} with {part.name}, which goes with the outcome the other way: "
            f"Spearman {signed(r)}, point-biserial {signed(relation.pearson)} (n = {relation.n:,})"
        )
        measure = Measure(r, f"rho {signed(r)}", relation.noise, f"±{relation.noise:.2f}")
        found.append(finding(codes.CONTRARY, "look", part.name, measure, message))
    if found:
        return found
    measure = Measure(None, "none", None, "none")
    message = "no component is paid that goes against the outcome"
    return [finding(codes.CONTRARY, "ok", ALL, measure, message)]


def follows_outcome(context: Context) -> list[Finding]:
    """Whether the reward rises with the outcome."""
    if context.outcome is None:
        return []
    relation = relate(context.reward.kept, context.outcome)
    r = relation.spearman
    if r is None:
        return []
    verdict: Verdict = "bad" if r < -relation.noise else "look" if r < WEAK else "ok"
    what = {"bad": "falls with", "look": "hardly follows", "ok": "follows"}[verdict]
    message = (
        f"the reward {what} {context.evaluation.question.outcome}: Spearman {signed(r)}, "
        f"point-biserial {signed(relation.pearson)} (n = {relation.n:,})"
    )
    measure = Measure(r, f"rho {signed(r)}", WEAK, f">= {WEAK}")
    return [finding(codes.INVERTED, verdict, REWARD, measure, message)]


def one_outcome(context: Context) -> list[Finding]:
    """Whether there are both right and wrong rows to compare."""
    if context.outcome is None:
        return []
    known = right = 0
    for some in summary.applicable(context.outcome):
        known, right = known + len(some), right + int((some > 0.5).sum())
    part = right / known if known else 0.0
    verdict: Verdict = "ok" if 0 < part < 1 else "look"
    measure = Measure(part, share(part), None, "mixed")
    message = f"{share(part)} of the {known:,} rows with an outcome are right"
    return [finding(codes.ONE_OUTCOME, verdict, "outcome", measure, message)]


def misordered(context: Context) -> list[Finding]:
    """Wrong rows that outscore right ones of their group."""
    pairs = context.misorder
    if pairs is None or not pairs.pairs:
        return []
    rate = pairs.above / pairs.pairs
    verdict: Verdict = "bad" if rate > MISORDERED_BAD else "look" if pairs.above else "ok"
    where = "of all rows" if context.groups is None else "of one group"
    message = (
        f"in {pairs.above:,} of {pairs.pairs:,} pairs {where} ({share(rate)}) the wrong row "
        f"outscores the right one; in {pairs.tied:,} they tie"
    )
    measure = Measure(rate, share(rate), MISORDERED_BAD, f"<= {MISORDERED_BAD:.0%}")
    return [finding(codes.MISORDERED, verdict, REWARD, measure, message, pairs.rows)]


def saturated(context: Context) -> list[Finding]:
    """Components that nearly always sit at one end of their values."""
    found, most = [], 0.0
    for part in context.parts:
        s = part.summary
        if s.min is None or s.min == s.max:
            continue  # never varies: another rule's finding
        bound, held = at_bound(part.kept)
        most = max(most, held)
        if held > SATURATED:
            message = f"{part.name} is {number(bound)} in {share(held)} of the rows; the others:"
            others = _off(part, bound)
            measure = Measure(held, share(held), SATURATED, f"<= {SATURATED:.0%}")
            found.append(finding(codes.SATURATED, "look", part.name, measure, message, others))
    if found or not context.parts:
        return found
    measure = Measure(most, share(most), SATURATED, f"<= {SATURATED:.0%}")
    message = f"no component sits at one bound in more than {share(most)} of the rows"
    return [finding(codes.SATURATED, "ok", ALL, measure, message)]


def _off(part: Component, bound: float) -> Rows:
    return rows_where(part.kept, lambda some: (some != bound) & ~np.isnan(some))


def outlying(context: Context) -> list[Finding]:
    """Components, and a reward, whose range a few rows make."""
    found = []
    for part in context.evaluation.components:
        if part.summary.min is None:
            continue
        far = outliers(part.kept, FAR, FEW)
        if far is None or len(far.rows) > max(1, OUTLIER_ROWS * part.summary.rows):
            continue
        value = number(float(part.kept.take(far.rows[0])))
        if far.distance is not None and far.distance > FAR:
            shown, limit, figure = f"{far.distance:.3g} MAD", f"<= {FAR:g} MAD", far.distance
        else:
            shown, limit, figure = f"range x{far.stretch:.3g}", "range x2", far.stretch
        rows = "1 row lies" if len(far.rows) == 1 else f"{len(far.rows):,} rows lie"
        message = f"{rows} far from the rest of {part.name}, the farthest at {value}"
        measure = Measure(figure, shown, FAR, limit)
        found.append(finding(codes.OUTLIERS, "look", part.name, measure, message, far.rows))
    if found:
        return found
    measure = Measure(None, "none", FAR, f"<= {FAR:g} MAD")
    return [finding(codes.OUTLIERS, "ok", ALL, measure, "no component has outliers")]


def not_applicable(context: Context) -> list[Finding]:
    """Rows that score nothing."""
    rows = rows_where(context.reward.kept, np.isnan)
    lost = len(rows) / context.evaluation.rows
    verdict: Verdict = "bad" if lost > LOST_BAD else "look" if len(rows) else "ok"
    measure = Measure(lost, share(lost), LOST_BAD, f"<= {LOST_BAD:.0%}")
    message = f"{len(rows):,} of {context.evaluation.rows:,} rows have no reward"
    return [finding(codes.NOT_APPLICABLE, verdict, REWARD, measure, message, rows)]


def faults(context: Context) -> list[Finding]:
    """Inputs that broke their declared type or range."""
    total = context.evaluation.rows
    found = []
    for fault in context.evaluation.faults:
        verdict: Verdict = "bad" if fault.count > LOST_BAD * total else "look"
        figure = fault.count / total
        measure = Measure(figure, share(figure), LOST_BAD, "none")
        message = f"{fault.kind} in {fault.name}: {fault.message} ({fault.count:,} rows)"
        # Of the rows of a fault only the first few are known.
        found.append(finding(codes.FAULTS, verdict, fault.name, measure, message, fault.rows))
    if found:
        return found
    measure = Measure(0.0, "none", LOST_BAD, "none")
    return [finding(codes.FAULTS, "ok", ALL, measure, "no faults")]


def length(context: Context) -> list[Finding]:
    """Whether the reward goes with length more than with the outcome."""
    if context.outcome is None or context.lengths is None:
        return []
    by_length = relate(context.reward.kept, context.lengths)
    by_outcome = relate(context.reward.kept, context.outcome)
    if by_length.spearman is None or by_outcome.spearman is None:
        return []
    r, size = by_length.spearman, abs(by_length.spearman)
    more = size > by_outcome.spearman and size > by_length.noise
    verdict: Verdict = "ok"
    if more and size > LENGTH_LOOK:
        verdict = "bad" if size > LENGTH_BAD else "look"
    message = (
        f"Spearman of the reward with the completion's length in {context.length_unit} is "
        f"{signed(r)}, with the outcome {signed(by_outcome.spearman)} (n = {by_length.n:,})"
    )
    limit = f"<= {signed(by_outcome.spearman)}"
    measure = Measure(r, f"rho {signed(r)}", by_outcome.spearman, limit)
    return [finding(codes.LENGTH, verdict, REWARD, measure, message)]


RULES: tuple[Callable[[Context], list[Finding]], ...] = (
    misordered,
    follows_outcome,
    length,
    contrary_components,
    one_outcome,
    stuck_reward,
    flat_groups,
    stuck_components,
    saturated,
    outlying,
    not_applicable,
    faults,
)
