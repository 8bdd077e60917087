"""The figures of the evidence, from the Parquet files alone: `make evidence-tables`.

Each is drawn from a list of rows (`drawing.py`) that `tables.py` measured, and says its figures in
words. What rewards are chosen by (validation) and judged by (test) never share an axis: against
cost stands validation alone, that of the outcome from the long runs which its rate is tuned with.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

from benchmarks.evidence import tables
from benchmarks.evidence.collect import RESULTS
from benchmarks.evidence.drawing import (
    BLUE,
    GREEN,
    GREY,
    OCHRE,
    RED,
    VIOLET,
    Curve,
    Dots,
    Panel,
    Step,
    dots,
    panels,
)
from benchmarks.evidence.plan import ARMS, GRID, LONG, RATES, TRIED
from benchmarks.evidence.secondary import MEASURES, Rise, risen
from benchmarks.evidence.tables import FIGURES, Compared, Evidence
from derl_trainers.estimates import interval
from derl_trainers.outer.ledger import Paid

Cost = Callable[[Paid], float]
Ledgers = Mapping[int, Sequence[Paid]]
# A row's group is the first whose beginning its name has.
GROUPS = (
    ("outcome only", "outcome only", BLUE),
    ("outcome + format", "baselines of meta-train", OCHRE),
    ("mean of primitives", "baselines of meta-train", OCHRE),
    ("outcome + ", "outcome + primitive", GREEN),
    ("best formula", "best formula of a search", RED),
    ("start policy", "start policy", GREY),
    ("", "other", VIOLET),
)
ALONE = f"outcome only, {LONG}x, best of {len(RATES)} rates"
PANELS = (
    ("Free decoding", {"grpo": ("trained", RED), "frozen": ("frozen", BLUE)}),
    ("Under masks", {"grpo+masked": ("trained", RED), "frozen+masked": ("frozen", BLUE)}),
)
COSTS: tuple[tuple[str, str, Cost], ...] = (
    ("runs", "inner runs paid", lambda paid: paid.runs),
    ("tokens", "tokens paid, million", lambda paid: paid.tokens / 1e6),
)


def forest(compared: Sequence[Compared]) -> str:
    """The differences of comparisons that have pairs, by start policy, on both sides of zero."""
    rows = []
    for one in compared:
        if one.pairs:
            told = [f"start policy {seed}" for seed in one.pairs]
            each = list(zip(told, one.differences, strict=True))
            said = f"{_signed(*one.span)}, {len(one.pairs)} pairs, {one.said}"
            rows.append(Dots(one.name, said, each, *one.span))
    said = "Differences of test pass@1 paired by start policy, mean and interval at 1 − .05/4: "
    axis = "difference of test pass@1, a dot a start policy"
    return dots(said + "; ".join(f"{r.name} {r.said}" for r in rows), rows, axis)


def _signed(mean: float, low: float, high: float) -> str:
    span = "" if math.isnan(low) else f" ({low:+.3f} to {high:+.3f})"
    return f"{mean:+.3f}{span}".replace("-", "−")


def scores(rewards: Mapping[str, Mapping[int, float]]) -> str:
    """Test pass@1 of rows by start policy, in the rows' order, a colour a group."""
    rows, keys = [], {}
    for name, each in rewards.items():
        values = list(each.values())
        group, tint = next((g, tint) for begins, g, tint in GROUPS if name.startswith(begins))
        keys[group] = tint
        mean, low, high = _mean(values)
        told = [(f"start policy {seed}", value) for seed, value in each.items()]
        said = f"{tables.plus_minus(values)}, n = {len(values)}"
        rows.append(Dots(name, said, told, mean, low, high, tint))
    said = "Test pass@1 of every row, a dot a start policy, with mean and 95 % interval: "
    axis = "test pass@1, a dot a start policy"
    return dots(said + "; ".join(f"{r.name} {r.said}" for r in rows), rows, axis, [*keys.items()])


def _mean(values: Sequence[float]) -> tuple[float, float, float]:
    if len(values) < 2:
        return values[0], math.nan, math.nan
    mean, half = interval(values)
    return mean, mean - half, mean + half


def curve(name: str, tint: str, ledgers: Ledgers, cost: Cost) -> Curve:
    """The mean best score so far of several searches; one that ended keeps its last."""
    each = [[(cost(paid), paid.best) for paid in ledger] for ledger in ledgers.values()]
    ends = [points[-1][0] for points in each]
    rises = {at for points in each for (_, before), (at, best) in pairwise(points) if best > before}
    steps = [
        Step(at, *_mean([max(best for paid, best in points if paid <= at) for points in each]))
        for at in sorted(rises | {0.0})
    ]
    return Curve(name, tint, steps, min(ends), max(ends))


def alone(jobs: tables.Rows) -> list[Paid]:
    """The ledger of the outcome alone: a validated run at each rate, of LONG inner runs' cost."""
    tried = [j for j in jobs if j["kind"] == "start" or j["label"].startswith(TRIED)]
    return [replace(paid, runs=LONG * paid.runs) for paid in tables.paid(tried)]


def searched(evidence: Evidence, of: str, cost: Cost) -> str | None:
    """Best validation score so far against a cost, over the start policies that all curves have."""
    complete = [arm for arm in (GRID, *ARMS) if evidence.seeds(arm)]
    seeds = evidence.seeds(*complete) if complete else []
    if not seeds:
        return None
    shown = []
    for title, named in PANELS:
        curves = [
            curve(name, tint, {s: tables.paid(evidence.of(arm, s)) for s in seeds}, cost)
            for arm, (name, tint) in named.items()
            if arm in complete
        ]
        if curves and GRID in complete:
            long = {s: alone(evidence.of(GRID, s)) for s in seeds}
            curves.append(curve(ALONE, GREEN, long, cost))
        shown += [Panel(title, curves)] if curves else []
    if not shown:
        return None
    ends = "; ".join(
        f"{panel.title.lower()}, {c.name} {c.steps[-1].mean:.3f} at {c.last:.3g}"
        for panel in shown
        for c in panel.curves
    )
    said = (
        f"Best validation score so far against {of}, mean over {len(seeds)} start policies with a "
        f"95 % band, dotted from where the first of them ended. In the end: {ends}"
    )
    up = f"best validation pass@1 so far, {len(seeds)} start policies, 95 % band"
    return panels(said, shown, up, of)


def learnt(each: Sequence[Rise]) -> str:
    """What rewards did to a language model's pass@1, a dot a run."""
    rows = []
    for of in each:
        span = (of.mean, of.mean - of.half, of.mean + of.half)
        said = f"{_signed(*span)}, n = {len(of.each)}, at {of.level * 100:g} %"
        told = [(f"seed {seed}", value) for seed, value in of.each.items()]
        tint = RED if of.measure == MEASURES[0] else BLUE
        rows.append(Dots(f"{of.reward}, {of.measure}", said, told, *span, tint))
    said = "Difference to the taught policy's test pass@1 on GSM8K, mean and interval over runs: "
    axis = "test pass@1, less the taught policy's, a dot a run"
    return dots(said + "; ".join(f"{r.name} {r.said}" for r in rows), rows, axis)


def draw(found: Sequence[Evidence], learned: Sequence[Rise] = ()) -> Iterator[tuple[str, str]]:
    """Names of files and what is in them, for every task."""
    for evidence in found:
        compared = tables.headlines(evidence)
        if any(each.pairs for each in compared):
            yield f"{evidence.task}-headlines.svg", forest(compared)
        if rewards := tables.rewards(evidence):
            yield f"{evidence.task}-rewards.svg", scores(rewards)
        for name, of, cost in COSTS:
            if drawn := searched(evidence, of, cost):
                yield f"{evidence.task}-{name}.svg", drawn
    if learned:
        yield "gsm8k-rises.svg", learnt(learned)


def main() -> None:
    """Write the figures, and take away those that nothing draws any more."""
    FIGURES.mkdir(exist_ok=True)
    drawn = dict(draw(tables.read(RESULTS), risen(RESULTS)))
    for path in FIGURES.glob("*.svg"):
        if path.name not in drawn:
            path.unlink()
    for name, text in drawn.items():
        (FIGURES / name).write_text(text, "utf-8")
        print(FIGURES / name)


if __name__ == "__main__":
    main()
