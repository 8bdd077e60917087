"""audit: score logged rollouts and ask every rule about them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from derl_dsl.tools.audit.context import Context, build_context
from derl_dsl.tools.audit.findings import VERDICTS, Finding
from derl_dsl.tools.audit.rules import RULES
from derl_dsl.tools.audit.statistics import relate
from derl_dsl.tools.evaluate.evaluation import Component, Data, Question, finite
from derl_dsl.tools.pages.excerpts import excerpt, text_column, text_of
from derl_grammar.records import record
from derl_runtime.seen import text_key

_EXCERPT = 300


@record
class Side:
    """One row of a misordered pair; `components` are its inputs and parts by name."""

    row: int
    reward: float
    components: dict[str, float]
    excerpt: str | None


@record
class Pair:
    """A right and a wrong row of one group, of which the wrong one scores higher."""

    group: str | None
    right: Side
    wrong: Side


@record
class Audit:
    """All findings, the worst first, and the widest misordered pairs with their rows' texts."""

    context: Context
    findings: tuple[Finding, ...]
    pairs: tuple[Pair, ...]
    texts: Mapping[int, str | None]

    @property
    def ok(self) -> bool:
        """Whether nothing bad was found."""
        return all(f.verdict != "bad" for f in self.findings)


def audit(question: Question, data: Data) -> Audit:
    """Audit a reward on the rows of `data`.

    The outcome defaults to the suite's; the group to a column whose name and values say so.
    Raises RewardError for a program with errors, ColumnError for a column that is missing or of
    the wrong type, ValueError for an unknown suite, type, backend or outcome.

    >>> rows = {"ok": [1, 0], "long": [0.1, 0.9]}
    >>> found = audit(Question("0.2 * ok + 0.8 * long", outcome="ok"), rows)
    >>> found.ok, [f.code for f in found.findings if f.verdict == "bad"]
    (False, ['DRL606'])
    """
    context = build_context(question, data)
    found = [f for rule in RULES for f in rule(context)]
    found.sort(key=lambda f: VERDICTS.index(f.verdict))
    return Audit(context, tuple(found), *_pairs(context))


def _pairs(context: Context) -> tuple[tuple[Pair, ...], dict[int, str | None]]:
    """The widest misordered pairs, and the completions of their rows."""
    if context.misorder is None:
        return (), {}
    group = context.evaluation.question.group
    name = text_column(context.rollouts)
    rows = [row for pair in context.misorder.examples for row in pair]
    read = context.rollouts.some(rows, [n for n in (group, name) if n is not None])
    texts = {row: None if name is None else text_of(read[row][name]) for row in rows}
    pairs = []
    for right, wrong in context.misorder.examples:
        sides = (_side(context, row, texts[row]) for row in (right, wrong))
        pairs.append(Pair(None if group is None else _key(read[wrong][group]), *sides))
    return tuple(pairs), texts


def _key(value: Any) -> str:
    return excerpt(text_key(value) if isinstance(value, list | dict) else str(value), 60)


def _side(context: Context, row: int, text: str | None) -> Side:
    at = slice(row, row + 1)
    return Side(
        row,
        float(context.reward.kept[at][0]),
        {c.name: float(c.kept[at][0]) for c in context.parts},
        None if text is None else excerpt(text, _EXCERPT),
    )


def to_json(audit: Audit) -> dict[str, Any]:
    """The audit as plain JSON values; rows count from 0, what does not apply is null."""
    evaluation = audit.context.evaluation
    record = {
        "reward": evaluation.question.text,
        "suite": evaluation.question.suite,
        "rows": evaluation.rows,
        "outcome": evaluation.question.outcome,
        "group": evaluation.question.group,
        "groups": evaluation.groups,
        "ok": audit.ok,
        "findings": [{**asdict(f), "severity": f.severity, "fix": f.fix} for f in audit.findings],
        "pairs": [asdict(pair) for pair in audit.pairs],
        "components": [_component(audit.context, c) for c in evaluation.components],
    }
    plain: dict[str, Any] = finite(record)
    return plain


def _component(context: Context, component: Component) -> dict[str, Any]:
    record: dict[str, Any] = {
        "name": component.name,
        "kind": component.kind,
        **asdict(component.summary),
    }
    for name, other in (("outcome", context.outcome), ("length", context.lengths)):
        relation = None if other is None else relate(component.kept, other)
        record[f"with_{name}"] = None if relation is None else asdict(relation)
    return record
