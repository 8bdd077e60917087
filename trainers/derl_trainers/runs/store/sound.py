"""Whether a store is as a run writes it: what reads it may rely on that.

A run folder is sent around. A file that was changed by hand, cut off in transfer or made to mislead
is refused when it is opened, with the table and row that no run writes.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from derl_trainers.runs.store.queries import StoreError
from derl_trainers.runs.store.schema import SCHEMA

_TIME = "BETWEEN 0 AND 1e11"
_SECONDS = "BETWEEN 0 AND 1e9"
_NUMBER = "BETWEEN -1e9 AND 1e9"
_TEXTS = ("severity", "message", "code")
_SAVED = "(result ->> '$.policy_path')"
_PROVEN = ("lo", "hi", "margin", "vetoes", "outcome_monotone")


def _json(column: str, kind: str) -> str:
    return f"json_valid({column}) AND json_type({column}) = '{kind}'"


def _inside(path: str) -> str:
    """A path that stays in the run's folder."""
    return f"{path} NOT LIKE '/%' AND '/' || {path} || '/' NOT LIKE '%/../%'"


# What holds of every row, beyond the constraints of the schema: table, columns named, condition.
_HOLDS = (
    ("run", "started, ended", f"started {_TIME} AND IFNULL(ended {_TIME}, 1)"),
    ("run", "config", f"{_json('config', 'object')}"
     " AND json_type(config, '$.meta.steps') = 'integer'"),
    ("starts", "versions", _json("versions", "object")),
    ("phases", "started, seconds", f"started {_TIME} AND IFNULL(seconds {_SECONDS}, 1)"),
    ("jobs", "result", f"result IS NULL OR ({_json('result', 'object')})"),
    ("jobs", "result, seconds",
     f"IFNULL(seconds {_SECONDS}, 1) AND (status != 'done' OR seconds IS NOT NULL"
     " AND result IS NOT NULL)"),
    ("jobs", "policy_path", f"result ->> '$.policy_path' IS NULL OR {_inside(_SAVED)}"),
    ("jobs", "result, below", "result -> '$.below' IS NULL OR IFNULL("
     "json_type(result, '$.below.step') = 'integer' AND json_type(result, '$.below.least') = 'real'"
     " AND json_type(result, '$.steps') = 'integer', 0)"),
    ("jobs", "formula", "kind NOT IN ('baseline', 'search') OR formula IS NOT NULL"),
    ("jobs", "error", "status != 'failed' OR trim(error) != ''"),
    ("proposals", "diagnostics", f"{_json('diagnostics', 'array')} AND NOT EXISTS"
     " (SELECT 1 FROM json_each(diagnostics) AS d WHERE d.type != 'object'"
     + "".join(f" OR IFNULL(json_type(d.value, '$.{n}') != 'text', 1)" for n in _TEXTS) + ")"),
    ("proposals", "diagnostics, status", "status != 'failed' OR EXISTS (SELECT 1 FROM"
     " json_each(diagnostics) AS d WHERE d.value ->> '$.severity' = 'error')"),
    ("proposals", "certificate", "certificate IS NULL OR (json_valid(certificate) AND"
     " (json_type(certificate) = 'null' OR ("
     + " AND ".join(f"json_type(certificate, '$.{name}') IS NOT NULL" for name in _PROVEN)
     + " AND json_type(certificate, '$.vetoes') = 'array')))"),
    ("proposals", "meta_reward", f"IFNULL(meta_reward {_NUMBER}, 1)"),
    ("proposals", "job, status", "status NOT IN ('trained', 'reused') OR EXISTS (SELECT 1 FROM jobs"
     " AS j WHERE j.id = job AND j.kind IN ('baseline', 'search') AND j.status = 'done'"
     " AND j.key IS NOT NULL)"),
    ("proposals", "job, status", "status != 'faulted' OR EXISTS (SELECT 1 FROM jobs AS j"
     " WHERE j.id = job AND j.status IN ('failed', 'interrupted'))"),
    ("updates", "seconds", f"IFNULL(seconds {_SECONDS}, 1)"),
    ("probes", "formulas, valid, monotone, distinct_keys",
     "0 <= valid AND valid <= formulas AND monotone BETWEEN 0 AND valid"
     " AND distinct_keys BETWEEN 0 AND valid AND formulas < 1e9"),
    ("checkpoints", "path", _inside("path")),
)  # fmt: skip


def check(db: sqlite3.Connection, path: Path) -> None:
    """Raises StoreError for a store that no run has written."""
    try:
        with closing(sqlite3.connect(":memory:")) as copy:
            db.backup(copy)  # the constraints of a file that is open for reading are not looked at
            wrong = _first_wrong(copy)
    except sqlite3.Error as error:
        wrong = str(error)
    if wrong is not None:
        raise StoreError(f"{path}: is damaged or was changed: {wrong}; use the file as it was")


def _first_wrong(db: sqlite3.Connection) -> str | None:
    with closing(sqlite3.connect(":memory:")) as new:
        new.executescript(SCHEMA)
        made = "SELECT name, sql FROM sqlite_master ORDER BY name"
        ours, theirs = (dict(tuple(row) for row in one.execute(made)) for one in (new, db))
    for name in sorted(ours.keys() ^ theirs.keys() | {n for n in ours if ours[n] != theirs.get(n)}):
        return f"{name} is none of its tables and views, or another"
    said = db.execute("PRAGMA integrity_check(1)").fetchone()[0]
    if said != "ok":
        return " ".join(said.split())
    if (found := db.execute("PRAGMA foreign_key_check").fetchone()) is not None:
        return f"table {found[0]}, row {found[1]}: names a row of {found[2]} that is not there"
    for table, columns, holds in _HOLDS:
        query = f"SELECT rowid FROM {table} WHERE NOT IFNULL({holds}, 0) LIMIT 1"
        if (found := db.execute(query).fetchone()) is not None:
            return f"table {table}, row {found[0]}: no run writes such {columns}"
    return None
