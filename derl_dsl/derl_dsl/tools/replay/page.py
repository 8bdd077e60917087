"""The page of a replay: curves over the steps, and groups of rollouts to look at.

Every text of a rollout is shown with its control and invisible characters as escapes, and escaped
for HTML; nothing of it is ever a tag, an attribute or a script.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

from derl_dsl.tools.pages.document import document
from derl_dsl.tools.pages.excerpts import excerpt
from derl_dsl.tools.pages.numbers import number
from derl_dsl.tools.replay.charts import chart
from derl_dsl.tools.replay.curves import Curve, Replay, told
from derl_dsl.tools.replay.marks import Mark, pieces
from derl_grammar.records import record
from derl_grammar.visible import visible

Array = NDArray[np.float64]
_LONGEST, _PROMPT = 6_000, 1_500
_COLOURS = 6
_FILTER = (
    "<div class=filter><label>find <input id=find type=search></label>"
    "<label>rollouts <select id=only><option value=''>all<option value=is-right>right"
    "<option value=is-wrong>wrong<option value=above>wrong, paid above a right one</select></label>"
    "<label>step <select id=step><option value=''>all{steps}</select></label>"
    "<small id=told></small></div>"
)


@record
class Rollouts:
    """What the page shows of the chosen groups: (B,) columns of all rollouts by row, the groups as
    rows, the marks of each shown row, and what the marks stand for."""

    prompts: Sequence[str]
    texts: Sequence[str | None]
    steps: Sequence[int]
    rewards: Mapping[str, Array]
    parts: Mapping[str, Array]
    outcome: Array | None
    groups: Sequence[NDArray[np.int64]]
    marks: Mapping[int, Sequence[Mark]]
    marked: Sequence[str]


def page(found: Replay, shown: Rollouts, parts: Sequence[Curve], run: str) -> str:
    """The page; `parts` are the curves of the first reward's parts, `run` names the folder."""
    out = [
        f"<h1>Replay of {_text(run)}</h1>",
        f"<p>{found.rollouts:,} rollouts of {len(found.steps)} steps</p>",
        *[f"<p>{_text(line)}</p>" for line in told(found)],
        f"<h2>Rewards over the steps</h2>{_legend(found)}<div class=cards>",
        *[_card(c, found, found.onset.get(c.name)) for c in found.curves],
        "</div>",
    ]
    if parts:
        out += [f"<h2>Parts of {_text(found.curves[0].name)}</h2><div class=cards>"]
        out += [*[_card(c, found, None) for c in parts], "</div>"]
    out += ["<h2>Rollouts</h2>", _marked(shown), _filter(shown)]
    out += [_group(shown, rows, k == 0) for k, rows in enumerate(shown.groups)]
    out.append("<footer>Written by <code>derl-dsl replay --html</code>.</footer>")
    here = files("derl_dsl.tools.replay")
    style, script = (here.joinpath(f"replay.{kind}").read_text("utf-8") for kind in ("css", "js"))
    return document(f"Replay of {visible(run)}", out, style, script)


def _text(text: str) -> str:
    return escape(visible(text))


def _legend(found: Replay) -> str:
    keys = "<span class='key right'></span>mean reward, in its own scale "
    if found.outcome is not None:
        keys += "<span class='key outcome'></span>share of right answers, from 0 to 1 "
    if any(step is not None for step in found.onset.values()):
        keys += "<span class='key onset'></span>the reward rises and the outcome does not"
    return f"<p class=legend>{keys}</p>"


def _card(curve: Curve, found: Replay, onset: int | None) -> str:
    outcome = None if found.outcome is None else found.outcome.means
    drawn = chart(visible(curve.name), found.steps, curve.means, outcome, onset)
    return f"<figure><figcaption><b>{_text(curve.name)}</b></figcaption>{drawn}</figure>"


def _marked(shown: Rollouts) -> str:
    used = sorted({mark.input for marks in shown.marks.values() for mark in marks})
    keys = "".join(f"<mark class=m{k % _COLOURS}>{_text(shown.marked[k])}</mark>" for k in used)
    return f"<p class=legend>what earned a value is marked: {keys}</p>" if used else ""


def _filter(shown: Rollouts) -> str:
    steps = sorted({shown.steps[int(rows[0])] for rows in shown.groups})
    return _FILTER.format(steps="".join(f"<option value={s}>{s}" for s in steps))


def _group(shown: Rollouts, rows: NDArray[np.int64], opened: bool) -> str:
    first = int(rows[0])
    values = next(iter(shown.rewards.values()))[rows]
    known = values[~np.isnan(values)]
    span = f"{number(known.min())} to {number(known.max())}" if len(known) else "no reward"
    line = " ".join(shown.prompts[first].split())
    step = shown.steps[first]
    above = _above(shown, rows)
    bodies = "".join(_rollout(shown, int(k), int(k) in above) for k in rows)
    return (
        f"<details class=group data-step={step}{' open' if opened else ''}>"
        f"<summary><b>step {step}</b> · {span} · {escape(excerpt(line, 90))}</summary>"
        f"<pre class=prompt>{escape(excerpt(shown.prompts[first], _PROMPT, breaks=True))}</pre>"
        f"<div class=rollouts>{bodies}</div></details>"
    )


def _above(shown: Rollouts, rows: NDArray[np.int64]) -> set[int]:
    """The wrong rollouts of a group that are paid more than a right one of it."""
    if shown.outcome is None:
        return set()
    values = next(iter(shown.rewards.values()))
    right = [float(values[k]) for k in rows if shown.outcome[k] > 0.5 and values[k] == values[k]]
    least = min(right, default=math.inf)
    return {int(k) for k in rows if shown.outcome[k] <= 0.5 and values[k] > least}


def _rollout(shown: Rollouts, row: int, above: bool) -> str:
    kind, word = "rollout", ""
    if shown.outcome is not None and not math.isnan(shown.outcome[row]):
        word = "right" if shown.outcome[row] > 0.5 else "wrong"
        kind += f" is-{word}"
    kind += " above" if above else ""
    word += " · " if word else ""
    paid = " · ".join(f"{_text(n)} <b>{_shown(v[row])}</b>" for n, v in shown.rewards.items())
    text = shown.texts[row]
    body = "<p class=none>no completion</p>" if text is None else _completion(shown, row, text)
    return (
        f'<article class="{kind}"><small>{word}row {row}</small><br>{paid}'
        f"{_bars(shown.parts, row)}{body}</article>"
    )


def _completion(shown: Rollouts, row: int, text: str) -> str:
    cut = text[:_LONGEST]
    out = []
    marks = [m for m in shown.marks.get(row, ()) if m.end <= len(cut)]
    for piece, inputs in pieces(cut, marks):
        inner = escape(visible(piece, breaks=True))
        if inputs:
            title = escape(visible(", ".join(shown.marked[k] for k in inputs)))
            inner = f'<mark class=m{inputs[0] % _COLOURS} title="{title}">{inner}</mark>'
        out.append(inner)
    more = f" … {len(text) - _LONGEST:,} more characters" if len(text) > _LONGEST else ""
    return f"<pre>{''.join(out)}{more}</pre>"


def _bars(parts: Mapping[str, Array], row: int) -> str:
    cells = []
    for name, values in parts.items():
        value = float(values[row])
        known = values[~np.isnan(values)]
        most = float(np.abs(known).max()) if len(known) else 0.0
        share = 100 * abs(value) / most if most > 0 and not math.isnan(value) else 0.0
        cells.append(
            f"<span>{_text(name)}</span><span class=bar><i style='width:{share:.0f}%'></i></span>"
            f"<b>{_shown(value)}</b>"
        )
    return f"<div class=bars>{''.join(cells)}</div>" if cells else ""


def _shown(value: float) -> str:
    return "n/a" if math.isnan(value) else number(float(value))
