"""audit: score logged rollouts and ask every rule about them."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from derl_dsl.tools.audit.context import Context, Data, build_context
from derl_dsl.tools.audit.findings import VERDICTS, Finding
from derl_dsl.tools.audit.rules import RULES
from derl_dsl.tools.audit.statistics import relate
from derl_dsl.tools.evaluate.evaluation import Component, Question, finite
from derl_dsl.tools.pages.excerpts import excerpt

_EXCERPT = 300


@dataclass(frozen=True, slots=True)
class Side:
    """One row of a misordered pair; `components` are its inputs and parts by name."""

    row: int
    reward: float
    components: dict[str, float]
    excerpt: str | None


@dataclass(frozen=True, slots=True)
class Pair:
    """A right and a wrong row of one group, of which the wrong one scores higher."""

    group: str | None
    right: Side
    wrong: Side


@dataclass(frozen=True, slots=True)
class Audit:
    """All findings, the worst first, and the widest misordered pairs."""

    context: Context
    findings: tuple[Finding, ...]
    pairs: tuple[Pair, ...]

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
    return Audit(context, tuple(found), _pairs(context, data))


def _pairs(context: Context, data: Data) -> tuple[Pair, ...]:
    if context.misorder is None:
        return ()
    group = context.evaluation.question.group
    return tuple(
        Pair(
            None if group is None else excerpt(str(data[group][wrong]), 60),
            _side(context, right),
            _side(context, wrong),
        )
        for right, wrong in context.misorder.examples
    )


def _side(context: Context, row: int) -> Side:
    text = None if context.texts is None else context.texts[row]
    return Side(
        row,
        float(context.reward.values[row]),
        {c.name: float(c.values[row]) for c in context.parts},
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
        "findings": [{**asdict(f), "severity": f.severity, "mend": f.mend} for f in audit.findings],
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
    for name, other in (("outcome", context.outcome), ("length", context.length)):
        relation = None if other is None else relate(component.values, other)
        record[f"with_{name}"] = None if relation is None else asdict(relation)
    return record
