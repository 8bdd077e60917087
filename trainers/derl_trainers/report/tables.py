"""The report's tables: every formula, every distinct reward, cost, faults."""

from __future__ import annotations

from derl_dsl.tools.pages.numbers import number
from derl_trainers.report.classes import CLASSES
from derl_trainers.report.facts import Facts, Formula, Row
from derl_trainers.report.markup import cell, code, fold, seconds, table, text
from derl_trainers.report.plots import strip

_STATUS = {"failed": "fails the checker", "trained": "trained", "reused": "served by an equal one",
           "faulted": "its run broke", "checked": "not scored"}  # fmt: skip
_OUTCOME = {True: "never falls", False: "can fall", None: "not decided"}


def formulas_section(facts: Facts) -> list[str]:
    """Every formula with its score and certificate."""
    out = [f"<h2 id=formulas>Every formula <small>{len(facts.formulas)}</small></h2>"]
    if not facts.formulas:
        return [*out, "<p class=none>None was proposed.</p>"]
    head = ["No.", "Formula", "What came of it", "#Meta-reward", "Structure", "#Range",
            "If the outcome rises", "#Margin", "Vetoed by"]  # fmt: skip
    note = (
        "<p class=note>No. is outer step and place. Margin: the least reward of a right rollout "
        "minus the largest of a wrong one; above 0 no wrong answer outscores a right one.</p>"
    )
    rows = [_formula(f) for f in facts.formulas]
    return [*out, *folded(note, _controls(facts), table("formulas", head, rows))]


def folded(*parts: str) -> list[str]:
    """A long table: open, but folded where the page is narrow (the script does that)."""
    return ["<details class=folds open><summary>The table</summary>", *parts, "</details>"]


def _controls(facts: Facts) -> str:
    """Search and filters, shown by the script that makes them work."""
    states = dict.fromkeys(f.row["status"] for f in facts.formulas)
    groups = [g for g in CLASSES if any(f.group == g for f in facts.formulas)]
    status = "".join(
        f'<option value="{text(s)}">{text(_STATUS.get(s, s))}</option>' for s in states
    )
    classes = "".join(f'<option value="{g}">{g}</option>' for g in groups)
    return (
        "<form class=controls hidden><label>Find <input type=search name=find></label>"
        f"<label>What came of it <select name=status><option value=''>all</option>{status}</select>"
        "</label><label>Structure <select name=group><option value=''>all</option>"
        f"{classes}</select></label>"
        "<output aria-live=polite></output></form>"
    )


def _formula(f: Formula) -> str:
    row, certificate = f.row, f.certificate
    reward = row["meta_reward"]
    shown = "-" if reward is None else f"{reward:.3f}"
    facts = "<td><td><td><td><td>"
    if certificate is not None:
        facts = (
            f"<td data-label=Structure>{f.group}"
            f"<td class=num data-label=Range>{_range(certificate)}"
            f"<td data-label='If the outcome rises'>{_outcome(f, certificate)}"
            f"{cell(certificate['margin'], label='Margin')}"
            f"<td data-label='Vetoed by'>{text(', '.join(certificate['vetoes']))}"
        )
    return (
        f'<tr id=p{row["id"]} data-status={row["status"]} data-group="{f.group or ""}">'
        f'<td class=num data-v="{row["step"] * 100000 + row["idx"]}">{f.name}'
        f"<td>{_written(f)}<td>{_came(f)}{cell(reward, shown, 'Meta-reward')}{facts}</tr>"
    )


def _range(certificate: Row) -> str:
    lo, hi = certificate["lo"], certificate["hi"]
    low = "-∞" if lo is None else number(lo)
    return f"{low} to {'∞' if hi is None else number(hi)}"


def _outcome(f: Formula, certificate: Row) -> str:
    # Said by the checker: without the outcome there is nothing that could fall.
    if any(d["code"] == "DRL306" for d in f.diagnostics):
        return "ignores it"
    return _OUTCOME[certificate["outcome_monotone"]]


def _written(f: Formula) -> str:
    """The formula, with what the checker says of it on demand."""
    shown = code(f.row["formula"]) if f.row["formula"].strip() else "<small>(nothing)</small>"
    if not f.diagnostics:
        return shown
    said = "".join(f"<li><b>{text(d['code'])}</b> {text(d['message'])}</li>" for d in f.diagnostics)
    count = len(f.diagnostics)
    return shown + fold(f"{count} finding{'s' if count > 1 else ''}", f"<ul>{said}</ul>")


def _came(f: Formula) -> str:
    row = f.row
    if row["status"] == "failed":
        return f"fails: {text(row['stage'])}"
    if row["status"] == "reused":
        if f.origin_id is not None:
            return f"equal to <a href=#p{f.origin_id}>{f.origin}</a>"
        return f"equal to {text(f.origin)}"
    if row["stopped"]:
        return f"ended early: {text(row['stopped'])}"
    return _STATUS[row["status"]]


def lineage_section(facts: Facts) -> list[str]:
    """Every distinct reward: when it came up, how often, in how many spellings."""
    by_key: dict[str, list[Formula]] = {}
    for f in facts.formulas:
        if f.row["key"] is not None:
            by_key.setdefault(f.row["key"], []).append(f)
    if not by_key:
        return []
    baselines = {y["key"]: y["label"] for y in facts.yards if y["kind"] == "baseline"}
    last = max(facts.wanted, *(row.step for row in facts.steps))
    groups = sorted(by_key.items(), key=lambda kv: (-_score(kv[1]), kv[1][0].row["id"]))
    rows = [_distinct(key, found, baselines, last) for key, found in groups]
    usable = sum(map(len, by_key.values()))
    note = (
        f"<p class=note>{usable} valid formulas are {len(by_key)} different rewards: equal up to a "
        "positive factor and a constant is equal for training, and is trained once. Filled dots: "
        f"trained in that outer step (0 to {last}; 0 are baselines); rings: served by that run.</p>"
    )
    head = ["Reward, as first written", "#Validation", "First", "#Times", "#Spellings", "Steps"]
    return [f"<h2 id=lineage>Lineage <small>{len(by_key)}</small></h2>", note,
            *folded(table("lineage", head, rows))]  # fmt: skip


def _score(found: list[Formula]) -> float:
    scores = [f.row["meta_reward"] for f in found if f.row["meta_reward"] is not None]
    return float(max(scores, default=-1.0))


def _distinct(key: str, found: list[Formula], baselines: dict[str, str], last: int) -> str:
    first = found[0]
    trained = {f.row["step"] for f in found if f.row["status"] == "trained"}
    seen = [(step, step in trained) for step in sorted({f.row["step"] for f in found})]
    origin = f"<a href=#p{first.row['id']}>{first.name}</a>"
    if key in baselines:
        seen = [(0, True), *((step, False) for step, _ in seen)]
        origin = f"{text(baselines[key])} (baseline)"
    score = _score(found)
    spellings = len({"".join(f.row["formula"].split()) for f in found})
    title = "proposed in steps " + ", ".join(str(s) for s, _ in seen if s)
    return (
        f'<tr data-key="{text(key)}"><td>{code(first.row["formula"])}'
        f"{cell(score, f'{score:.3f}' if score >= 0 else '-', 'Validation')}"
        f"<td data-label=First>{origin}"
        f"{cell(len(found), label='Times')}{cell(spellings, label='Spellings')}"
        f'<td class=plot title="{title}">{strip(title, seen, last)}</tr>'
    )


_KINDS = {"policy": "start policy, warm start", "start": "start policy, score",
          "baseline": "baselines", "search": "search",
          "final": "final comparison"}  # fmt: skip


_COUNTS = {"Begun": "jobs", "Done": "done", "Broke": "failed", "Unfinished": "unfinished"}


def cost_section(facts: Facts) -> list[str]:
    """What the run cost, and what equivalence saved."""
    rows = [
        f"<tr><td>{_KINDS.get(j['kind'], text(j['kind']))}"
        + "".join(cell(j[column], label=name) for name, column in _COUNTS.items())
        + cell(j["seconds"], seconds(j["seconds"]), "Time in workers")
        + cell(j["mean_seconds"], seconds(j["mean_seconds"]), "Mean")
        + "</tr>"
        for j in facts.jobs
    ]
    head = ["Runs", *(f"#{name}" for name in _COUNTS), "#Time in workers", "#Mean"]
    return [
        "<h2 id=cost>Cost</h2>",
        *_saved(facts),
        table("cost", head, rows, sortable=False),
        *_phases(facts),
        *_shares(facts),
    ]


def _saved(facts: Facts) -> list[str]:
    saved = facts.saved
    said = (
        f"<b>{saved['repeats']}</b> of {saved['usable']} usable formulas were served by an equal "
        f"one instead of being trained: {seconds(saved['seconds'])} of inner runs saved."
    )
    if saved["twins"]:
        said += f" So were {saved['twins']} runs of the final comparison."
    return [f"<p class=note>{said}</p>"]


def _phases(facts: Facts) -> list[str]:
    if not facts.phases:
        return []
    said = ", ".join(f"{text(p['name'])} {_took(p)}" for p in facts.phases)
    return [f"<p class=note>By the clock: {said}.</p>"]


def _took(phase: Row) -> str:
    return "(not ended)" if phase["seconds"] is None else seconds(phase["seconds"])


def _shares(facts: Facts) -> list[str]:
    """Where an inner run's time goes."""
    where = facts.where
    if not where["total"]:
        return []
    parts = [
        f"{name} {where[name] / where['total']:.1%}"
        for name in ("generation", "optimisation", "validation", "reward")
        if where[name] is not None
    ]
    return [f"<p class=note>Within the inner runs: {', '.join(parts)}.</p>"]


def faults_section(facts: Facts) -> list[str]:
    """What went wrong in inputs of rewards, and runs that broke."""
    out = ["<h2 id=faults>Faults</h2>"]
    if not facts.faults and not facts.failures:
        return [*out, "<p>No input of a reward failed, and no run broke.</p>"]
    if facts.faults:
        said = "".join(f"<li>{text(str(total))}</li>" for total in facts.faults)
        out.append(f"<p>In the inputs of rewards:</p><ul class=faults>{said}</ul>")
    if facts.failures:
        rows = [
            f"<tr>{cell(j['id'])}<td>{text(j['label'])}<td>{code(j['formula'] or '')}"
            f"<td>{_error(j['error'])}</tr>"
            for j in facts.failures
        ]
        out.append(table("failures", ["#Run", "Of", "Formula", "Error"], rows, sortable=False))
    return out


def _error(error: str) -> str:
    lines = error.strip().splitlines() or [""]
    if len(lines) == 1:
        return text(lines[0])
    return text(lines[0]) + fold("all of it", f"<pre>{text(error, True)}</pre>")
