"""An audit as one self-contained HTML page: no script, nothing fetched, every text escaped."""

from __future__ import annotations

from html import escape

from derl_dsl.tools.audit.findings import Finding
from derl_dsl.tools.audit.plots import drawn, histogram, scatter
from derl_dsl.tools.audit.run import Audit, Pair, Side
from derl_dsl.tools.audit.statistics import Array, relate
from derl_dsl.tools.audit.text import heading, tally
from derl_dsl.tools.evaluate.evaluation import Component
from derl_dsl.tools.evaluate.kept import Kept
from derl_dsl.tools.pages.document import document
from derl_dsl.tools.pages.excerpts import excerpt
from derl_dsl.tools.pages.numbers import number, share, signed
from derl_grammar.visible import visible

_EXCERPT = 1200


def page(audit: Audit, reward: str, data: str) -> str:
    """The page of an audit; `reward` and `data` name the files."""
    program = visible(audit.context.evaluation.question.text.rstrip(), breaks=True)
    parts = [
        f"<h1>Audit of {_text(reward)}</h1>",
        f"<p>{_text(heading(audit, data))}</p>",
        f"<pre class=program>{escape(program)}</pre>",
        f"<h2>Findings: {_text(tally(audit))}</h2>",
        _findings(audit.findings),
        *_components(audit),
        *_length(audit),
        *_pairs(audit),
        "<footer>Rows count from 0. Written by <code>derl-dsl audit</code>.</footer>",
    ]
    return document(f"Audit of {visible(reward)}", parts)


def _text(text: str) -> str:
    return escape(visible(text))


def _findings(findings: tuple[Finding, ...]) -> str:
    rows = []
    for f in findings:
        details = f"<p>{_text(f.message)}</p>"
        if f.rows:
            more = f" and {f.count - len(f.rows):,} more" if f.count > len(f.rows) else ""
            details += f"<p class=rows>rows {', '.join(map(str, f.rows))}{more}</p>"
        if f.verdict != "ok":
            details += f"<p class=fix>Fix: {_text(f.fix)}.</p>"
        rows.append(
            f"<tr class={f.verdict}><td><span class=badge>{f.verdict}</span></td>"
            f"<td><b>{_text(f.title)}</b><br><small>{f.code} · {_text(f.subject)}</small></td>"
            f"<td class=figure>{_text(f.shown)}<small>{_text(f.limit)}</small></td>"
            f"<td>{details}</td></tr>"
        )
    head = "<tr><th>Verdict<th>Finding<th class=figure>Figure, limit<th>What was found</tr>"
    return f"<div class=wide><table class=findings>{head}{''.join(rows)}</table></div>"


def _pairs(audit: Audit) -> list[str]:
    if not audit.pairs:
        return []
    out = ["<h2>Wrong above right: the widest gaps</h2>"]
    return [*out, *(_pair(audit, pair) for pair in audit.pairs)]


def _pair(audit: Audit, pair: Pair) -> str:
    group = "" if pair.group is None else f"group {_text(pair.group)}: "
    gap = number(pair.wrong.reward - pair.right.reward)
    return (
        f"<section class=pair><h3>{group}{gap} more for being wrong</h3><div class=sides>"
        f"{_side(audit, 'wrong', pair.wrong)}{_side(audit, 'right', pair.right)}</div></section>"
    )


def _side(audit: Audit, kind: str, side: Side) -> str:
    values = ", ".join(f"{_text(k)} = {number(v)}" for k, v in side.components.items())
    text = audit.texts.get(side.row)
    shown = "" if text is None else f"<pre>{escape(excerpt(text, _EXCERPT, breaks=True))}</pre>"
    return (
        f"<div class=side><p><span class='key {kind}'></span>{kind}, row {side.row}: "
        f"<b>{number(side.reward)}</b><br><small>{values}</small></p>{shown}</div>"
    )


def _components(audit: Audit) -> list[str]:
    cards = "".join(_card(audit, c) for c in reversed(audit.context.evaluation.components))
    return [f"<h2>Components</h2>{_legend(audit)}<div class=cards>{cards}</div>"]


def _whole(column: Kept | None) -> Array | None:
    return None if column is None else column.whole()


def _legend(audit: Audit) -> str:
    if audit.context.outcome is None:
        return ""
    keys = "".join(f"<span class='key {k}'></span>{k} " for k in ("right", "wrong"))
    return f"<p class=legend>{keys}· bars are shares of the right, and of the wrong, rows</p>"


def _card(audit: Audit, component: Component) -> str:
    s, outcome = component.summary, audit.context.outcome
    facts = []
    if s.mean is not None:
        facts.append(f"mean {number(s.mean)}")
    if outcome is not None:
        relation = relate(component.kept, outcome)
        facts.append(f"rho with outcome {signed(relation.spearman)}")
    if s.zero_variance_groups is not None:
        facts.append(f"flat groups {share(s.zero_variance_groups)}")
    if s.not_applicable:
        facts.append(f"n/a {share(s.not_applicable)}")
    plot = histogram(visible(component.name), component.values, _whole(outcome))
    return (
        f"<figure><figcaption><b>{_text(component.name)}</b><br><small>{' · '.join(facts)}"
        f"</small></figcaption>{plot}</figure>"
    )


def _length(audit: Audit) -> list[str]:
    context = audit.context
    if context.lengths is None:
        return []
    columns = (context.lengths.whole(), context.reward.values, _whole(context.outcome))
    plot = scatter(*columns, context.length_unit)
    return [f"<h2>Reward over length</h2>{_legend_of_dots(audit)}<div class=scatter>{plot}</div>"]


def _legend_of_dots(audit: Audit) -> str:
    context = audit.context
    assert context.lengths is not None
    both, shown = drawn(context.lengths.whole(), context.reward.values)
    told = "one dot a row"
    if len(shown) < len(both):
        told = f"{len(shown):,} of {len(both):,} rows, evenly picked: one dot each"
    kinds = () if context.outcome is None else ("right", "wrong")
    keys = "".join(f"<span class='key {k}'></span>{k} " for k in kinds)
    return f"<p class=legend>{keys}{'· ' if kinds else ''}{told}</p>"
