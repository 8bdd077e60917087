"""The page of a comparison: what each proposer's searches came to, and how they went."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from importlib.resources import files
from pathlib import Path

import derl_dsl
from derl_dsl.tools.pages.document import document
from derl_trainers.outer.compare import (
    Estimate,
    Outcome,
    against,
    baseline_labels,
    by_proposer,
    estimate,
    late,
    paired,
)
from derl_trainers.report.markup import cell, code, fold, legend, seconds, table, text
from derl_trainers.report.plots import Series, curves, ruler, whisker
from derl_trainers.runs.store.comparison import BEST, OUTCOME_ONLY

_MEAN = "mean of primitives"


def searches_page(
    name: str, outcomes: Sequence[Outcome], reports: dict[tuple[str, int], str]
) -> str:
    """A comparison as one self-contained HTML page; `reports` link to its searches' pages."""
    folder = files("derl_trainers.report")
    groups = by_proposer(outcomes)
    runs = sum(o.trained for o in outcomes)
    saved = sum(o.reused for o in outcomes)
    said = (
        f"{', '.join(groups)} · {max(map(len, groups.values()))} searches each · {runs} inner runs "
        f"for formulas, {saved} formulas served by an equal one"
    )
    parts = [
        f"<h1>Proposers compared: {text(name)}</h1>",
        f"<p class=sub>{text(said)}</p>",
        *_tests(outcomes, groups),
        *_curves(groups),
        *_learnt(groups),
        *_searches(outcomes, reports),
        f"<footer>derl-dsl {derl_dsl.__version__}. Written by <code>derl-dsl report</code> on "
        f"{time.strftime('%Y-%m-%d %H:%M')} from <code>compare.json</code>.</footer>",
    ]
    style = folder.joinpath("report.css").read_text("utf-8")
    script = folder.joinpath("report.js").read_text("utf-8")
    return document(f"Proposers compared: {name}", parts, style, script)


def links(folder: Path, outcomes: Sequence[Outcome]) -> dict[tuple[str, int], str]:
    """The pages of the searches that have one, as links from the comparison's folder."""
    names = {(o.proposer, o.seed): f"{o.proposer}-{o.seed}/report.html" for o in outcomes}
    return {which: link for which, link in names.items() if (folder / link).exists()}


def _tests(outcomes: Sequence[Outcome], groups: dict[str, list[Outcome]]) -> list[str]:
    """The best formulas and the baselines on the test problems, a ring for each search."""
    found: list[tuple[str, list[float], list[Outcome]]] = []
    for proposer, group in groups.items():
        scored = [o for o in group if BEST in o.test]
        if scored:
            found.append((proposer, [o.test[BEST] for o in scored], scored))
    for label in baseline_labels(outcomes):
        # The same runs whichever proposer's search they stand in.
        by_seed = {o.seed: o.test[label] for o in outcomes if label in o.test}
        found.append((label, list(by_seed.values()), []))
    out = ["<h2 id=comparison>On the test problems</h2>"]
    if not found:
        return [*out, "<p class=none>No search came to a final comparison.</p>"]
    out.append(
        "<p class=note>Each search chooses its best formula by validation alone; the formula "
        "trains fresh policies on several seeds, whose mean is the search's figure. Squares are "
        "means over searches with 95 % t-intervals, rings the searches; differences are paired by "
        "search.</p>"
    )
    estimates = [estimate(each) for _, each, _ in found]
    ends = [v for _, each, _ in found for v in each]
    ends += [e.mean + sign * (e.half or 0) for e in estimates for sign in (-1, 1)]
    low, high = max(0.0, min(ends)), min(1.0, max(ends))
    scale = (int(low * 10) / 10, min(1.0, int(high * 10 + 1) / 10))
    versus = {"Against outcome only": OUTCOME_ONLY, "Against the mean": _MEAN}
    rows = []
    for (label, each, scored), of in zip(found, estimates, strict=True):
        title = f"{label}: {of}; each search " + ", ".join(f"{v:.3f}" for v in each)
        plot = whisker(title, scale, of.mean, of.half, each, bool(scored))
        rows.append(
            f"<tr{' class=best' if scored else ''}><td>{text(label)}"
            f'<td class=num data-v="{of.mean!r}">{of}<td class=plot title="{text(title)}">{plot}'
            + "".join(_difference(scored, than, name) for name, than in versus.items())
            + "</tr>"
        )
    rows.append(f"<tr class=ruler aria-hidden=true><td><td><td>{ruler(scale)}<td><td></tr>")
    heads = ["Proposer or reward", "#Pass@1", "", *(f"#{name}" for name in versus)]
    return [*out, table("comparison", heads, rows, sortable=False)]


def _difference(scored: Sequence[Outcome], label: str, name: str) -> str:
    return _signed(against(scored, label), name) if scored else "<td>"


def _signed(of: Estimate | None, name: str) -> str:
    start = f'<td class=num data-label="{name}">'
    if of is None:
        return f"{start}-"
    if of.half is None:
        return start + of.signed
    said = "no difference shown, the interval holds 0"
    if abs(of.mean) > of.half:
        said = "better" if of.mean > 0 else "worse"
    return f"{start}{of.signed}<br><small>{said}</small>"


def _curves(groups: dict[str, list[Outcome]]) -> list[str]:
    tints = {name: f"c{k % 6 + 1}" for k, name in enumerate(groups)}
    key = legend([(tints[name], name) for name in groups])
    cards = []
    for title, over, said, percent, values in (
        ("Meta-reward", "outer steps", "validation pass@1; below 0 for a formula that fails", False,
         _rewards),
        ("Valid formulas", "outer steps", "share of a step's formulas that pass the checker", True,
         _valid),
        ("Best score so far", "inner runs", "validation pass@1 after so many inner runs, baselines "
         "first; scores that another search paid for are charged in full", False, _paid),
    ):  # fmt: skip
        if not all(values(o) for group in groups.values() for o in group):
            continue
        series, rows, last = [], [], 1
        for name, group in groups.items():
            points = []
            for step in range(min(len(values(o)) for o in group)):
                of = estimate([values(o)[step] for o in group])
                low, high = (
                    (None, None) if of.half is None else (of.mean - of.half, of.mean + of.half)
                )
                points.append((float(step + 1), of.mean, *_within(low, high, percent)))
                rows.append(f"<tr><td>{text(name)}{cell(step + 1)}<td class=num>{of}</tr>")
            last = max(last, len(points))
            series.append(Series(name, tints[name], tuple(points)))
        plot = curves(f"{title} over the {over}", series, last, percent)
        unit = "#Step" if values is not _paid else "#Runs"
        data = table("steps", ["Proposer", unit, "#Mean"], rows, sortable=False)
        cards.append(
            f"<figure><figcaption><b>{title}</b><br><small>{said}; means over searches with 95 % "
            f"t-intervals</small>{key}</figcaption><div class=chart>{plot}</div>"
            f"{fold('figures', data)}</figure>"
        )
    return [
        "<h2 id=learning>How the searches went</h2>",
        f"<div class=cards>{''.join(cards)}</div>",
    ]


def _within(
    low: float | None, high: float | None, share: bool
) -> tuple[float | None, float | None]:
    """Ends of an interval; those of a share lie within 0 and 1."""
    if low is None or high is None or not share:
        return low, high
    return max(0.0, low), min(1.0, high)


def _rewards(o: Outcome) -> Sequence[float]:
    return o.rewards


def _valid(o: Outcome) -> Sequence[float]:
    return o.valid


def _paid(o: Outcome) -> Sequence[float]:
    return [point.best for point in o.paid[1:]]


def _learnt(groups: dict[str, list[Outcome]]) -> list[str]:
    """Probes before and after, and the late meta-reward against frozen sampling."""
    frozen = groups.get("frozen", [])
    rows = []
    for name, group in groups.items():
        cells = [
            _gain(group, lambda o: o.sampled, "Pass the checker"),
            _gain(group, lambda o: o.monotone, "Never punish being right"),
        ]
        versus = paired(group, frozen, lambda o: late(o.rewards)) if name != "frozen" else None
        rows.append(
            f"<tr><td>{text(name)}{''.join(cells)}{_signed(versus, 'Late meta-reward')}</tr>"
        )
    note = (
        "<p class=note>Formulas sampled before and after a search and checked, not trained; and "
        "the mean meta-reward of the second half of the steps less that of the frozen "
        "meta-optimizer, paired by seed. 95 % t-intervals over searches.</p>"
    )
    head = ["Proposer", "#Pass the checker", "#Never punish being right", "#Late meta-reward"]
    return ["<h3>What they learnt</h3>", note, table("probes", head, rows, sortable=False)]


def _gain(group: Sequence[Outcome], of: Callable[[Outcome], Sequence[float]], name: str) -> str:
    seen = [of(o) for o in group if len(of(o)) > 1]
    if not seen:
        return f'<td class=num data-label="{name}">-'
    first, last = (sum(v[k] for v in seen) / len(seen) for k in (0, -1))
    rise = estimate([v[-1] - v[0] for v in seen])
    shares = f"{first:.0%} → {last:.0%}<br><small>{rise.signed}</small>"
    return f'<td class=num data-label="{name}">{shares}'


def _searches(outcomes: Sequence[Outcome], reports: dict[tuple[str, int], str]) -> list[str]:
    rows = []
    for o in outcomes:
        link = reports.get((o.proposer, o.seed))
        seed = f'<a href="{text(link)}">{o.seed}</a>' if link else str(o.seed)
        test = o.test.get(BEST)
        rows.append(
            f'<tr><td>{text(o.proposer)}<td class=num data-v="{o.seed}" data-label=Seed>{seed}'
            f"<td>{code(o.best_formula) if o.best_formula else '<small>none</small>'}"
            f"{_score(o.validation, 'Validation')}{_score(test, 'Test')}"
            f"{cell(o.trained, label='Trained')}{cell(o.reused, label='Served')}"
            f"{cell(o.seconds, seconds(o.seconds), 'Time in workers')}</tr>"
        )
    head = ["Proposer", "#Seed", "Best formula", "#Validation", "#Test", "#Trained", "#Served",
            "#Time in workers"]  # fmt: skip
    return ["<h2 id=searches>Every search</h2>", table("lineage", head, rows)]


def _score(value: float | None, label: str) -> str:
    return cell(value, "-" if value is None else f"{value:.3f}", label)
