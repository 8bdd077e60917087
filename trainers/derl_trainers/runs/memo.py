"""Results of inner runs that several runs share: equal rewards from equal starts train once.

One SQLite file; any number of processes read and write it.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from derl_trainers.runs.store.place import on_network
from derl_trainers.runs.store.queries import StoreError


class Memo:
    """A table of results by all that they depend on, the versions of the libraries among it.

    Raises StoreError for a file that is none.
    """

    def __init__(self, path: Path, versions: Mapping[str, str]) -> None:
        self.versions = json.dumps(dict(versions), sort_keys=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        self.db = sqlite3.connect(path, timeout=60)
        # A write-ahead log needs memory that processes share: none on a network file system.
        mode = "DELETE" if on_network(path.parent) else "WAL"
        try:
            self.db.execute(f"PRAGMA journal_mode = {mode}")
            with self.db:
                self.db.execute(
                    "CREATE TABLE IF NOT EXISTS scores (digest TEXT NOT NULL,"
                    " versions TEXT NOT NULL, result TEXT NOT NULL, seconds REAL NOT NULL,"
                    " added REAL NOT NULL, PRIMARY KEY (digest, versions)) STRICT"
                )
        except sqlite3.DatabaseError as error:
            self.db.close()
            raise StoreError(f"{path}: no results can be shared here: {error}") from None

    def get(self, digest: str) -> tuple[dict[str, Any], float] | None:
        """A result and the seconds it took to compute, None when nobody has computed it."""
        row = self.db.execute(
            "SELECT result, seconds FROM scores WHERE digest = ? AND versions = ?",
            (digest, self.versions),
        ).fetchone()
        return None if row is None else (json.loads(row[0]), row[1])

    def put(self, digest: str, result: dict[str, Any], seconds: float) -> None:
        """Keep a result; the first of equal ones stays."""
        with self.db:
            self.db.execute(
                "INSERT OR IGNORE INTO scores VALUES (?, ?, ?, ?, ?)",
                (digest, self.versions, json.dumps(result), seconds, time.time()),
            )

    def close(self) -> None:
        """Close the file."""
        self.db.close()
