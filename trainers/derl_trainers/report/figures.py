"""The report's curves: meta-reward, share valid, failures and structure classes over the steps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import fsum

from derl_trainers.estimates import interval, wilson
from derl_trainers.outer.judge import GRADED
from derl_trainers.report.classes import (
    CLASSES,
    CONDITIONAL,
    INVERTED,
    LINEAR,
    OTHER,
    UNKNOWN,
    VETO,
)
from derl_trainers.report.facts import Facts, Formula, Row
from derl_trainers.report.markup import cell, fold, legend, table, text
from derl_trainers.report.plots import Layer, Series, curves, stacks
from derl_trainers.runs.store import StepRow

BROKE = "run broke"
_PAID_TINTS = ("c1", "c2", "c3", "c4", "c5", "c6")
STAGE_TINTS = {"syntax": "f1", "limits": "f1", "names": "f2", "types": "f3", "unsafe": "f4",
               "degenerate": "f5", BROKE: "c6"}  # fmt: skip
CLASS_TINTS = {LINEAR: "c1", CONDITIONAL: "c3", OTHER: "c6", VETO: "c4", INVERTED: "c2",
               UNKNOWN: "c5"}  # fmt: skip


def curves_section(facts: Facts) -> list[str]:
    """How the meta-optimizer's formulas became better, or did not."""
    out = ["<h2 id=learning>How the search went</h2>"]
    if not facts.steps:
        return [*out, "<p class=none>No outer step was begun.</p>"]
    cards = [_rewards(facts), _valid(facts), _failures(facts), _structures(facts), *_paid(facts)]
    return [*out, f"<div class=cards>{''.join(cards)}</div>", *_probes(facts), *_updates(facts)]


def _card(title: str, said: str, key: str, plot: str, data: str) -> str:
    return (
        f"<figure><figcaption><b>{title}</b><br><small>{said}</small>{key}</figcaption>"
        f"<div class=chart>{plot}</div>{fold('figures', data)}</figure>"
    )


def _last(facts: Facts) -> int:
    return max(facts.wanted, *(row.step for row in facts.steps))


def _of_step(facts: Facts, step: int) -> list[Formula]:
    return [f for f in facts.formulas if f.row["step"] == step]


def _rewards(facts: Facts) -> str:
    means, usable, best = [], [], []
    rows = []
    for row in facts.steps:
        group = _of_step(facts, row.step)
        rewards = [f.row["meta_reward"] for f in group if f.row["meta_reward"] is not None]
        good = [f.row["meta_reward"] for f in group if f.row["status"] in ("trained", "reused")]
        low = high = None
        # A step that was cut off has the penalties alone: its mean would be of the failed ones.
        whole = all(f.row["status"] != "checked" for f in group)
        if row.mean_reward is not None and whole:
            if len(rewards) > 1:
                half = interval(rewards)[1]
                low, high = row.mean_reward - half, row.mean_reward + half
            means.append((row.step, row.mean_reward, low, high))
        mean_good = fsum(good) / len(good) if good else None
        if mean_good is not None:
            usable.append((row.step, mean_good, None, None))
            best.append((row.step, max(good), None, None))
        rows.append(_reward_row(row, whole, low, high, mean_good))
    series = [
        Series("mean of all", "c1", tuple(means)),
        Series("mean of the usable", "c3", tuple(usable)),
        Series("best", "c2", tuple(best)),
    ]
    yards = [y for y in facts.yards if y["label"] == "outcome only" and y["pass_at_1"] is not None]
    marks = [y["pass_at_1"] for y in yards]
    key = legend(
        [
            ("c2", "best"),
            ("c3", "mean of the usable"),
            ("c1", "mean of all, 95 % t-interval"),
            *(("level", f"outcome only, {mark:.3f}") for mark in marks),
        ]
    )
    plot = ""
    if means or best:
        plot = curves("Meta-reward over the outer steps", series, _last(facts), marks=marks)
    head = ["#Step", "#Mean", "#95 %", "#Mean usable", "#Best"]
    data = table("rewards", head, rows, sortable=False)
    said = "a usable formula's validation pass@1; below 0 for one that fails"
    return _card("Meta-reward", said, key, plot, data)


def _reward_row(
    row: StepRow, whole: bool, low: float | None, high: float | None, usable: float | None
) -> str:
    shown = "" if low is None or high is None else f"{low:.3f} to {high:.3f}"
    if not whole:
        shown = "cut off: not all are scored"
    numbers = [cell(v, "-" if v is None else f"{v:.3f}") for v in (usable, row.best_reward)]
    mean = cell(row.mean_reward, "-" if row.mean_reward is None else f"{row.mean_reward:.3f}")
    return f"<tr>{cell(row.step)}{mean}<td class=num>{shown}{''.join(numbers)}</tr>"


def _valid(facts: Facts) -> str:
    points, rows = [], []
    for row in facts.steps:
        low, high = wilson(row.formulas - row.failed, row.formulas)
        points.append((row.step, row.share_valid, low, high))
        rows.append(
            f"<tr>{cell(row.step)}{cell(row.share_valid, f'{row.share_valid:.1%}')}"
            f"<td class=num>{low:.0%} to {high:.0%}"
            f"{cell(row.formulas - row.failed)}{cell(row.formulas)}</tr>"
        )
    probed = []
    for probe in (p for p in facts.probes if p["step"] >= 0):
        low, high = wilson(probe["valid"], probe["formulas"])
        probed.append((probe["step"], probe["valid"] / probe["formulas"], low, high))
    series = [
        Series("group of the step", "c1", tuple(points)),
        Series("probe", "c2", tuple(probed), line=False),
    ]
    key = legend(
        [("c1", "the step's own group"), ("c2", "probe: sampled before and after, not trained")]
    )
    plot = curves(
        "Share of valid formulas over the outer steps", series, _last(facts), percent=True
    )
    head = ["#Step", "#Valid", "#95 %", "#Formulas valid", "#of"]
    said = "formulas that pass the checker, 95 % Wilson intervals"
    return _card("Share valid", said, key, plot, table("valid", head, rows, sortable=False))


def _stack(
    facts: Facts, kinds: Sequence[str], kind_of: Callable[[Formula], str | None],
    tints: dict[str, str], valid_only: bool,
) -> tuple[list[Layer], str]:  # fmt: skip
    """The layers of a stack, and the same as a table; kinds that never occur are left out."""
    counts: dict[str, dict[int, int]] = {}
    totals: dict[int, int] = {}
    for f in facts.formulas:
        step = f.row["step"]
        if not valid_only or f.certificate is not None:
            totals[step] = totals.get(step, 0) + 1
        kind = kind_of(f)
        if kind is not None:
            here = counts.setdefault(kind, {})
            here[step] = here.get(step, 0) + 1
    used = [kind for kind in kinds if kind in counts]
    layers = [
        Layer(kind, tints[kind], tuple(
            (step, counts[kind].get(step, 0) / total, counts[kind].get(step, 0))
            for step, total in totals.items()
        ))
        for kind in used
    ]  # fmt: skip
    rows = [
        f"<tr>{cell(step)}"
        f"{''.join(cell(counts[kind].get(step, 0)) for kind in used)}{cell(total)}</tr>"
        for step, total in totals.items()
    ]
    head = ["#Step", *(f"#{kind}" for kind in used), "#of"]
    return layers, table("counts", head, rows, sortable=False)


def _failure(f: Formula) -> str | None:
    if f.row["status"] == "faulted":
        return BROKE
    return str(f.row["stage"]) if f.row["status"] == "failed" else None


def _failures(facts: Facts) -> str:
    kinds = [*GRADED, BROKE]
    layers, data = _stack(facts, kinds, _failure, STAGE_TINTS, valid_only=False)
    key = legend([(layer.tint, layer.name) for layer in layers]) if layers else ""
    said = "share of each step's formulas, by the earliest stage that they fail at"
    plot = stacks("Share of formulas that fail, by class, over the steps", layers, _last(facts))
    if not layers:
        said += "; none failed"
    return _card("Failures", said, key, plot, data)


def _structures(facts: Facts) -> str:
    layers, data = _stack(facts, list(CLASS_TINTS), lambda f: f.group, CLASS_TINTS, valid_only=True)
    key = legend([(layer.tint, layer.name) for layer in layers])
    plot = stacks("Structure classes of valid formulas over the steps", layers, _last(facts))
    return _card("Structure", "share of each step's valid formulas, by class", key, plot, data)


def _paid(facts: Facts) -> list[str]:
    """What the formulas of each step pay for, the inputs that count most."""
    known = [f for f in facts.formulas if f.effects is not None]
    weights: dict[str, float] = {}
    for f in known:
        for name, effect in (f.effects or {}).items():
            weights[name] = weights.get(name, 0.0) + abs(effect)
    if not weights:
        return []
    most = sorted(sorted(weights, key=lambda name: -weights[name])[: len(_PAID_TINTS)])
    series, rows = [], []
    for name, tint in zip(most, _PAID_TINTS, strict=False):
        points = []
        for row in facts.steps:
            each = [(f.effects or {}).get(name, 0.0) for f in known if f.row["step"] == row.step]
            if each:
                mean = fsum(each) / len(each)
                points.append((row.step, mean, None, None))
                rows.append(f"<tr><td>{text(name)}{cell(row.step)}{cell(mean, f'{mean:+.3f}')}"
                            f"{cell(len(each))}</tr>")  # fmt: skip
        series.append(Series(name, tint, tuple(points)))
    said = (
        "mean effect of an input on the valid formulas, as a share of each one's range; below 0 "
        "where more of it is paid less"
    )
    key = legend([(s.tint, s.name) for s in series])
    plot = curves("What the formulas pay for, over the steps", series, _last(facts))
    data = table("effects", ["Input", "#Step", "#Mean effect", "#Formulas"], rows, sortable=False)
    return [_card("What they pay for", said, key, plot, data)]


def classes_section(facts: Facts) -> list[str]:
    """What each structure class is, and how its formulas score."""
    rows = []
    for group, meaning in CLASSES.items():
        found = [f for f in facts.formulas if f.group == group]
        if not found:
            continue
        scores = [f.row["meta_reward"] for f in found if f.row["status"] in ("trained", "reused")]
        mean = fsum(scores) / len(scores) if scores else None
        numbers = [
            cell(v, "-" if v is None else f"{v:.3f}", name)
            for name, v in (("Mean score", mean), ("Best", max(scores, default=None)))
        ]
        rows.append(
            f"<tr><td><i class='key {CLASS_TINTS[group]}'></i>{group}<td>{meaning}"
            f"{cell(len(found), label='Formulas')}{''.join(numbers)}</tr>"
        )
    if not rows:
        return []
    head = ["Structure class", "Its formulas", "#Formulas", "#Mean score", "#Best"]
    note = "<p class=note>From the certificate and the graph; the first class that fits.</p>"
    return ["<h2 id=structure>Structure and score</h2>", note, table("structure", head, rows)]


_PROBED = {-1: "before the cold start", 0: "before the search"}


def _probes(facts: Facts) -> list[str]:
    if not facts.probes:
        return []
    rows = []
    for probe in facts.probes:
        when = _PROBED.get(probe["step"], f"after step {probe['step']}")
        rows.append(
            f"<tr><td>{when}{cell(probe['formulas'], label='Formulas')}"
            f"{_share(probe, 'valid', 'Pass the checker')}"
            f"{_share(probe, 'monotone', 'Never punish being right')}"
            f"{cell(probe['distinct_keys'], label='Distinct rewards')}</tr>"
        )
    head = ["Probe", "#Formulas", "#Pass the checker", "#Never punish being right",
            "#Distinct rewards"]  # fmt: skip
    note = (
        "<p class=note>What the meta-optimizer writes: formulas sampled with one seed and checked, "
        "not trained; 95 % Wilson intervals.</p>"
    )
    return ["<h3>What it learnt</h3>", note, table("probes", head, rows, sortable=False)]


def _share(probe: Row, name: str, label: str) -> str:
    count, of = probe[name], probe["formulas"]
    low, high = wilson(count, of)
    return cell(count, f"{count / of:.1%} <small>{low:.0%} to {high:.0%}</small>", label)


def _updates(facts: Facts) -> list[str]:
    if not facts.updates:
        return []
    names = ("loss", "kl", "grad_norm", "seconds")
    rows = [
        f"<tr>{cell(u['step'])}{''.join(cell(u[name]) for name in names)}</tr>"
        for u in facts.updates
    ]
    head = ["#Step", "#Loss", "#KL", "#Gradient norm", "#Seconds"]
    return [fold("The outer optimizer, step by step", table("updates", head, rows, sortable=False))]
