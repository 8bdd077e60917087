"""Run folders that came from somebody else: one message, nothing of theirs acts on who looks."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from derl_trainers.runs.store import Store, StoreError
from derl_trainers.runs.store.schema import SCHEMA
from tests.trainers.test_commands import run as call
from tests.trainers.test_report import begin, finish

_MARKED = "\x1b[31m<script>alert(1)</script>\u202e"
VALUES = [
    None,
    "x" * 200,
    "/etc",
    _MARKED,
    -1,
    2**62,
    1e308,
    float("inf"),
    b"\xff\xfe",
    "[" * 100_000,
    '{"a":' * 100_000,
    "{}",
    "[]",
    '{"policy_path": "/etc"}',
    '[{"severity": "error", "message": 3, "code": "DRL101"}]',
]
TABLES = ("run", "starts", "phases", "jobs", "proposals", "updates", "probes", "checkpoints")


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run."""
    folder = tmp_path_factory.mktemp("runs") / "kept"
    with closing(begin(folder)) as store, store.running(), store.phase("search"):
        store.add_probe(0, {"formulas": 40, "valid": 20, "monotone": 10, "distinct_keys": 9})
        store.add_checkpoint(1, "checkpoints/1")
        finish(store)
    with closing(sqlite3.connect(folder / "run.db")) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return folder


def _changed(kept: Path, folder: Path, *statements: tuple[str, tuple[object, ...]]) -> Path | None:
    """A copy of the run after statements that no constraint stops; None where SQLite does."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(kept, folder)
    with closing(sqlite3.connect(folder / "run.db")) as db:
        db.execute("PRAGMA ignore_check_constraints = ON")
        db.execute("PRAGMA writable_schema = ON")
        try:
            for statement, values in statements:
                db.execute(statement, values)
        except sqlite3.Error:
            return None
        db.commit()
    return folder


def _columns(table: str) -> list[str]:
    with closing(sqlite3.connect(":memory:")) as db:
        db.executescript(SCHEMA)
        return [row[1] for row in db.execute(f"PRAGMA table_info({table})")]


def _looked_at(folder: Path) -> Iterator[str]:
    """What each command says of it; the page that it writes too."""
    page = folder.parent / "page.html"
    for command in (
        ["runs", str(folder.parent)],
        ["runs", "show", str(folder)],
        ["report", str(folder), "-o", str(page)],
    ):
        page.unlink(missing_ok=True)
        done = call(*command)
        assert done.exception is None or isinstance(done.exception, SystemExit), command
        if done.exit_code:
            assert done.exit_code == 2
            assert done.stderr.count("\n") == 1
            assert "run.db" in done.stderr
        yield done.output
    written = page.read_text("utf-8") if page.exists() else ""
    assert "<script>alert" not in written
    yield written


@pytest.mark.parametrize("table", TABLES)
def test_a_changed_value_is_one_message_or_shown_as_it_is(
    table: str, kept: Path, tmp_path: Path
) -> None:
    refused = 0
    for column in _columns(table):
        for value in VALUES:
            change = (f"UPDATE {table} SET {column} = ?", (value,))
            folder = _changed(kept, tmp_path / "run", change)
            if folder is None:
                continue
            for said in _looked_at(folder):
                assert "\x1b[31m" not in said
                assert "\u202e" not in said
                refused += "is damaged or was changed" in said
    assert refused > 0


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("DROP VIEW steps", "steps is none of its tables and views"),
        ("DROP TABLE probes", "probes is none of its tables and views"),
        ("CREATE TRIGGER t AFTER UPDATE ON run BEGIN DELETE FROM jobs; END", "t is none of its"),
        ("CREATE VIEW other AS SELECT randomblob(1000000000)", "other is none of its"),
        (
            "UPDATE sqlite_master SET sql = 'CREATE VIEW leaderboard AS SELECT 1'"
            " WHERE name = 'leaderboard'",
            "leaderboard is none of its tables and views, or another",
        ),
        ("UPDATE proposals SET job = 999", "names a row of jobs that is not there"),
        ("UPDATE checkpoints SET path = '/tmp/evil'", "no run writes such path"),
        ("UPDATE checkpoints SET path = 'a/../../evil'", "no run writes such path"),
        (
            "UPDATE jobs SET result = json_set(result, '$.policy_path', '../../evil')"
            " WHERE result IS NOT NULL",
            "no run writes such policy_path",
        ),
        ("UPDATE jobs SET pass_at_1 = 7", "CHECK constraint failed in jobs"),
    ],
)
def test_what_no_run_writes_is_refused(
    statement: str, said: str, kept: Path, tmp_path: Path
) -> None:
    folder = _changed(kept, tmp_path / "run", (statement, ()))
    assert folder is not None
    with pytest.raises(StoreError, match=said):
        Store.open(folder)
    with pytest.raises(StoreError, match=said):
        Store.resume(folder, {})
    done = call("meta-train", "--resume", str(folder))
    assert (done.exit_code, done.stdout) == (2, "")
    assert said in done.stderr


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 0.999])
def test_a_file_that_was_cut_off(share: float, kept: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(kept, folder)
    data = (folder / "run.db").read_bytes()
    (folder / "run.db").write_bytes(data[: int(len(data) * share)])
    for said in _looked_at(folder):
        assert "Traceback" not in said


def test_bytes_of_the_middle_are_another_s(kept: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    data = bytearray((kept / "run.db").read_bytes())
    for start in range(4096, len(data) - 64, len(data) // 12):
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(kept, folder)
        (folder / "run.db").write_bytes(data[:start] + b"\xff" * 64 + data[start + 64 :])
        for said in _looked_at(folder):
            assert "Traceback" not in said


def test_a_run_as_it_was_written_is_read(kept: Path) -> None:
    with closing(Store.open(kept)) as store:
        assert store.run()["status"] == "finished"
    assert [bool(said) for said in _looked_at(kept)] == [True, True, True, True]
