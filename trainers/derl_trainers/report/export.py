"""A run's tables as Parquet files."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from derl_trainers.report.facts import moment
from derl_trainers.runs.store import Store, StoreError

if TYPE_CHECKING:
    import pyarrow as pa


def export(run: Path, to: Path) -> list[Path]:
    """Write `<table>.parquet` for each table and view of a run into a folder; returns the files.

    Files of an earlier export are replaced. All are as of one moment, also of a run that goes on.
    Raises StoreError when there is no run, or the folder cannot be written.
    """
    with closing(Store.open(run)) as store, moment(store):
        names = [
            row["name"]
            for row in store.rows(
                "SELECT name FROM sqlite_master WHERE type IN ('table', 'view')"
                " AND name NOT LIKE 'sqlite_%' ORDER BY name"
            )
        ]
        tables = {name: _table(store, name) for name in names}
    written = []
    try:
        to.mkdir(parents=True, exist_ok=True)
        for name, table in tables.items():
            path = to / f"{name}.parquet"
            pq.write_table(table, path)
            written.append(path)
    except OSError as error:
        raise StoreError(f"{to}: cannot write the tables: {error.strerror or error}") from None
    return written


def _table(store: Store, name: str) -> pa.Table:
    """A table with the types that it declares; what a view computes has the type of its values."""
    declared = {"INTEGER": pa.int64(), "REAL": pa.float64(), "TEXT": pa.string()}
    rows = store.rows(f'SELECT * FROM "{name}"')
    arrays = {}
    for column in store.rows(f'PRAGMA table_info("{name}")'):
        values = [row[column["name"]] for row in rows]
        kind = declared.get(column["type"])
        if kind is None and all(value is None for value in values):
            kind = pa.float64()
        arrays[column["name"]] = pa.array(values, type=kind)
    return pa.table(arrays)
