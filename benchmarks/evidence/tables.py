"""The tables of the evidence, from the Parquet files alone: `make evidence-tables`.

What is compared, and when a comparison is a claim, is in PREREGISTRATION.md.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from html import unescape
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from benchmarks.evidence.collect import RESULTS
from benchmarks.evidence.plan import (
    ARMS,
    CURVE,
    FOUND_TUNED,
    GRID,
    LATER,
    LONG,
    OTHERS,
    SIGNS,
    TUNED,
)
from benchmarks.evidence.screen import section
from benchmarks.evidence.secondary import families, language, racing, signed, transfer, written
from derl_trainers.estimates import holm, interval, over_problems, sign_flip
from derl_trainers.outer.ledger import Paid, area, paid_for
from derl_trainers.runs.store.comparison import BEST, OUTCOME_ONLY
from derl_trainers.runs.store.queries import CONFIRMATION

PAGE = Path(__file__).parent / "TABLES.md"
FIGURES = Path(__file__).parent / "figures"
FEWEST, ALPHA = 8, 0.05
_SOME = 3  # start policies below which another proposer is not reported
Rows = list[dict[str, Any]]
_LONG = f"{OUTCOME_ONLY}, long"
_BEST_PAIR = "outcome + best primitive"
_LONG_AT = [f"{OUTCOME_ONLY}, {times}x" for times in range(1, LONG + 1)]
_LATER = "best formula, grpo, long, tuned"


@dataclass(frozen=True, slots=True)
class Evidence:
    """The rows of one task, of blocks that are complete."""

    task: str
    runs: Rows
    jobs: Rows
    proposals: Rows
    probes: Rows

    def of(self, arm: str, seed: int) -> Rows:
        """The jobs of a block."""
        return [job for job in self.jobs if job["arm"] == arm and job["seed"] == seed]

    def seeds(self, *arms: str) -> list[int]:
        """The start policies of which all these blocks are complete."""
        each = [{r["seed"] for r in self.runs if r["arm"] == arm} for arm in arms]
        return sorted(set.intersection(*each))


def read(results: Path) -> list[Evidence]:
    """What was collected, task by task; blocks that are not complete are left out."""
    if not (results / "runs.parquet").exists():
        return []
    tables: dict[str, Rows] = {
        name: pq.read_table(results / f"{name}.parquet").to_pylist()
        if (results / f"{name}.parquet").exists()
        else []
        for name in ("runs", "jobs", "proposals", "probes")
    }
    done = {(r["task"], r["arm"], r["seed"]) for r in tables["runs"] if r["status"] == "finished"}
    found = []
    for task in sorted({task for task, _, _ in done}):
        rows = {
            name: [r for r in each if r["task"] == task and (task, r["arm"], r["seed"]) in done]
            for name, each in tables.items()
        }
        found.append(Evidence(task, **rows))
    return found


def finals(jobs: Rows, label: str) -> Rows:
    """The test runs of a reward, one a final seed; a copy of an equal reward's is that run."""
    by_id = {job["job"]: job for job in jobs}
    found = [j for j in jobs if j["kind"] == "final" and j["label"] == label and _is_done(j)]
    whole = [by_id[j["same_as_job"]] if j["same_as_job"] else j for j in found]
    return sorted(whole, key=lambda job: job["job_seed"])


def _is_done(job: Mapping[str, Any]) -> bool:
    return job["status"] == "done"


def test(jobs: Rows, label: str) -> float | None:
    """A reward's mean test pass@1 over its final seeds, None where it has none."""
    scores = [job["pass_at_1"] for job in finals(jobs, label)]
    return sum(scores) / len(scores) if scores else None


def at_steps(jobs: Rows, steps: int) -> float | None:
    """The long outcome-only runs at so many steps, their mean."""
    found = [
        point["pass_at_1"]
        for job in finals(jobs, _LONG)
        for point in json.loads(job["curve"] or "[]")
        if point["step"] == steps
    ]
    return sum(found) / len(found) if found else None


def best_pair(jobs: Rows) -> str | None:
    """The outcome + one primitive that is best on validation."""
    scored = [j for j in jobs if j["kind"] == "search" and j["label"].startswith("outcome + ")]
    done = [j for j in scored if _is_done(j)]
    return max(done, key=lambda j: (j["pass_at_1"], -j["job"]))["label"] if done else None


@dataclass(frozen=True, slots=True)
class Headline:
    """A comparison that was named before: two rows, each a block's arm and how to read it."""

    name: str
    ours: str
    theirs: str


HEADLINES = (
    Headline("trained less frozen", "grpo", "frozen"),
    Headline(f"trained less outcome only at {LONG}x, its rate tuned", "grpo", TUNED),
    Headline("trained less outcome + best primitive", "grpo", _BEST_PAIR),
    Headline("frozen and masked less trained", "frozen+masked", "grpo"),
)


def runs_of(evidence: Evidence, row: str, seed: int) -> Rows:
    """The final runs of a row on a start policy; empty where its block is not complete."""
    if row in ARMS:
        return finals(evidence.of(row, seed), BEST)
    jobs = evidence.of(GRID, seed)
    label = best_pair(jobs) if row == _BEST_PAIR else row
    return finals(jobs, label) if label is not None else []


@dataclass(frozen=True, slots=True)
class Compared:
    """A headline comparison as measured: the final runs of both rows by start policy, Holm's p."""

    name: str
    pairs: dict[int, tuple[Rows, Rows]]
    p: float

    @property
    def differences(self) -> list[float]:
        """Ours less theirs, a start policy each."""
        return [_mean(ours) - _mean(theirs) for ours, theirs in self.pairs.values()]

    @property
    def span(self) -> tuple[float, float, float]:
        """The mean difference and the ends of its interval, NaN where there is one pair."""
        differences = self.differences
        if len(differences) < 2:
            return differences[0], math.nan, math.nan
        mean, half = interval(differences, 1 - ALPHA / len(HEADLINES))
        return mean, mean - half, mean + half

    @property
    def said(self) -> str:
        """What the rule of PREREGISTRATION.md makes of it."""
        if not self.pairs:
            return "not run"
        if len(self.pairs) < FEWEST:
            return "too few"
        return "shown" if self.p < ALPHA else "not shown"


def headlines(evidence: Evidence) -> list[Compared]:
    """The headline comparisons, their p-values corrected for their number."""
    seeds = sorted({r["seed"] for r in evidence.runs})
    measured = [
        {
            seed: (ours, theirs)
            for seed in seeds
            if (ours := runs_of(evidence, headline.ours, seed))
            and (theirs := runs_of(evidence, headline.theirs, seed))
        }
        for headline in HEADLINES
    ]
    found = [Compared(h.name, pairs, 1.0) for h, pairs in zip(HEADLINES, measured, strict=True)]
    ps = holm([sign_flip(each.differences) if each.pairs else 1.0 for each in found])
    return [replace(each, p=p) for each, p in zip(found, ps, strict=True)]


def headline_rows(evidence: Evidence) -> list[str]:
    """The headline comparisons; too few pairs are called so."""
    lines = [
        "| comparison | pairs | difference | interval at 1 − .05/4 | given these policies, "
        "over problems | p, Holm | |",
        "|---|---:|---:|---|---|---:|---|",
    ]
    for each in headlines(evidence):
        if not each.pairs:
            lines.append(f"| {each.name} | 0 | | | | | {each.said} |")
            continue
        mean, *ends = each.span
        span = f"{ends[0]:+.3f} to {ends[1]:+.3f}" if len(each.pairs) > 1 else "one pair"
        ours, theirs = (
            [j["right"] for pair in each.pairs.values() for j in pair[k]] for k in (0, 1)
        )
        _, low, high = over_problems(ours, theirs)
        lines.append(
            f"| {each.name} | {len(each.pairs)} | {mean:+.3f} | {span} "
            f"| {low:+.3f} to {high:+.3f} | {each.p:.3f} | {each.said} |"
        )
    return lines


def _mean(jobs: Rows) -> float:
    return float(sum(job["pass_at_1"] for job in jobs) / len(jobs))


def rewards(evidence: Evidence) -> dict[str, dict[int, float]]:
    """Test pass@1 of every row, by start policy."""
    values: dict[str, dict[int, float]] = {}

    def put(name: str, seed: int, value: float | None) -> None:
        if value is not None:
            values.setdefault(name, {})[seed] = value

    for seed in sorted({run["seed"] for run in evidence.runs}):
        grid = evidence.of(GRID, seed)
        for name, steps in zip(_LONG_AT, range(CURVE, CURVE * LONG + 1, CURVE), strict=True):
            put(name, seed, at_steps(grid, steps))
        put(TUNED, seed, test(grid, TUNED))
        for label in dict.fromkeys(j["label"] for j in grid if j["kind"] == "search"):
            put(label, seed, test(grid, label))
        pair = best_pair(grid)
        put(_BEST_PAIR, seed, test(grid, pair) if pair else None)
        for arm in (*ARMS, *OTHERS):
            put(f"best formula, {arm}", seed, test(evidence.of(arm, seed), BEST))
        put(_LATER, seed, test(evidence.of(LATER, seed), FOUND_TUNED))
        # The same runs whichever search they stand in.
        some = next((a for a in ARMS if evidence.of(a, seed)), None)
        for label in ("outcome + format", "mean of primitives"):
            put(label, seed, test(evidence.of(some, seed), label) if some else None)
        put("start policy", seed, test(grid, "start policy, tested"))
    return values


def reward_rows(evidence: Evidence) -> list[str]:
    """Test pass@1 of every row, over start policies."""
    lines = ["| row | start policies | test pass@1 |", "|---|---:|---:|"]
    return lines + [
        f"| {name} | {len(each)} | {plus_minus(list(each.values()))} |"
        for name, each in rewards(evidence).items()
    ]


def later_rows(evidence: Evidence) -> list[str]:
    """What the searched reward is worth where it and the outcome alone have the same steps."""
    rows = rewards(evidence)
    asked = ((_LATER, TUNED), (_LATER, "best formula, grpo"), (TUNED, _LONG_AT[0]))
    return _differences(rows, asked) if _LATER in rows else []


def other_rows(evidence: Evidence) -> list[str]:
    """What other proposers' best formulas are worth beside those of the model, at equal cost."""
    asked = [
        (f"best formula, {ours}", f"best formula, {theirs}")
        for ours in OTHERS
        for theirs in ("frozen", "grpo")
    ]
    return _differences(rewards(evidence), asked, _SOME)


def _differences(
    rows: Mapping[str, Mapping[int, float]], asked: Iterable[tuple[str, str]], fewest: int = 1
) -> list[str]:
    """Rows less others, paired by start policy, where enough of these have both."""
    lines = ["| | start policies | difference of test pass@1 |", "|---|---:|---:|"]
    for ours, theirs in asked:
        one, other = rows.get(ours, {}), rows.get(theirs, {})
        pairs = [one[seed] - other[seed] for seed in sorted(set(one) & set(other))]
        if len(pairs) >= fewest:
            lines.append(f"| {ours} less {theirs} | {len(pairs)} | {signed(pairs)} |")
    return lines if len(lines) > 2 else []


def plus_minus(values: Sequence[float]) -> str:
    """Mean and half of the 95 % interval, as the tables have it."""
    if len(values) < 2:
        return f"{values[0]:.3f}"
    mean, half = interval(values)
    return f"{mean:.3f} ± {half:.3f}"


def paid(jobs: Rows) -> list[Paid]:
    """The ledger of a search, as `outer/ledger.py` reads it off a store."""
    start = [j["pass_at_1"] for j in jobs if j["kind"] == "start" and _is_done(j)]
    found = [Paid(0, 0, 0.0, start[0] if start else 0.0)]
    for job in jobs:
        if job["kind"] in ("baseline", "search") and job["status"] in ("done", "failed"):
            at, counts = found[-1], _is_done(job) and job["label"] != CONFIRMATION
            found.append(
                Paid(
                    at.runs + 1,
                    at.tokens + (job["tokens"] or 0),
                    at.seconds + (job["seconds"] or 0.0),
                    max(at.best, job["pass_at_1"]) if counts else at.best,
                    at.broken + (not _is_done(job)),
                )
            )
    return found


def cost_rows(evidence: Evidence) -> list[str]:
    """What each search cost, the best score on the way, and what it paid to lead its baselines."""
    ledgers = {
        arm: {seed: paid(evidence.of(arm, seed)) for seed in evidence.seeds(arm)}
        for arm in (*ARMS, *OTHERS)
    }
    every = [points for each in ledgers.values() for points in each.values()]
    if not every:
        return ["No search is complete."]
    runs = min(len(points) - 1 for points in every)
    lines = [
        f"| search | start policies | inner runs | tokens, million | seconds | area over {runs} "
        "runs | formulas valid | leads its baselines by .05 | after runs |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for arm, each in ledgers.items():
        if not each:
            continue
        ends = [points[-1] for points in each.values()]
        led = [
            found
            for seed, points in each.items()
            if (found := paid_for(points, _yard(evidence.of(arm, seed)) + 0.05)) is not None
        ]
        tried = [p for p in evidence.proposals if p["arm"] == arm]
        valid = sum(p["status"] != "failed" for p in tried) / len(tried)
        lines.append(
            f"| {arm} | {len(each)} | {_average(ends, lambda p: p.runs):.0f} "
            f"| {_average(ends, lambda p: p.tokens) / 1e6:.2f} "
            f"| {_average(ends, lambda p: p.seconds):,.0f} "
            f"| {plus_minus([area(points, runs) for points in each.values()])} | {valid:.0%} "
            f"| {len(led)} of {len(each)} "
            f"| {', '.join(str(p.runs) for p in led) or '-'} |"
        )
    return lines


def _average(points: Sequence[Paid], of: Callable[[Paid], float]) -> float:
    return sum(map(of, points)) / len(points)


def _yard(jobs: Rows) -> float:
    scores = [j["pass_at_1"] for j in jobs if j["kind"] == "baseline" and _is_done(j)]
    return max(scores, default=0.0)


def sign_rows(evidence: Evidence) -> list[str]:
    """All sign vectors of a start policy, and what each search falls short of the best of them."""
    lines: list[str] = []
    for seed in evidence.seeds(SIGNS):
        jobs = [j for j in evidence.of(SIGNS, seed) if j["kind"] == "search" and _is_done(j)]
        ranked = sorted(jobs, key=lambda j: -j["pass_at_1"])
        outcome = next((j["pass_at_1"] for j in jobs if j["formula"] == "g1"), None)
        better = [j for j in jobs if outcome is not None and j["pass_at_1"] > outcome + 0.05]
        best = ", ".join(f"`{j['formula']}` {j['pass_at_1']:.3f}" for j in ranked[:5])
        lines += [
            f"Start policy {seed}: {len(jobs)} sign vectors, the best {best}; "
            f"{len(better) / len(jobs):.0%} are more than .05 above the outcome alone.",
            "",
            "| search | its best formula on validation | less the best sign vector |",
            "|---|---:|---:|",
        ]
        for arm in (*ARMS, *OTHERS):
            scores = [
                j["pass_at_1"]
                for j in evidence.of(arm, seed)
                if j["kind"] == "search" and j["label"] != CONFIRMATION and _is_done(j)
            ]
            if scores:
                regret = max(scores) - ranked[0]["pass_at_1"]
                lines.append(f"| {arm} | {max(scores):.3f} | {regret:+.3f} |")
        lines.append("")
    return lines


def picture(figures: Path, task: str, name: str) -> list[str]:
    """A figure that `figures.py` drew, with what it says of itself; nothing where there is none."""
    path = figures / f"{task}-{name}.svg"
    said = re.search('aria-label="(.*?)"', path.read_text("utf-8")) if path.exists() else None
    return [f"![{unescape(said[1])}]({figures.name}/{path.name})", ""] if said else []


def page(results: Path, figures: Path = FIGURES) -> str:
    """All tables, as Markdown."""
    found = read(results)
    lines = [
        "# Tables of the evidence",
        "",
        "Written by `make evidence-tables` from `benchmarks/results/evidence/*.parquet`; what is",
        "asked, and what counts as shown, is in [PREREGISTRATION.md](PREREGISTRATION.md).",
        "",
    ]
    if not found:
        lines += ["No block is complete: nothing has been shown, either way.", ""]
    for evidence in found:
        versions = {
            name: version
            for name, version in json.loads(evidence.runs[-1]["versions"]).items()
            if not name.startswith("[")  # sections of settings that are compared on resuming
        }
        blocks = len(evidence.runs)
        later = later_rows(evidence)
        if later:
            later = [f"**With the same {LONG}x steps**, 95 % t-intervals", "", *later, ""]
        others = other_rows(evidence)
        if others:
            later += ["**Other proposers**, 95 % t-intervals", "", *others, ""]
        lines += [
            f"## {evidence.task}",
            "",
            f"Blocks complete: {blocks}, of start policies "
            f"{', '.join(map(str, sorted({r['seed'] for r in evidence.runs})))}; "
            f"{', '.join(f'{name} {version}' for name, version in versions.items())}.",
            "",
            "**Headline comparisons**",
            "",
            *headline_rows(evidence),
            "",
            *picture(figures, evidence.task, "headlines"),
            "**Rewards**, 95 % t-intervals over start policies",
            "",
            *reward_rows(evidence),
            "",
            *picture(figures, evidence.task, "rewards"),
            *later,
            "**Cost of a search** (served scores charged in full)",
            "",
            *cost_rows(evidence),
            "",
            *picture(figures, evidence.task, "runs"),
            *picture(figures, evidence.task, "tokens"),
            "**What is written**: mean validation score of valid formulas, 95 % t-intervals",
            "",
            *written(
                evidence.task,
                evidence.proposals,
                {(r["arm"], r["seed"]) for r in evidence.runs},
                lambda arm, seed, own=evidence: _mean(runs_of(own, arm, seed)),
            ),
            "",
        ]
        signs = sign_rows(evidence)
        lines += (
            ["**Ceiling**: every weight in −1, 0, 1, by validation", "", *signs] if signs else []
        )
    told = language(results)
    lines += [*told, *(picture(figures, "gsm8k", "rises") if told else [])]
    lines += [*transfer(results), *racing(results), *families(results), *section(results)]
    return "\n".join(lines)


def main() -> None:
    """Write the page."""
    PAGE.write_text(page(RESULTS), "utf-8")
    print(PAGE)


if __name__ == "__main__":
    main()
