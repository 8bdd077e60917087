"""The page of a run, top to bottom: how it ended, what came out, how, and every formula."""

from __future__ import annotations

import json
import time
from importlib.resources import files

from derl_dsl.tools.pages.document import document
from derl_trainers.estimates import change
from derl_trainers.report import figures, tables
from derl_trainers.report.episodes import episodes_section
from derl_trainers.report.facts import Facts
from derl_trainers.report.markup import code, fold, seconds, table, text
from derl_trainers.report.plots import ruler, whisker
from derl_trainers.runs.store.comparison import BEST, START, ComparisonRow


def page(facts: Facts) -> str:
    """The report of a run as one self-contained HTML page."""
    folder = files("derl_trainers.report")
    style = folder.joinpath("report.css").read_text("utf-8")
    script = folder.joinpath("report.js").read_text("utf-8")
    config = text(json.dumps(facts.config, indent=2), True)
    parts = [
        *_head(facts),
        *_summary(facts),
        *_comparison(facts),
        *episodes_section(facts.episodes),
        *figures.curves_section(facts),
        *figures.classes_section(facts),
        *tables.formulas_section(facts),
        *tables.lineage_section(facts),
        *tables.cost_section(facts),
        *tables.faults_section(facts),
        "<h2 id=settings>Settings</h2>",
        fold("The whole config of the run", f"<pre>{config}</pre>"),
        f"<footer>derl-dsl {text(facts.run['version'])}. Written by <code>derl-dsl report</code> "
        f"on {_date(time.time())} from the run store <code>run.db</code>; every number is a query "
        "over it.</footer>",
    ]
    return document(f"Meta-training: {facts.run['name']}", parts, style, script)


def _date(moment: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(moment))


def _head(facts: Facts) -> list[str]:
    run, config = facts.run, facts.config
    meta = config.get("meta", {})
    took = f", {seconds(run['ended'] - run['started'])}" if run["ended"] else ""
    said = (
        f"{_date(run['started'])}{took} · seed {run['seed']} · suite {config.get('suite')} · "
        f"meta-optimizer {meta.get('model')} · {facts.wanted} outer steps of "
        f"{meta.get('formulas')} formulas"
    )
    out = [f"<h1>Meta-training: {text(run['name'])}</h1>", f"<p class=sub>{text(said)}</p>"]
    if run["status"] != "finished":
        out.append(_unfinished(facts))
    return out


_ENDS = {
    "running": "This run is still going.",
    "died": "This run was killed: its process is gone, and it never said that it ended.",
    "interrupted": "This run was interrupted.",
    "failed": "This run failed.",
}


def _unfinished(facts: Facts) -> str:
    """What a run that did not come to its end lacks."""
    status = facts.run["status"]
    lacks = f"The search shows {len(facts.steps)} of {facts.wanted} outer steps"
    waiting = sum(f.row["status"] == "checked" for f in facts.formulas)
    if waiting:
        lacks += f" ({waiting} formulas of the last one have no score yet)"
    final = next((j for j in facts.jobs if j["kind"] == "final"), None)
    if final is None:
        lacks += "; the final comparison has not begun"
    else:
        lacks += f"; of the final comparison {final['done']} of {final['jobs']} runs are done"
    error = facts.run["error"]
    reason = f"<pre>{text(error, True)}</pre>" if error else ""
    said = _ENDS.get(status, f"This run is {status}.")
    return (
        f'<div class=notice role=note data-status="{text(status)}"><b>{text(said)}</b> '
        f"{lacks}.{reason}</div>"
    )


def _summary(facts: Facts) -> list[str]:
    tiles = [*_best_tile(facts), *_test_tile(facts), *_probe_tile(facts), _run_tile(facts)]
    return ["<dl class=tiles>", *tiles, "</dl>"]


def _tile(name: str, figure: str, said: str) -> str:
    return f"<div><dt>{name}<dd class=big>{figure}<dd>{said}</div>"


def _best_tile(facts: Facts) -> list[str]:
    best = facts.best
    if best is None:
        return [_tile("Best formula", "none", "no formula could be trained")]
    yards = [
        f"{text(y['label'].removesuffix(': score'))} {y['pass_at_1']:.3f}"
        for y in facts.yards
        if y["pass_at_1"] is not None
    ]
    runs = next((len(c.scores) for c in facts.confirmed if c.key == best["key"]), 1)
    said = (
        f"step {best['step']}, validation pass@1 <b>{best['pass_at_1']:.3f}</b>"
        + (f", mean of {runs} runs" if runs > 1 else "")
        + ("; " if yards else "")
        + ", ".join(yards)
    )
    return [_tile("Best formula, chosen on validation", code(best["formula"]), said)]


def _test_tile(facts: Facts) -> list[str]:
    row = next((r for r in facts.comparison if r.label == BEST), None)
    if row is None:
        return []
    half = "" if row.half is None else f" <small>± {row.half:.3f}</small>"
    said = f"test pass@1, {len(row.scores)} seeds"
    if row.difference is not None and row.difference_half is not None:
        said += f"; {row.difference:+.3f} ± {row.difference_half:.3f} against outcome only: "
        said += _verdict(row.difference, row.difference_half)
    return [_tile("On the test problems", f"{row.mean:.3f}{half}", said)]


def _verdict(difference: float, half: float) -> str:
    if abs(difference) <= half:
        return "no difference shown, the interval holds 0"
    return "better" if difference > 0 else "worse"


def _probe_tile(facts: Facts) -> list[str]:
    # What it wrote before the cold start says nothing of the search.
    probes = [p for p in facts.probes if p["step"] >= 0]
    if not probes:
        return []
    first, last = probes[0], probes[-1]
    before = first["valid"] / first["formulas"]
    if first is last:
        return [_tile("Valid formulas", f"{before:.0%}", "before the search")]
    gain, low, high = change(first["valid"], first["formulas"], last["valid"], last["formulas"])
    said = (
        f"sampled before and after the search: {100 * gain:+.0f} points, "
        f"95 % interval {100 * low:+.0f} to {100 * high:+.0f}"
    )
    figure = f"{before:.0%} → {last['valid'] / last['formulas']:.0%}"
    return [_tile("Valid formulas", figure, said)]


def _run_tile(facts: Facts) -> str:
    runs = sum(j["done"] for j in facts.jobs if j["kind"] in ("baseline", "search", "final"))
    saved = facts.saved
    said = (
        f"inner runs; {saved['repeats']} of {saved['usable']} usable formulas served by an equal "
        "one, without training"
    )
    return _tile("Cost", str(runs), said)


def _comparison(facts: Facts) -> list[str]:
    out = ["<h2 id=comparison>Against the baselines, on the test problems</h2>"]
    if not facts.comparison:
        return [*out, "<p class=none>There is none: the run has not come so far.</p>"]
    seeds = max(len(r.scores) for r in facts.comparison)
    out.append(
        f"<p class=note>Each reward trains fresh copies of the start policy, {seeds} seeds, the "
        "same for all. Squares are means with 95 % t-intervals, rings the seeds; differences are "
        "paired by seed. The formula was chosen by validation alone.</p>"
    )
    out += _confirmed(facts)
    out.append(_compared("comparison", facts.comparison, seeds))
    for number, (part, rows) in enumerate(facts.apart.items()):
        out += [f"<h3>On {text(part)} alone</h3>", _compared(f"part-{number}", rows, seeds)]
    return out


def _compared(name: str, found: list[ComparisonRow], seeds: int) -> str:
    scale = _scale(found)
    rows = [_comparison_row(row, seeds, scale) for row in found]
    rows.append(f"<tr class=ruler aria-hidden=true><td><td><td><td>{ruler(scale)}<td></tr>")
    head = ["Reward", "Formula", "#Pass@1", "", "#Against outcome only"]
    return table(name, head, rows, sortable=False)


def _confirmed(facts: Facts) -> list[str]:
    """The best formulas on further seeds, by which the one that is compared was chosen."""
    said = (
        f"{code(c.formula)} <b>{c.mean:.3f}</b> ({', '.join(f'{s:.3f}' for s in c.scores)})"
        for c in facts.confirmed
    )
    if not facts.confirmed:
        return []
    return [
        "<p class=note>Confirmed on further seeds, validation pass@1 and its mean: "
        + "; ".join(said)
        + ". The first to lead by the mean of all its seeds was chosen.</p>"
    ]


def _scale(rows: list[ComparisonRow]) -> tuple[float, float]:
    """Tenths that hold every mean, seed and interval, within 0 and 1."""
    ends = [v for r in rows for v in (*r.scores, r.mean - (r.half or 0), r.mean + (r.half or 0))]
    low, high = max(0.0, min(ends)), min(1.0, max(ends))
    return int(low * 10) / 10, min(1.0, int(high * 10 + 1) / 10)


def _comparison_row(row: ComparisonRow, seeds: int, scale: tuple[float, float]) -> str:
    half = "" if row.half is None else f" ± {row.half:.3f}"
    few = ""
    if row.label != START and len(row.scores) < seeds:
        few = f"<br><small>{len(row.scores)} of {seeds} seeds</small>"
    versus = ""
    if row.difference is not None and row.difference_half is not None:
        said = _verdict(row.difference, row.difference_half)
        versus = f"{row.difference:+.3f} ± {row.difference_half:.3f}<br><small>{said}</small>"
    each = ", ".join(f"{s:.3f}" for s in row.scores)
    title = f"{row.label}: {row.mean:.3f}{half}; each seed {each}"
    plot = whisker(title, scale, row.mean, row.half, row.scores, row.label == BEST)
    kind = " class=best" if row.label == BEST else ""
    formula = code(row.formula) if row.formula else "<small>not trained</small>"
    return (
        f"<tr{kind}><td>{text(row.label)}<td>{formula}"
        f'<td class=num data-v="{row.mean!r}">{row.mean:.3f}{half}{few}'
        f'<td class=plot title="{text(title)}">{plot}<td class=num>{versus}</tr>'
    )
