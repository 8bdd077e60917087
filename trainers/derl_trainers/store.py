"""The run store: one SQLite file a run, written before anything is shown or learned from.

    run        one row: what was asked for, how it ended
    phases     warm start, search, final: when and how long
    jobs       every computation: warm starts, inner runs, their scores or why there is none
    proposals  every formula the meta-optimizer wrote: text, findings, key, meta-reward, and the job
               it was trained by (`trained`) or served from (`reused`)
    updates    what each outer step's optimizer saw: loss, KL, gradient norm
    probes     what the meta-optimizer writes before (step 0) and after the search: how many sampled
               formulas pass the checker, never fall when the outcome rises, differ by key

The tables that a run prints are the views `steps`, `leaderboard` and `comparison` below: every
number in them is a query over the rows above.
"""

from __future__ import annotations

import json
import math
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from derl_runtime.faults import FaultTotal

FILE = "run.db"
_VERSION = 1
_SCHEMA = """
CREATE TABLE run (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    name TEXT NOT NULL, seed INTEGER NOT NULL, config TEXT NOT NULL, version TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('running', 'finished', 'failed', 'interrupted')),
    error TEXT, pid INTEGER NOT NULL, started REAL NOT NULL, ended REAL
) STRICT;
CREATE TABLE phases (
    name TEXT PRIMARY KEY, started REAL NOT NULL, seconds REAL
) STRICT;
CREATE TABLE jobs (
    id INTEGER PRIMARY KEY,
    kind TEXT NOT NULL CHECK (kind IN ('policy', 'start', 'baseline', 'search', 'final')),
    label TEXT NOT NULL, formula TEXT, key TEXT, seed INTEGER NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('queued', 'running', 'done', 'failed', 'interrupted')),
    pass_at_1 REAL CHECK (pass_at_1 BETWEEN 0 AND 1),
    seconds REAL, worker INTEGER, result TEXT, error TEXT, queued REAL NOT NULL, ended REAL,
    CHECK (status != 'done' OR kind = 'policy' OR pass_at_1 IS NOT NULL),
    CHECK (status != 'failed' OR error IS NOT NULL)
) STRICT;
CREATE TABLE proposals (
    id INTEGER PRIMARY KEY,
    step INTEGER NOT NULL, idx INTEGER NOT NULL,
    completion TEXT NOT NULL, formula TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('checked', 'failed', 'trained', 'reused', 'faulted')),
    stage TEXT, diagnostics TEXT NOT NULL, key TEXT, certificate TEXT,
    job INTEGER REFERENCES jobs (id),
    meta_reward REAL, proposed REAL NOT NULL,
    UNIQUE (step, idx),
    CHECK (status != 'failed' OR (stage IS NOT NULL AND IFNULL(meta_reward < 0, 0))),
    CHECK (status NOT IN ('trained', 'reused')
        OR (job IS NOT NULL AND IFNULL(meta_reward >= 0, 0)))
) STRICT;
CREATE TABLE updates (
    step INTEGER PRIMARY KEY, loss REAL, kl REAL, grad_norm REAL, seconds REAL
) STRICT;
CREATE TABLE probes (
    step INTEGER PRIMARY KEY, formulas INTEGER NOT NULL, valid INTEGER NOT NULL,
    monotone INTEGER NOT NULL, distinct_keys INTEGER NOT NULL
) STRICT;
CREATE INDEX jobs_by_key ON jobs (key, seed);

CREATE VIEW steps AS
SELECT step,
    COUNT(*) AS formulas,
    AVG(status != 'failed') AS share_valid,
    SUM(status = 'failed') AS failed,
    SUM(status = 'trained') AS trained,
    SUM(status = 'reused') AS reused,
    AVG(meta_reward) AS mean_reward,
    MAX(meta_reward) AS best_reward,
    (SELECT formula FROM proposals AS p
     WHERE p.step = proposals.step AND p.status IN ('trained', 'reused')
     ORDER BY p.meta_reward DESC, p.id LIMIT 1) AS best_formula
FROM proposals GROUP BY step;

CREATE VIEW leaderboard AS
SELECT p.formula, p.key, p.step, p.idx, p.job, j.pass_at_1
FROM proposals AS p JOIN jobs AS j ON j.id = p.job
WHERE p.status IN ('trained', 'reused') AND j.status = 'done'
ORDER BY j.pass_at_1 DESC, p.id;

CREATE VIEW comparison AS
SELECT label, formula, COUNT(*) AS runs, AVG(pass_at_1) AS mean_score,
    AVG(pass_at_1 * pass_at_1) - AVG(pass_at_1) * AVG(pass_at_1) AS variance
FROM jobs WHERE kind = 'final' AND status = 'done' GROUP BY label ORDER BY MIN(id);
"""


class StoreError(RuntimeError):
    """A run folder that cannot be written or read; the message names it and says why."""


@dataclass(frozen=True, slots=True)
class StepRow:
    """One row of the view `steps`: what one outer step proposed, and how it scored.

    `best_formula` is None when no formula of the step could be used.
    """

    step: int
    formulas: int
    share_valid: float
    failed: int
    trained: int
    reused: int
    mean_reward: float | None
    best_reward: float | None
    best_formula: str | None


class Store:
    """The open store of one run; every method is one transaction."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self.path = path
        self.db = connection

    @classmethod
    def create(cls, run_dir: Path, name: str, seed: int, config: Any, version: str) -> Store:
        """A new store in a new or empty folder; raises StoreError when that cannot be written."""
        path = run_dir / FILE
        try:
            run_dir.mkdir(parents=True, exist_ok=True)
            if any(run_dir.iterdir()):
                raise StoreError(f"{run_dir}: the run folder is not empty; choose another")
            db = _connect(path)
            db.execute("PRAGMA journal_mode = WAL")
            script = f"BEGIN; {_SCHEMA} PRAGMA user_version = {_VERSION}; COMMIT;"
            db.executescript(script)
        except (OSError, sqlite3.Error) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise StoreError(f"{run_dir}: cannot write the run folder: {reason}") from None
        store = cls(path, db)
        with db:
            db.execute(
                "INSERT INTO run (id, name, seed, config, version, status, pid, started)"
                " VALUES (1, ?, ?, ?, ?, 'running', ?, ?)",
                (name, seed, json.dumps(config), version, os.getpid(), time.time()),
            )
        return store

    @classmethod
    def open(cls, run_dir: Path) -> Store:
        """The store of an existing run, for reading; raises StoreError when there is none."""
        path = run_dir / FILE
        if not path.is_file():
            raise StoreError(f"{run_dir}: no run here (no {FILE})")
        try:
            db = _connect(path, read_only=True)
            version = db.execute("PRAGMA user_version").fetchone()[0]
        except sqlite3.Error as error:
            raise StoreError(f"{path}: cannot be read: {error}") from None
        if version != _VERSION:
            db.close()
            raise StoreError(f"{path}: is of version {version}, this program reads {_VERSION}")
        return cls(path, db)

    def close(self) -> None:
        """Close the file."""
        self.db.close()

    @contextmanager
    def running(self) -> Iterator[None]:
        """The run's life: on leaving it is finished, interrupted (Ctrl-C) or failed."""
        try:
            yield
        except BaseException as error:
            interrupted = isinstance(error, KeyboardInterrupt)
            message = None if interrupted else f"{type(error).__name__}: {error}"
            self._end("interrupted" if interrupted else "failed", message)
            raise
        self._end("finished", None)

    def _end(self, status: str, error: str | None) -> None:
        with self.db:
            self.db.execute(
                "UPDATE run SET status = ?, error = ?, ended = ?", (status, error, time.time())
            )
            self.db.execute(
                "UPDATE jobs SET status = 'interrupted', ended = ?"
                " WHERE status IN ('queued', 'running')",
                (time.time(),),
            )

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Note when a part of the run began and how long it took, seconds."""
        start = time.time()
        with self.db:
            self.db.execute("INSERT INTO phases (name, started) VALUES (?, ?)", (name, start))
        yield
        with self.db:
            self.db.execute(
                "UPDATE phases SET seconds = ? WHERE name = ?", (time.time() - start, name)
            )

    def add_job(
        self, kind: str, label: str, seed: int, formula: str | None = None, key: str | None = None
    ) -> int:
        """Queue a job; returns its id."""
        with self.db:
            row = self.db.execute(
                "INSERT INTO jobs (kind, label, formula, key, seed, status, queued)"
                " VALUES (?, ?, ?, ?, ?, 'queued', ?)",
                (kind, label, formula, key, seed, time.time()),
            )
        assert row.lastrowid is not None
        return row.lastrowid

    def start_job(self, job: int, worker: int) -> None:
        """A worker, named by its process id, took the job."""
        with self.db:
            self.db.execute(
                "UPDATE jobs SET status = 'running', worker = ? WHERE id = ?", (worker, job)
            )

    def finish_job(self, job: int, pass_at_1: float | None, seconds: float, result: Any) -> None:
        """The job is done; `result` is everything it reported."""
        with self.db:
            self.db.execute(
                "UPDATE jobs SET status = 'done', pass_at_1 = ?, seconds = ?, result = ?, ended = ?"
                " WHERE id = ?",
                (pass_at_1, seconds, json.dumps(result), time.time(), job),
            )

    def fail_job(self, job: int, error: str) -> None:
        """The job broke, through no score of its own."""
        with self.db:
            self.db.execute(
                "UPDATE jobs SET status = 'failed', error = ?, ended = ? WHERE id = ?",
                (error, time.time(), job),
            )

    def find_score(self, key: str, seed: int) -> tuple[int, float] | None:
        """The job and validation score of an earlier equal reward, None when there is none."""
        row = self.db.execute(
            "SELECT id, pass_at_1 FROM jobs WHERE key = ? AND seed = ? AND status = 'done'"
            " AND kind IN ('baseline', 'search') ORDER BY id LIMIT 1",
            (key, seed),
        ).fetchone()
        return None if row is None else (row["id"], row["pass_at_1"])

    def add_proposals(self, step: int, proposals: list[dict[str, Any]]) -> list[int]:
        """One outer step's group as it was checked, in one transaction; returns the ids.

        A proposal has completion, formula, stage, diagnostics, key, certificate, meta_reward (of
        a failed one).
        """
        ids = []
        with self.db:
            for idx, p in enumerate(proposals):
                row = self.db.execute(
                    "INSERT INTO proposals (step, idx, completion, formula, status, stage,"
                    " diagnostics, key, certificate, meta_reward, proposed)"
                    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    (
                        step,
                        idx,
                        p["completion"],
                        p["formula"],
                        "failed" if p["stage"] else "checked",
                        p["stage"],
                        json.dumps(p["diagnostics"]),
                        p["key"],
                        json.dumps(p["certificate"]),
                        p["meta_reward"],
                        time.time(),
                    ),
                )
                assert row.lastrowid is not None
                ids.append(row.lastrowid)
        return ids

    def score_proposal(self, proposal: int, status: str, job: int, reward: float | None) -> None:
        """A proposal was `trained`, served from an earlier run (`reused`) or `faulted` with it.

        `job` is the run its score, `reward`, comes from.
        """
        with self.db:
            self.db.execute(
                "UPDATE proposals SET status = ?, job = ?, meta_reward = ? WHERE id = ?",
                (status, job, reward, proposal),
            )

    def add_update(self, step: int, metrics: dict[str, float | None]) -> None:
        """What the outer optimizer reported of a step."""
        with self.db:
            self.db.execute(
                "INSERT OR REPLACE INTO updates (step, loss, kl, grad_norm, seconds)"
                " VALUES (:step, :loss, :kl, :grad_norm, :seconds)",
                {"step": step, **metrics},
            )

    def add_probe(self, step: int, probe: dict[str, int]) -> None:
        """How many of some sampled formulas pass the checker; they are not trained."""
        with self.db:
            self.db.execute(
                "INSERT INTO probes (step, formulas, valid, monotone, distinct_keys)"
                " VALUES (:step, :formulas, :valid, :monotone, :distinct_keys)",
                {"step": step, **probe},
            )

    def steps(self) -> list[StepRow]:
        """The rows of the table that a run shows."""
        return [StepRow(**row) for row in self.rows("SELECT * FROM steps ORDER BY step")]

    def best(self) -> dict[str, Any] | None:
        """The proposal with the highest validation score, the earliest of equals."""
        return next(iter(self.rows("SELECT * FROM leaderboard LIMIT 1")), None)

    def faults(self) -> list[FaultTotal]:
        """What went wrong in the inputs of rewards, over all jobs, by input and class."""
        rows = self.rows(
            "SELECT json_extract(f.value, '$.name') AS name,"
            " json_extract(f.value, '$.kind') AS kind,"
            " SUM(json_extract(f.value, '$.batches')) AS batches,"
            " SUM(json_extract(f.value, '$.rows')) AS rows,"
            " json_extract(f.value, '$.sample') AS sample, MIN(jobs.id)"
            " FROM jobs, json_each(jobs.result, '$.faults') AS f"
            " GROUP BY 1, 2 ORDER BY MIN(jobs.id)"
        )
        names = ("name", "kind", "batches", "rows", "sample")
        return [FaultTotal(**{name: row[name] for name in names}) for row in rows]

    def run(self) -> dict[str, Any]:
        """The run's own row; a `running` one whose process is gone is shown as `died`."""
        row = self.rows("SELECT * FROM run")[0]
        if row["status"] == "running" and not _alive(row["pid"]):
            row["status"] = "died"
        return row

    def rows(self, query: str, values: tuple[Any, ...] = ()) -> list[dict[str, Any]]:
        """The rows of a query, as dicts."""
        return [dict(row) for row in self.db.execute(query, values)]


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def _connect(path: Path, read_only: bool = False) -> sqlite3.Connection:
    uri = f"{path.absolute().as_uri()}?mode={'ro' if read_only else 'rwc'}"
    db = sqlite3.connect(uri, uri=True, timeout=10)
    db.row_factory = sqlite3.Row
    db.execute("PRAGMA foreign_keys = ON")
    return db


# 97.5 % quantiles of Student's t for 1, 2, ... degrees of freedom, then the normal one.
_T = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160,
      2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056,
      2.052, 2.048, 2.045, 2.042)  # fmt: skip


def interval(values: list[float]) -> tuple[float, float]:
    """Mean and half width of the 95 % t-interval of at least two values.

    >>> interval([0.4, 0.5, 0.6])
    (0.5, 0.248...)
    """
    n = len(values)
    mean = math.fsum(values) / n
    variance = math.fsum((v - mean) ** 2 for v in values) / (n - 1)
    t = _T[n - 2] if n - 2 < len(_T) else 1.96
    return mean, t * math.sqrt(variance / n)
