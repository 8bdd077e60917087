"""Results of inner runs that several runs share: equal rewards from equal starts train once.

One SQLite file in WAL mode; any number of processes read and write it.
"""

from __future__ import annotations

import json
import sqlite3
import time
from pathlib import Path
from typing import Any


class Memo:
    """A table of results by the digest of all that they depend on."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.db = sqlite3.connect(path, timeout=60)
        self.db.execute("PRAGMA journal_mode = WAL")
        with self.db:
            self.db.execute(
                "CREATE TABLE IF NOT EXISTS results (digest TEXT PRIMARY KEY,"
                " result TEXT NOT NULL, seconds REAL NOT NULL, added REAL NOT NULL) STRICT"
            )

    def get(self, digest: str) -> tuple[dict[str, Any], float] | None:
        """A result and the seconds it took to compute, None when nobody has computed it."""
        row = self.db.execute(
            "SELECT result, seconds FROM results WHERE digest = ?", (digest,)
        ).fetchone()
        return None if row is None else (json.loads(row[0]), row[1])

    def put(self, digest: str, result: dict[str, Any], seconds: float) -> None:
        """Keep a result; the first of equal ones stays."""
        with self.db:
            self.db.execute(
                "INSERT OR IGNORE INTO results VALUES (?, ?, ?, ?)",
                (digest, json.dumps(result), seconds, time.time()),
            )

    def close(self) -> None:
        """Close the file."""
        self.db.close()
