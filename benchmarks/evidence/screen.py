"""The section on tries of TABLES.md: what training hears, and what tries came to on surrogates."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from benchmarks.evidence.landscape import Landscape, position
from benchmarks.evidence.plan import ARMS
from benchmarks.evidence.surrogate import PLAIN, confirmed
from benchmarks.evidence.tries import FILE, FREE, MASKED, STARTS, TRIES, landscapes
from derl_trainers.estimates import interval
from derl_trainers.outer.cold_start import cold_start_formulas

Rows = Sequence[Mapping[str, Any]]
_RANDOM, _SAMPLES = 1500, 200  # formulas, and how often so many of them are drawn
_THIRD = 3  # first and last steps of a search are its first and last third

_SAID = """\
A screen, and no evidence about real runs: the outer loop is real, inner runs are answered by a
surrogate of each start policy, made of what was really trained on it (`landscape.py`,
`surrogate.py`, `tries.py`). It says which settings are worth real runs."""


def _pm(values: Sequence[float], sign: str = "") -> str:
    """Mean and 95 % interval."""
    if len(values) < 2:
        return f"{values[0]:{sign}.3f}" if values else "-"
    mean, half = interval(values)
    return f"{mean:{sign}.3f} ± {half:.3f}"


def advantage_rows(proposals: Rows, starts: Iterable[int]) -> list[str]:
    """What the spread of a group's meta-rewards is made of, in the real searches."""
    lines = [
        "| search | valid, step 1 and 5 | spread among valid formulas | valid ones with a positive "
        "advantage | score of valid formulas, step 1 and 5 |",
        "|---|---:|---:|---:|---:|",
    ]
    known = set(starts)
    for arm in ARMS:
        mine = [p for p in proposals if p["arm"] == arm and p["start"] in known]
        groups = [
            list(group)
            for (_, step), group in groupby(mine, key=lambda p: (p["start"], p["step"]))
            if step
        ]
        if not groups:
            continue
        shares, above = zip(*filter(None, map(_heard, groups)), strict=True)
        last = max(p["step"] for p in mine)
        ends = [[p for p in mine if p["step"] == step] for step in (1, last)]
        valid = [fmean(p["key"] is not None for p in end) for end in ends]
        scores = [fmean(_scores(end)) for end in ends]
        lines.append(
            f"| {arm} | {valid[0]:.0%}, {valid[1]:.0%} | {fmean(shares):.1%} | {fmean(above):.0%} "
            f"| {scores[0]:.3f}, {scores[1]:.3f} |"
        )
    return lines


def _scores(group: Rows) -> list[float]:
    return [p["meta_reward"] for p in group if p["key"] and p["meta_reward"] is not None]


def _heard(group: Rows) -> tuple[float, float] | None:
    """Of a group: the share of squared spread among valid formulas, and of these above its mean."""
    rewards = np.array([p["meta_reward"] for p in group if p["meta_reward"] is not None])
    valid = np.array(_scores(group))
    if not len(valid) or not rewards.var():
        return None
    share = valid.var() * len(valid) / (rewards.var() * len(rewards))
    return float(share), float((valid > rewards.mean()).mean())


def quality_rows(grounds: Iterable[Landscape]) -> list[str]:
    """How well the surrogates tell scores they have not seen."""
    lines = ["| start policy | rewards | R² | rank correlation | error, rms | noise |",
             "|---|---:|---:|---:|---:|---:|"]  # fmt: skip
    every = [(ground.start, ground.quality) for ground in grounds]
    for start, found in every:
        lines.append(
            f"| {start} | {found['points']:.0f} | {found['r2']:.2f} | {found['rank']:.2f} "
            f"| {found['rms']:.3f} | {found['noise']:.3f} |"
        )
    names = ("r2", "rank", "rms", "noise")
    means = {name: fmean(found[name] for _, found in every) for name in names}
    lines.append(
        f"| mean | | {means['r2']:.2f} | {means['rank']:.2f} | {means['rms']:.3f} "
        f"| {means['noise']:.3f} |"
    )
    return lines


def chance_rows(grounds: Iterable[Landscape]) -> list[str]:
    """What random formulas come to: there is the more to learn, the less chance finds."""
    lines = [
        "| start policy | random formula | chosen of 24 | best of 24 | chosen of 120 | best of 120 "
        "| ceiling | random formulas within .02, .05, .10 of it |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    formulas = {position(f): f for f in cold_start_formulas("derl-math", _RANDOM, 0)}
    found = []
    for ground in grounds:
        values = ground.values(list(formulas))
        top = float(max(values.max(), ground.values(ground.points.positions).max()))
        told = [ground.draw(formula, ground.start) for formula in formulas.values()]
        rng, texts = np.random.default_rng(ground.start), list(formulas.values())
        cells = [float(values.mean())]
        for count in (24, 120):
            draws = [rng.choice(len(texts), count, replace=False) for _ in range(_SAMPLES)]
            chosen = [
                confirmed({texts[i]: told[i] for i in draw}, ground, PLAIN, ground.start, 3)
                for draw in draws
            ]
            cells += [fmean(filter(None, chosen)), fmean(values[draw].max() for draw in draws)]
        cells.append(top)
        near = [float((values >= top - gap).mean()) for gap in (0.02, 0.05, 0.1)]
        found.append((cells, near))
        lines.append(_chance_row(str(ground.start), cells, near))
    means = [
        [fmean(column) for column in zip(*part, strict=True)] for part in zip(*found, strict=True)
    ]
    return [*lines, _chance_row("mean", *means)]


def _chance_row(name: str, cells: Sequence[float], near: Sequence[float]) -> str:
    shares = ", ".join(f"{share:.1%}" for share in near)
    return f"| {name} | {' | '.join(f'{cell:.3f}' for cell in cells)} | {shares} |"


def chosen(curve: Rows, of: str, most: float) -> float:
    """What a search would choose after at most so many `runs` or `proposals`; 0 before any."""
    found = [p["chosen"] for p in curve if p[of] <= most and p["chosen"] is not None]
    return float(found[-1]) if found else 0.0


def try_rows(tried: Rows) -> list[str]:
    """What each try came to, beside the model never trained with the same decoding."""
    curves = {(r["name"], r["start"], r["repeat"]): json.loads(r["curve"]) for r in tried}
    lines = [
        "| try | start policies | inner runs | chosen, without noise "
        "| less frozen at as many inner runs | at as many proposals "
        "| score of proposals, first and last third | valid | "
        "distinct of a group | spread among valid | noise of it |",
        "|---|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for one in TRIES:
        mine = [row for row in tried if row["name"] == one.name]
        if not mine:
            continue
        frozen = MASKED if "masked" in one.arm else FREE
        less: dict[str, list[float]] = {"runs": [], "proposals": []}
        for row in mine:
            theirs = curves.get((frozen, row["start"], row["repeat"]))
            for of, values in less.items() if theirs and one.name != frozen else ():
                ours = chosen(json.loads(row["curve"]), of, np.inf)
                values.append(ours - chosen(theirs, of, row[of]))
        every = [json.loads(row["steps"]) for row in mine]
        lines.append(
            f"| {one.name} | {', '.join(str(row['start']) for row in mine)} "
            f"| {fmean(row['runs'] for row in mine):.0f} "
            f"| {fmean(row['value'] for row in mine):.3f} "
            f"| {_pm(less['runs'], '+')} | {_pm(less['proposals'], '+')} "
            f"| {_ends(every, 'value', '.3f')} | {_ends(every, 'valid', '.0%')} "
            f"| {_ends(every, 'distinct', '.1f')} | {_mean(every, 'among'):.1%} "
            f"| {_mean(every, 'noise'):.0%} |"
        )
    return lines


def _ends(every: Sequence[Rows], of: str, form: str) -> str:
    parts: list[Callable[[Rows], Rows]] = [
        lambda steps: steps[: max(1, len(steps) // _THIRD)],
        lambda steps: steps[-max(1, len(steps) // _THIRD) :],
    ]
    return ", ".join(f"{_mean([part(steps) for steps in every], of):{form}}" for part in parts)


def _mean(every: Sequence[Rows], of: str) -> float:
    found = [s[of] for steps in every for s in steps if s[of] is not None]
    return fmean(found) if found else float("nan")


def section(results: Path) -> list[str]:
    """The lines of the section; empty where nothing was tried."""
    if not (results / FILE).exists():
        return []
    tried = pq.read_table(results / FILE).to_pylist()
    every = pq.read_table(results / "proposals.parquet").to_pylist()
    proposals = [{**p, "start": p["seed"]} for p in every if p["task"] == "arithmetic"]
    grounds = landscapes(results, STARTS)
    return [
        "## Tries on a surrogate",
        "",
        _SAID,
        "",
        "**The surrogates**: each measured score told without its own reward (leave one out)",
        "",
        *quality_rows(grounds.values()),
        "",
        "**What chance finds on them**: random formulas of the cold start's grammar, chosen by one",
        "noisy score each and confirmed; and the best of them without noise",
        "",
        *chance_rows(grounds.values()),
        "",
        f"**What the real searches heard**, start policies {STARTS[0]} to {STARTS[-1]}",
        "",
        *advantage_rows(proposals, STARTS),
        "",
        "**Tries**, 95 % t-intervals over searches, paired by start policy and seed. Those with",
        "high ceilings were taken first: figures are of these. Frozen models wrote groups of 64.",
        "",
        *try_rows(tried),
        "",
    ]
