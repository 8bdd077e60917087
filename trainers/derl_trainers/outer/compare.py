"""Proposers side by side: whole searches on one budget, over seeds, and what they come to.

Each proposer and seed is a run of `meta-train` in a folder of its own. The runs of one comparison
share start policies, cold starts and the results of inner runs: equal rewards from equal starts
with equal seeds score alike, whoever wrote them, so each is trained once. A comparison that was
killed goes on where it was.
"""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, astuple, dataclass, field, replace
from pathlib import Path
from typing import Any

from derl_runtime.files import write_whole
from derl_trainers.estimates import interval
from derl_trainers.outer.ledger import Paid, ledger, paid_for
from derl_trainers.runs.held import differs
from derl_trainers.runs.store import FILE, Store, StoreError
from derl_trainers.runs.store.comparison import BEST, OUTCOME_ONLY, comparison
from derl_trainers.settings.proposers import PROPOSERS
from derl_trainers.settings.run import load_config
from derl_trainers.settings.train import parse_set

SHARED = "shared"
RESULT = "compare.json"
_SAMPLE = ("grpo", "frozen", "prompted")  # language models, whose decoding can be masked
_LEAD = 0.05


@dataclass(frozen=True, slots=True)
class Search:
    """One run of a comparison: which proposer, which seed, where; `flags` are its own settings."""

    proposer: str
    seed: int
    folder: Path
    flags: tuple[str, ...] = ()

    @property
    def log(self) -> Path:
        """What its process prints."""
        return self.folder.with_suffix(".log")

    def status(self) -> str:
        """The status of its store; `new` when there is none."""
        try:
            with closing(Store.open(self.folder)) as store:
                return str(store.run()["status"])
        except (StoreError, sqlite3.Error):
            return "new"

    def command(self, config: str, flags: Sequence[str]) -> list[str]:
        """The command line that begins it, or goes on with it."""
        begin = [sys.executable, "-m", "derl_dsl", "meta-train", "--quiet"]
        shared = ["--shared", str(self.folder.parent / SHARED)]
        if (self.folder / FILE).exists():
            return [*begin, "--resume", str(self.folder), *shared]
        sets = [
            part
            for flag in (*flags, *self.flags, *variant_flags(self.proposer))
            for part in ("--set", flag)
        ]
        where = ["--seed", str(self.seed), "--run-dir", str(self.folder)]
        return [*begin, config, *where, *shared, *sets]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one search came to.

    `valid` and `rewards` are shares and means of each outer step; `sampled` and `monotone` the
    shares of the probes' formulas that pass the checker and that never punish being right, from
    before the search to its end; `test` maps each reward of the final comparison to its mean
    pass@1 over the training seeds; `ledger` has the points of `outer/ledger.py`, `scores`
    what the formulas that were given scored on validation, `yards` what the baselines did.
    """

    proposer: str
    seed: int
    valid: tuple[float, ...]
    rewards: tuple[float, ...]
    best_formula: str | None
    validation: float | None
    test: Mapping[str, float]
    trained: int
    reused: int
    seconds: float
    sampled: tuple[float, ...] = ()
    monotone: tuple[float, ...] = ()
    ledger: tuple[tuple[float, ...], ...] = ()
    scores: Mapping[str, float] = field(default_factory=dict)
    yards: tuple[float, ...] = ()

    @property
    def paid(self) -> list[Paid]:
        """What had been paid after each inner run, and the best score then."""
        return [Paid(*point) for point in self.ledger]  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean over seeds and the half width of its 95 % t-interval, None for a single seed."""

    mean: float
    half: float | None

    def __str__(self) -> str:
        return f"{self.mean:.3f}" + ("" if self.half is None else f" ± {self.half:.3f}")

    @property
    def signed(self) -> str:
        """With its sign, for differences."""
        return f"{self.mean:+.3f}" + ("" if self.half is None else f" ± {self.half:.3f}")


def variant_flags(name: str) -> list[str]:
    """The settings of a proposer's variant: `frozen+masked` decodes under masks.

    >>> variant_flags("frozen+masked")
    ['proposer.kind=frozen', 'meta.decoding=masked']
    """
    kind, _, decoding = name.partition("+")
    return [f"proposer.kind={kind}", *([f"meta.decoding={decoding}"] if decoding else [])]


def is_variant(name: str) -> bool:
    """Whether a proposer is known, and its decoding is one that it can have.

    >>> is_variant("frozen"), is_variant("frozen+masked"), is_variant("evolution+masked")
    (True, True, False)
    """
    kind, plus, decoding = name.partition("+")
    if kind not in PROPOSERS:
        return False
    return not plus or (kind in _SAMPLE and decoding in ("free", "masked", "mixed"))


def leads(outcome: Outcome) -> Paid | None:
    """What had been paid when a search first scored above all of its baselines by .05."""
    yard = max(outcome.yards, default=None)
    return None if yard is None else paid_for(outcome.paid, yard + _LEAD)


def check_same(todo: Sequence[Search], config: str, flags: Sequence[str]) -> None:
    """Raise StoreError where a search was begun with other settings than these would give it."""
    for search in todo:
        if search.status() == "new":
            continue
        own = (*flags, *search.flags, *variant_flags(search.proposer))
        settings = replace(load_config(config, dict(map(parse_set, own))), seed=search.seed)
        with closing(Store.open(search.folder)) as store:
            before = json.loads(store.run()["config"])
        said = differs(before, json.loads(json.dumps(settings.to_json())))
        if said:
            raise StoreError(
                f"{search.folder}: was begun with other settings ({said}), and would stand beside "
                "those of now; choose another --dir"
            )


def searches(folder: Path, proposers: Sequence[str], seeds: Sequence[int]) -> list[Search]:
    """All runs, proposer by proposer: those of the first make the starts that the others share."""
    return [Search(p, s, folder / f"{p}-{s}") for p in proposers for s in seeds]


def run_all(
    todo: Sequence[Search],
    config: str,
    flags: Sequence[str],
    parallel: int,
    news: Callable[[Mapping[Search, str]], None],
) -> None:
    """Run the searches that are not finished, `parallel` at a time; `news` gets all states."""
    waiting = [search for search in todo if search.status() != "finished"]
    states = {search: "finished" for search in todo if search not in waiting}
    states |= dict.fromkeys(waiting, "waiting")
    running: dict[Search, subprocess.Popen[bytes]] = {}
    try:
        while waiting or running:
            while waiting and len(running) < parallel:
                search = waiting.pop(0)
                search.folder.parent.mkdir(parents=True, exist_ok=True)
                with search.log.open("ab") as log:
                    running[search] = subprocess.Popen(
                        search.command(config, flags), stdout=log, stderr=log
                    )
                states[search] = "running"
            for search, process in list(running.items()):
                if process.poll() is not None:
                    del running[search]
                    states[search] = "finished" if process.returncode == 0 else "failed"
            news(states)
            time.sleep(0.3)
    finally:
        for process in running.values():
            process.terminate()
        for process in running.values():
            process.wait()
    news(states)


def outcome(search: Search) -> Outcome | None:
    """What a search came to, from its store; None when it is not finished."""
    if search.status() != "finished":
        return None
    with closing(Store.open(search.folder)) as store:
        steps, best = [step for step in store.steps() if step.step], store.best()
        seconds = store.rows("SELECT SUM(seconds) AS s FROM jobs WHERE kind != 'final'")[0]["s"]
        rows = comparison(store)
        probes = store.rows("SELECT * FROM probes WHERE step >= 0 ORDER BY step")
        paid = [astuple(point) for point in ledger(store)]
        yards = [
            row["pass_at_1"]
            for row in store.rows("SELECT pass_at_1 FROM jobs WHERE kind = 'baseline'")
            if row["pass_at_1"] is not None
        ]
        given = store.rows("SELECT formula, meta_reward FROM proposals WHERE step = 0")
    return Outcome(
        search.proposer,
        search.seed,
        tuple(step.share_valid for step in steps),
        tuple(-1.0 if step.mean_reward is None else step.mean_reward for step in steps),
        best["formula"] if best else None,
        best["pass_at_1"] if best else None,
        {row.label: row.mean for row in rows},
        sum(step.trained for step in steps),
        sum(step.reused for step in steps),
        seconds or 0.0,
        tuple(p["valid"] / p["formulas"] for p in probes),
        tuple(p["monotone"] / p["formulas"] for p in probes),
        tuple(paid),
        {row["formula"]: row["meta_reward"] for row in given},
        tuple(yards),
    )


def estimate(values: Sequence[float]) -> Estimate:
    """Mean and interval of one value a seed."""
    if len(values) < 2:
        return Estimate(sum(values) / len(values), None)
    return Estimate(*interval(list(values)))


def rise(values: Sequence[float]) -> float:
    """How much a value rises over the steps, from first to last, by least squares.

    >>> rise([0.1, 0.2, 0.3])
    0.2
    """
    n = len(values)
    if n < 2:
        return 0.0
    middle, mean = (n - 1) / 2, sum(values) / n
    slope = sum((i - middle) * (v - mean) for i, v in enumerate(values))
    return round(slope / sum((i - middle) ** 2 for i in range(n)) * (n - 1), 12)


def late(values: Sequence[float]) -> float:
    """The mean over the second half of the steps, the middle one included.

    >>> late([0.1, 0.2, 0.4])
    0.3
    """
    half = values[len(values) // 2 :]
    return round(sum(half) / len(half), 12)


def paired(
    ours: Sequence[Outcome], theirs: Sequence[Outcome], value: Callable[[Outcome], float | None]
) -> Estimate | None:
    """The difference of two proposers by seed; None when no seed has both."""
    known = {o.seed: value(o) for o in theirs}
    found = []
    for o in ours:
        mine, other = value(o), known.get(o.seed)
        if mine is not None and other is not None:
            found.append(mine - other)
    return estimate(found) if found else None


def against(ours: Sequence[Outcome], label: str) -> Estimate | None:
    """The best formula's test pass@1 less that of a baseline, paired by search seed."""
    pairs = [o.test[BEST] - o.test[label] for o in ours if BEST in o.test and label in o.test]
    return estimate(pairs) if pairs else None


def write_result(folder: Path, outcomes: Sequence[Outcome]) -> Path:
    """Everything the tables are made of, as JSON."""
    path = folder / RESULT
    write_whole(path, json.dumps([asdict(o) for o in outcomes], indent=1) + "\n")
    return path


def read_result(folder: Path) -> list[Outcome]:
    """The outcomes that `write_result` wrote.

    Raises StoreError when they cannot be read.
    """
    path = folder / RESULT
    try:
        return [_read(row) for row in json.loads(path.read_text("utf-8"))]
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise StoreError(f"{path}: not the figures of a comparison: {error}") from None


def _read(row: dict[str, Any]) -> Outcome:
    values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in row.items()}
    return Outcome(**values)


def by_proposer(outcomes: Sequence[Outcome]) -> dict[str, list[Outcome]]:
    """The outcomes of each proposer, in the order of the comparison."""
    found: dict[str, list[Outcome]] = {}
    for o in outcomes:
        found.setdefault(o.proposer, []).append(o)
    return found


def baseline_labels(outcomes: Sequence[Outcome]) -> list[str]:
    """The baselines' labels, in the order of the final comparison; the start policy last."""
    found: dict[str, None] = {}
    for o in outcomes:
        found |= dict.fromkeys(label for label in o.test if label != BEST)
    return sorted(found, key=lambda label: (label != OUTCOME_ONLY, label == "start policy"))
