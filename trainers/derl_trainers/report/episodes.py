"""Episodes of games, step by step: what was done and seen, and what each step and part earned.

All of it is there without the script, which filters the episodes and puts two side by side.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from derl_dsl.tools.pages.numbers import number
from derl_trainers.report.markup import code, table, text

_MOST = 120  # episodes on a page
_FILTERS = ("reward", "kind", "level", "solved", "phase")


def episodes_section(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """The viewer; nothing for tasks that are not played."""
    if not rows:
        return []
    found = [(row, json.loads(row["episode"])) for row in rows]
    shown = _chosen(found)
    more = f" {len(shown)} of {len(found)} are here." if len(shown) < len(found) else ""
    return [
        "<h2 id=episodes>Episodes</h2>",
        "<p class=note>Some that each reward was trained on, from its last step of training, and "
        f"some that it was scored on, played greedily.{more} Of each step: Step, the score of its "
        "tag or how far the environment's rose; Score, the environment's own after it; Paid, what "
        "a reward with <code>steps</code> gave.</p>",
        _controls(shown),
        "<div class=pair hidden><div class=pane data-side=left></div>"
        "<div class=pane data-side=right></div></div>",
        "<div class=episodes>",
        *(_episode(number_, row, one) for number_, (row, one) in enumerate(shown)),
        "</div>",
    ]


def _chosen(found: list[tuple[Mapping[str, Any], dict[str, Any]]]) -> list[Any]:
    """Some of each run, in turn, where there are too many for a page."""
    if len(found) <= _MOST:
        return found
    stride = len(found) / _MOST
    return [found[int(k * stride)] for k in range(_MOST)]


def _facets(row: Mapping[str, Any], episode: Mapping[str, Any]) -> dict[str, str]:
    solved = (
        "lost" if episode["solved"] is None else "solved" if episode["solved"] else "not solved"
    )
    return {
        "reward": str(row["label"]),
        "kind": episode["kind"] or "-",
        "level": episode["level"] or "training",
        "solved": solved,
        "phase": episode["phase"],
    }


def _controls(shown: Sequence[Any]) -> str:
    facets = [_facets(row, one) for row, one in shown]
    picks = []
    for name in _FILTERS:
        values = sorted({f[name] for f in facets})
        options = "".join(f'<option value="{text(v)}">{text(v)}</option>' for v in values)
        picks.append(
            f"<label>{name} <select name={name}><option value=''>all</option>{options}</select>"
            "</label>"
        )
    return f"<form class=players hidden>{''.join(picks)}<output></output></form>"


def _episode(name: int, row: Mapping[str, Any], episode: Mapping[str, Any]) -> str:
    facets = _facets(row, episode)
    data = " ".join(f'data-{key}="{text(value)}"' for key, value in facets.items())
    reward = episode.get("reward")
    earned = "" if reward is None else f" · reward {number(reward)}"
    said = " · ".join(
        [facets["reward"], facets["kind"], facets["level"], facets["solved"],
         f"{len(episode['actions'])} steps"]
    )  # fmt: skip
    inside = [f"<p class=note>{text(episode['game'])}, seed {row['seed']}"]
    if row["formula"]:
        inside.append(f"<br>{code(row['formula'])}")
    inside.append("</p>")
    if episode["fault"]:
        inside.append(f"<p class=notice>Lost: {text(episode['fault'])}</p>")
    inside += [_parts(episode), f"<p class=said>{text(episode['first'], True)}</p>"]
    inside.append(_steps(episode))
    return (
        f"<details class=episode id=episode-{name} {data}>"
        f"<summary>{text(said)}{earned}</summary>{''.join(inside)}</details>"
    )


def _parts(episode: Mapping[str, Any]) -> str:
    """What the reward read and named, and what it came to."""
    parts = episode.get("parts")
    if not parts:
        return ""
    pieces = [f"{code(k)} <b>{'-' if v is None else number(v)}</b>" for k, v in parts.items()]
    return f"<p class=parts>{' '.join(f'<span>{one}</span>' for one in pieces)}</p>"


def _steps(episode: Mapping[str, Any]) -> str:
    paid = episode.get("step_rewards")
    tagged = any(episode["tags"])
    head = ["##", "Action", "What the game said", "#Step", "#Score"]
    head += ["#Paid"] if paid else []
    rows = []
    for t, action in enumerate(episode["actions"]):
        bad = "" if episode["valid"][t] else " <small>not admissible</small>"
        tag = f"<small>{text(episode['tags'][t] or 'no tag')}</small> " if tagged else ""
        cells = [
            f"<td class=num>{t + 1}",
            f"<td class=act>{tag}{text(action, True)}{bad}",
            f"<td class=said>{text(episode['observations'][t], True)}",
            _number(episode["step_scores"], t),
            _number(episode["scores"], t),
        ]
        rows.append(f"<tr>{''.join(cells)}{_number(paid, t) if paid else ''}</tr>")
    return table("steps", head, rows, sortable=False)


def _number(values: Sequence[float], t: int) -> str:
    return f"<td class=num>{number(values[t]) if t < len(values) else '-'}"
