"""The stores of the evidence as small Parquet files, which the tables are made of."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.evidence.plan import TASKS
from derl_trainers.runs.store import FILE, Store

TABLES = ("runs", "jobs", "proposals", "probes", "phases")
RESULTS = Path(__file__).parent.parent / "results" / "evidence"
_JOBS = """
SELECT id AS job, kind, label, formula, key, seed AS job_seed, status, pass_at_1, seconds, cause,
    json_extract(result, '$.tokens') AS tokens, json_extract(result, '$.steps') AS steps,
    json_extract(result, '$.stopped') AS stopped, json_extract(result, '$.right') AS "right",
    json_extract(result, '$.curve') AS curve, json_extract(result, '$.same_as_job') AS same_as_job
FROM jobs ORDER BY id"""
_PROPOSALS = """
SELECT step, idx, formula, status, stage, key, job, meta_reward FROM proposals
ORDER BY step, idx"""
_PROBES = "SELECT step, formulas, valid, monotone, distinct_keys FROM probes ORDER BY step"
_PHASES = "SELECT name AS phase, seconds, done FROM phases ORDER BY started"


def collect(work: Path, to: Path) -> list[Path]:
    """Write the tables `runs`, `jobs`, `proposals`, `probes` and `phases` of all blocks in `work`.

    Blocks that were collected complete before, and are not in `work`, stay.
    """
    found: dict[str, list[dict[str, Any]]] = {}
    kept = {
        (task, arm, seed)
        for task, arm, seed in finished(to)
        if not (work / task / f"{arm}-{seed}" / FILE).exists()
    }
    for name in TABLES if kept else ():
        rows = pq.read_table(to / f"{name}.parquet").to_pylist()
        found[name] = [row for row in rows if (row["task"], row["arm"], row["seed"]) in kept]
    for task in TASKS:
        for folder in sorted((work / task).glob("*-*")):
            if (folder / FILE).exists():
                for name, rows in _tables(task, folder).items():
                    found.setdefault(name, []).extend(rows)
    written = []
    for name, rows in found.items():
        to.mkdir(parents=True, exist_ok=True)
        path = to / f"{name}.parquet"
        pq.write_table(pa.Table.from_pylist(rows), path, compression="zstd")
        written.append(path)
    return written


def finished(results: Path) -> set[tuple[str, str, int]]:
    """Task, arm and seed of the blocks that were collected complete."""
    return set(best_formulas(results))


def best_formulas(results: Path) -> dict[tuple[str, str, int], str | None]:
    """The best formula of each block that was collected complete; a grid has none."""
    if not (results / "runs.parquet").exists():
        return {}
    rows = pq.read_table(results / "runs.parquet").to_pylist()
    return {
        (row["task"], row["arm"], row["seed"]): row["best_formula"]
        for row in rows
        if row["status"] == "finished"
    }


def _tables(task: str, folder: Path) -> dict[str, list[dict[str, Any]]]:
    arm, _, seed = folder.name.rpartition("-")
    of = {"task": task, "arm": arm, "seed": int(seed)}
    with closing(Store.open(folder)) as store:
        run, best = store.run(), store.best()
        last = store.versions()[-1]
        one = {
            "status": run["status"], "started": run["started"], "ended": run["ended"],
            "config": run["config"], "versions": json.dumps(last),
            "best_formula": best["formula"] if best else None,
            "best_key": best["key"] if best else None,
            "best_validation": best["pass_at_1"] if best else None,
        }  # fmt: skip
        return {
            "runs": [{**of, **one}],
            "jobs": [{**of, **row} for row in store.rows(_JOBS)],
            "proposals": [{**of, **row} for row in store.rows(_PROPOSALS)],
            "probes": [{**of, **row} for row in store.rows(_PROBES)],
            "phases": [{**of, **row} for row in store.rows(_PHASES)],
        }
