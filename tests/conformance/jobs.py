"""What every target is given: files, rows, and what `reward.score` says of them."""

from __future__ import annotations

import math
import random
import re
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import derl_dsl
from derl_dsl import gallery
from derl_dsl.adapters.export import Export, export, problems
from derl_dsl.adapters.targets import Target
from derl_grammar.limits import WIDE
from tests.gallery.public import PUBLIC
from tests.gallery.test_gallery import CASES

SIZE, GROUPS = 4, 3


@dataclass(frozen=True, slots=True)
class Job:
    """One file and its rows; `expected` is a value a row, `parts` each part's."""

    job: str
    check: str
    file: str
    name: str
    size: int | None
    rows: list[dict[str, Any]]
    expected: list[float | None]
    parts: dict[str, list[float | None]]

    def to_json(self) -> dict[str, Any]:
        """What the child reads."""
        kept = asdict(self)
        return {k: kept[k] for k in ("job", "file", "name", "size", "rows")}


def gallery_jobs(target: Target, folder: Path) -> tuple[list[Job], int]:
    """The gallery's rewards that the target carries, and how many it does not."""
    found: list[Job] = []
    refused = 0
    for name in gallery.names():
        source, settings = gallery.read(name)
        given = (settings.suite, settings.columns, settings.outcome)
        reward = derl_dsl.compile(source.text, *given, limits=WIDE)
        if problems(reward, target):
            refused += 1
            continue
        make = {**CASES, **PUBLIC}[name][0]
        rng = random.Random(name)
        rows = [make(rng) for _ in range(SIZE * GROUPS)]
        rows = [{k: v for k, v in row.items() if not k.startswith("_")} for row in rows]
        if reward.graph.steps is not None:  # an episode without a step pays none
            rows = [row for row in rows if [] not in row.values()]
        for k, row in enumerate(rows):
            row["progress"] = 0.3
            if reward.uses_groups and "answer" in row:  # a group has one problem
                row["answer"] = rows[k - k % SIZE]["answer"]
        columns = dict(settings.columns or {})
        what = Export(f"{name}.derl", settings.suite, columns, settings.outcome)
        job = _job(name, "values", reward, target, what, rows, folder)
        found.append(job if reward.graph.steps is None else _stepped(job, reward))
    return found, refused


def _job(
    job: str, check: str, reward: Any, target: Target, what: Export,
    rows: list[dict[str, Any]], folder: Path,
) -> Job:  # fmt: skip
    file = folder / f"{what.called}.py"
    file.write_text(export(reward, target, what), "utf-8")
    size = SIZE if reward.uses_groups else None
    scores = reward.score({k: [row[k] for row in rows] for k in rows[0]}, group_size=size)
    policy = what.on_fault or target.policies[0]
    values: list[float | None] = [None if v != v else v for v in scores.values.tolist()]
    if policy == "lowest":
        lo = reward.certificate.lo
        values = [lo if f else v for f, v in zip(scores.failed.tolist(), values, strict=True)]
    parts = {
        n: [None if math.isnan(v) else v for v in part.tolist()] for n, part in scores.parts.items()
    }
    return Job(job, check, str(file), what.called, size, rows, values, parts)


def step_jobs(target: Target, folder: Path) -> list[Job]:
    """Episodes of several lengths with a reward a step; `expected` is all that an episode pays."""
    if not target.steps:
        return []
    columns = {"scores": "list[number[0, 1]]", "solved": "bool"}
    text = "steps = 0.5 * scores\nreward = 2 * solved - 1"
    reward = derl_dsl.compile(text, columns=columns)
    rows = [
        {"completion": "go", "scores": scores, "solved": solved}
        for scores, solved in (([0.25, 0.75, 0.5], True), ([0.5], False), ([0.0, 1.0], True))
    ]
    what = Export("steps.derl", columns=columns)
    return [_stepped(_job("a reward a step", "steps", reward, target, what, rows, folder), reward)]


def _stepped(job: Job, reward: Any) -> Job:
    """The job whose `expected` is all that an episode pays, its parts all steps but the last."""
    found = reward.score({n: [row[n] for row in job.rows] for n in job.rows[0]})
    paid = [steps.tolist() for steps in found.steps]
    totals = [value + sum(steps) for value, steps in zip(found.values.tolist(), paid, strict=True)]
    each = {
        f"step {k}": [steps[k] if k < len(steps) - 1 else None for steps in paid]
        for k in range(max(map(len, paid)) - 1)
    }
    return replace(job, check="steps", expected=totals, parts={**job.parts, **each})


HANG = """\
def slow(x: text) -> number[0, 1]:
    while "hang" in x:
        pass
    return 1.0
"""


def trouble_jobs(target: Target, folder: Path) -> list[Job]:
    """A missing gold answer, NaN in a column, a primitive that hangs; right rows among them."""
    jobs = []
    policies = [p for p in target.policies if p != "raise"] or ["raise"]
    text = "exact(completion, answer) - 2"
    reward = derl_dsl.compile(text, suite="math")
    rows = [{"completion": "5", "answer": a, "prompt": "p"} for a in ("5", None, "6", "5")]
    what = Export("fault.derl", "math", on_fault=policies[0])
    jobs.append(_job("a missing gold", "fault", reward, target, what, rows, folder))
    columns = {"weight": "number[0, 1]"}
    reward = derl_dsl.compile("weight - 3", columns=columns)
    rows = [{"completion": "5", "weight": w, "prompt": "p"} for w in (0.5, float("nan"), 1.0)]
    what = Export("nan.derl", columns=columns, on_fault=policies[0])
    jobs.append(_job("NaN in a column", "NaN", reward, target, what, rows, folder))
    return [*jobs, _hang(target, folder, policies[0])]


def _hang(target: Target, folder: Path, policy: Any) -> Job:
    from derl_dsl.elaborate.custom import REGISTRY

    source = folder / "slow_primitive.py"
    source.write_text(HANG)
    derl_dsl.load_primitives(source, deadline=2.0)
    try:
        columns = {"completion": "text"}
        reward = derl_dsl.compile("slow(completion) - 3", columns=columns)
        texts = ("fine", "hang", "fine")
        rows = [{"completion": text, "prompt": "p"} for text in texts]
        what = Export("hang.derl", columns=columns, on_fault=policy)
        return _job("a primitive that hangs", "hang", reward, target, what, rows, folder)
    finally:
        REGISTRY.clear()


def differences(job: Job, seen: list[Any], parts: str, single: bool) -> tuple[list[str], list[str]]:
    """Where values, and where parts, differ from what `reward.score` says."""
    slack = 1e-5 if single else 1e-12 if job.check == "steps" else 0.0  # sums in another order
    wrong = []
    for k, ((value, _), expected) in enumerate(zip(seen, job.expected, strict=True)):
        same = (
            value is None
            if expected is None
            else value is not None and near(value, expected, slack)
        )
        if not same:
            wrong.append(f"{job.job}, row {k}: {value} instead of {expected}")
    lost = []
    for name, column in job.parts.items():
        mean = [v for v in column if v is not None]
        for k, (_, found) in enumerate(seen):
            if found is None or (parts == "means" and k):
                continue
            told = found.get(name, found.get(f"part_{name}"))
            right = column[k] if parts != "means" else (sum(mean) / len(mean) if mean else None)
            absent = told is None or told != told
            if (right is None) != absent or (right is not None and abs(told - right) > 1e-5):
                lost.append(f"{job.job}, part {name}, row {k}: {told} instead of {right}")
    return wrong, lost


def near(a: float, b: float, slack: float) -> bool:
    """Whether two rewards are equal, or alike within the precision of a protocol."""
    return abs(a - b) <= slack * max(1.0, abs(b))


def version_of(text: str) -> str:
    """A version without its local part."""
    return re.sub(r"\+.*", "", text)
