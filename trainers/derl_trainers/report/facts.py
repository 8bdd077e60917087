"""What a report says, read from the run store in one transaction."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import derl_dsl
from derl_dsl.graph.ir import Graph
from derl_runtime.faults import FaultTotal
from derl_trainers.report.classes import structure_class
from derl_trainers.report.effects import effects
from derl_trainers.runs.store import Confirmed, StepRow, Store
from derl_trainers.runs.store.comparison import ComparisonRow, comparison, parts
from derl_trainers.settings.run import ConfigError, load_custom, parse_config

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Formula:
    """One proposal, what came of it, its class, what it pays for, and where its score is from.

    `group` is None for one that failed; `effects` too, and where there are none; `origin` says
    which run served a repeat.
    """

    row: Row
    diagnostics: list[Row]
    certificate: Row | None
    group: str | None
    effects: dict[str, float] | None
    origin: str
    origin_id: int | None

    @property
    def name(self) -> str:
        """Step and place, such as 3.07."""
        return f"{self.row['step']}.{self.row['idx'] + 1:02d}"


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything of one run that its report shows."""

    run: Row
    config: Row
    phases: list[Row]
    steps: list[StepRow]
    formulas: list[Formula]
    updates: list[Row]
    probes: list[Row]
    yards: list[Row]
    comparison: list[ComparisonRow]
    apart: dict[str, list[ComparisonRow]]
    episodes: list[Row]
    best: Row | None
    confirmed: list[Confirmed]
    jobs: list[Row]
    failures: list[Row]
    saved: Row
    where: Row
    faults: list[FaultTotal]

    @property
    def wanted(self) -> int:
        """The outer steps that the config asks for."""
        return int(self.config.get("meta", {}).get("steps", len(self.steps)))


# Spent and saved: a repeat would have cost what the run that serves it did.
_SAVED = """
SELECT COUNT(*) AS repeats, IFNULL(SUM(j.seconds), 0) AS seconds,
    (SELECT COUNT(*) FROM proposals WHERE status IN ('trained', 'reused', 'faulted')) AS usable,
    (SELECT COUNT(*) FROM jobs WHERE json_extract(result, '$.same_as_job') IS NOT NULL) AS twins
FROM proposals AS p JOIN jobs AS j ON j.id = p.job WHERE p.status = 'reused'"""
_JOBS = """
SELECT kind, COUNT(*) AS jobs, SUM(status = 'done') AS done, SUM(status = 'failed') AS failed,
    SUM(status NOT IN ('done', 'failed')) AS unfinished, SUM(seconds) AS seconds,
    AVG(seconds) AS mean_seconds
FROM jobs WHERE json_extract(result, '$.same_as_job') IS NULL GROUP BY kind ORDER BY MIN(id)"""
_EPISODES = """
SELECT kind AS job, label, formula, seed, e.value AS episode
FROM jobs, json_each(jobs.result, '$.episodes') AS e
WHERE status = 'done' AND kind IN ('baseline', 'final')
    AND (kind = 'final' OR NOT EXISTS (SELECT 1 FROM jobs WHERE kind = 'final' AND status = 'done'))
ORDER BY jobs.id, e.id"""
_WHERE = """
SELECT SUM(json_extract(result, '$.generate_seconds')) AS generation,
    SUM(json_extract(result, '$.update_seconds')) AS optimisation,
    SUM(json_extract(result, '$.reward_seconds')) AS reward,
    SUM(json_extract(result, '$.eval_seconds')) AS validation,
    SUM(json_extract(result, '$.seconds')) AS total
FROM jobs WHERE status = 'done' AND json_extract(result, '$.reward_seconds') IS NOT NULL"""


def read_facts(store: Store) -> Facts:
    """The facts of a run, finished or not, all as of one moment."""
    with moment(store):
        run = store.run()
        config = json.loads(run["config"])
        return Facts(
            run,
            config,
            store.rows("SELECT * FROM phases ORDER BY started"),
            store.steps(),
            _formulas(store, config),
            store.rows("SELECT * FROM updates ORDER BY step"),
            store.rows("SELECT * FROM probes ORDER BY step"),
            store.rows(
                "SELECT id, kind, label, formula, key, status, pass_at_1 FROM jobs"
                " WHERE kind IN ('start', 'baseline') ORDER BY id"
            ),
            comparison(store),
            {part: comparison(store, part) for part in parts(store)},
            store.rows(_EPISODES),
            store.best(),
            store.confirmed(),
            store.rows(_JOBS),
            store.rows("SELECT id, kind, label, formula, error FROM jobs WHERE status = 'failed'"),
            store.rows(_SAVED)[0],
            store.rows(_WHERE)[0],
            store.faults(),
        )


@contextmanager
def moment(store: Store) -> Iterator[None]:
    """A run that goes on writing is seen as it was when reading began."""
    store.db.execute("BEGIN")
    try:
        yield
    finally:
        store.db.execute("ROLLBACK")


def _formulas(store: Store, config: Row) -> list[Formula]:
    rows = store.rows(
        "SELECT p.*, j.kind AS job_kind, j.label AS job_label, j.error AS job_error,"
        " j.result ->> '$.stopped' AS stopped"
        " FROM proposals AS p LEFT JOIN jobs AS j ON j.id = p.job ORDER BY p.step, p.idx"
    )
    graphs = _Graphs(config)
    first = {row["job"]: row for row in reversed(rows) if row["status"] == "trained"}
    found = []
    for row in rows:
        certificate = json.loads(row["certificate"] or "null")
        group, moved = None, None
        if certificate is not None:
            graph = graphs.get(row["formula"])
            group = structure_class(graph, certificate)
            moved = effects(graph) if graph is not None else None
        said = json.loads(row["diagnostics"])
        found.append(Formula(row, said, certificate, group, moved, *_origin(row, first)))
    return found


def _origin(row: Row, first: dict[int, Row]) -> tuple[str, int | None]:
    """Where the score of a repeat is from, with the proposal when it is one."""
    if row["status"] != "reused":
        return "", None
    if row["job"] in first:
        source = first[row["job"]]
        return f"{source['step']}.{source['idx'] + 1:02d}", source["id"]
    return str(row["job_label"]), None


class _Graphs:
    """Graphs of formulas over a run's suite, each built once."""

    def __init__(self, config: Row) -> None:
        self.suite = config.get("suite")
        self.known: dict[str, Graph | None] = {}
        # A config of another version, or primitives that are gone: what needs them is `unknown`.
        with suppress(ConfigError):
            load_custom(parse_config(config))

    def get(self, formula: str) -> Graph | None:
        """The graph; None for a formula that does not compile here."""
        if formula not in self.known:
            self.known[formula] = None
            with suppress(derl_dsl.RewardError, ValueError):
                self.known[formula] = derl_dsl.compile(formula, suite=self.suite).graph
        return self.known[formula]
