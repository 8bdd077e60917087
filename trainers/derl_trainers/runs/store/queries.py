"""What is asked of the run store; nothing here writes."""

from __future__ import annotations

import json
import os
import socket
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from derl_runtime.faults import FaultTotal

# The label of inner runs on further seeds.
CONFIRMATION = "confirmation"


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


@dataclass(frozen=True, slots=True)
class Confirmed:
    """A reward's validation pass@1 on every seed that it was trained on, and their mean."""

    key: str
    formula: str
    scores: tuple[float, ...]
    mean: float


class StoreQueries:
    """The questions that a store answers; see store.py for the tables."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self.path = path
        self.db = connection

    def is_done(self, phase: str) -> bool:
        """Whether a part of the run ended well."""
        return bool(self.rows("SELECT 1 FROM phases WHERE name = ? AND done", (phase,)))

    def find_job(
        self, kind: str, label: str, seed: int, formula: str | None, context: str
    ) -> dict[str, Any] | None:
        """The row of the very job when it is done, as in a run that was killed after it."""
        rows = self.rows(
            "SELECT * FROM jobs WHERE kind = ? AND label = ? AND seed = ? AND formula IS ?"
            " AND context = ? AND status = 'done' ORDER BY id LIMIT 1",
            (kind, label, seed, formula, context),
        )
        return rows[0] if rows else None

    def find_score(self, key: str, seed: int, context: str) -> int | None:
        """The job that scored an equal reward in equal circumstances, None when there is none.

        One that broke through the reward itself would break again: it is found as well.
        """
        rows = self.rows(
            "SELECT id FROM jobs WHERE key = ? AND seed = ? AND context = ?"
            " AND kind IN ('baseline', 'search')"
            " AND (status = 'done' OR (status = 'failed' AND cause = 'reward'))"
            " ORDER BY status, id LIMIT 1",
            (key, seed, context),
        )
        return int(rows[0]["id"]) if rows else None

    def job(self, name: int) -> dict[str, Any]:
        """The row of a job."""
        return self.rows("SELECT * FROM jobs WHERE id = ?", (name,))[0]

    def is_scored_by(self, job: int) -> bool:
        """Whether some proposal was trained by this job."""
        return bool(self.rows("SELECT 1 FROM proposals WHERE job = ? LIMIT 1", (job,)))

    def times_proposed(self, step: int) -> dict[str, int]:
        """How often each key was proposed in the steps before `step`."""
        rows = self.rows(
            "SELECT key, COUNT(*) AS n FROM proposals WHERE key IS NOT NULL AND step < ?"
            " GROUP BY key",
            (step,),
        )
        return {row["key"]: row["n"] for row in rows}

    def best_rewards(self, step: int) -> list[float]:
        """The best meta-reward of each step up to `step`; one without any counts as the worst."""
        rows = self.rows(
            "SELECT IFNULL(MAX(meta_reward), -1.0) AS best FROM proposals WHERE step <= ?"
            " GROUP BY step ORDER BY step",
            (step,),
        )
        return [row["best"] for row in rows]

    def steps_scored(self) -> int:
        """How many steps, from the first, have all their meta-rewards; what was given is none.

        A step whose every run the machine broke has none: it is done again.
        """
        row = self.rows(
            "SELECT COUNT(DISTINCT step) AS n FROM proposals WHERE step > 0 AND step <"
            " IFNULL((SELECT MIN(step) FROM (SELECT step FROM proposals GROUP BY step"
            " HAVING SUM(status = 'checked') > 0 OR COUNT(meta_reward) = 0)), 1e9)"
        )[0]
        return int(row["n"])

    def best_formulas(self, step: int, count: int) -> list[tuple[str, float]]:
        """The `count` best distinct rewards up to `step` with their meta-rewards, best last."""
        rows = self.rows(
            "SELECT formula, MAX(meta_reward) AS reward FROM proposals"
            " WHERE key IS NOT NULL AND meta_reward IS NOT NULL AND step <= ?"
            " GROUP BY key ORDER BY reward DESC, MIN(id) LIMIT ?",
            (step, count),
        )
        return [(row["formula"], row["reward"]) for row in reversed(rows)]

    def completions(self, step: int) -> list[str]:
        """What was proposed in a step, in order; empty when nothing was."""
        rows = self.rows("SELECT completion FROM proposals WHERE step = ? ORDER BY idx", (step,))
        return [row["completion"] for row in rows]

    def checkpoint(self) -> tuple[int, str] | None:
        """Step and path of the newest checkpoint."""
        rows = self.rows("SELECT * FROM checkpoints ORDER BY step DESC LIMIT 1")
        return (rows[0]["step"], rows[0]["path"]) if rows else None

    def steps(self) -> list[StepRow]:
        """The rows of the table that a run shows."""
        return [StepRow(**row) for row in self.rows("SELECT * FROM steps ORDER BY step")]

    def best(self) -> dict[str, Any] | None:
        """The proposal with the highest validation score, the earliest of equals.

        None whose run was ended by a race: its score is that of a step on the way.
        """
        rows = self.rows(
            "SELECT l.* FROM leaderboard AS l JOIN jobs AS j ON j.id = l.job"
            " WHERE json_extract(j.result, '$.below') IS NULL"
            " ORDER BY l.pass_at_1 DESC, l.step, l.idx LIMIT 1"
        )
        return rows[0] if rows else None

    def curves(self, step: int) -> list[list[dict[str, Any]]]:
        """The points on the way of the baselines' runs and of those of the steps before `step`."""
        rows = self.rows(
            "SELECT json_extract(result, '$.curve') AS curve FROM jobs WHERE status = 'done' AND"
            " (kind = 'baseline' OR id IN (SELECT job FROM proposals WHERE step < ?))",
            (step,),
        )
        return [json.loads(row["curve"]) for row in rows]

    def raced(self) -> dict[str, int]:
        """Of the search's runs: how many there were, how many a race ended, steps not taken."""
        return self.rows(
            "SELECT COUNT(*) AS runs, COUNT(result ->> '$.below') AS ended,"
            " IFNULL(SUM((SELECT config ->> '$.inner.steps' FROM run) - (result ->> '$.steps'))"
            "  FILTER (WHERE result ->> '$.below' IS NOT NULL), 0) AS saved"
            " FROM jobs WHERE kind = 'search' AND status = 'done' AND label != ?",
            (CONFIRMATION,),
        )[0]

    def confirmed(self) -> list[Confirmed]:
        """The rewards that were trained on further seeds to confirm the best, best first."""
        rows = self.rows(
            "SELECT key, formula, json_group_array(pass_at_1) AS scores, AVG(pass_at_1) AS mean,"
            " MIN(id)"
            " FROM jobs WHERE kind IN ('baseline', 'search') AND status = 'done' AND key IN"
            " (SELECT key FROM jobs WHERE label = ?) GROUP BY key ORDER BY mean DESC, MIN(id)",
            (CONFIRMATION,),
        )
        return [
            Confirmed(r["key"], r["formula"], tuple(json.loads(r["scores"])), r["mean"])
            for r in rows
        ]

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
        rows = self.rows("SELECT * FROM run")
        if not rows:
            raise StoreError(f"{self.path}: the run was killed before it began; start it anew")
        row = rows[0]
        last = self.rows("SELECT host FROM starts ORDER BY id DESC LIMIT 1")
        here = not last or last[0]["host"] == socket.gethostname()
        # Of another machine's processes nothing is known here.
        if row["status"] == "running" and here and not _alive(row["pid"]):
            row["status"] = "died"
        return row

    def versions(self) -> list[dict[str, str]]:
        """What the run was begun with, and gone on with, in order."""
        return [json.loads(r["versions"]) for r in self.rows("SELECT * FROM starts ORDER BY id")]

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
