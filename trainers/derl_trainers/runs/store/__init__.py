"""The run store: one SQLite file a run, written before anything is shown or learned from.

    run        one row: what was asked for, how it ended
    starts     when it was begun and gone on with, where, with which versions of what it needs, and
               what the files held that its config names
    phases     warm start, search, confirmation, final: when and how long
    jobs       every computation: warm starts, inner runs, their scores (and `right`, a bit for each
               problem) or why there is none: through the reward itself, or the machine
    proposals  every formula the meta-optimizer wrote: text, findings, key, meta-reward, and the job
               it was trained by (`trained`) or served from (`reused`)
    updates    what each outer step's optimizer saw: loss, KL, gradient norm
    probes     what the meta-optimizer writes before its cold start (step -1), before the search (0)
               and after it: how many sampled formulas pass the checker, never fall when the
               outcome rises, differ by key
    checkpoints  where the outer trainer can go on from after a step

A job's `context` is a digest of all that its score depends on besides formula and seed, so that a
resumed run finds what it computed before it was killed.

The tables that a run prints are the views `steps` and `leaderboard` and the query `comparison`:
every number in them is from the rows above. Paths are relative to the run's folder, so that it can
be moved.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
import sqlite3
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from derl_trainers.runs.store.place import copy, fetch, local_place, on_network
from derl_trainers.runs.store.queries import CONFIRMATION as CONFIRMATION
from derl_trainers.runs.store.queries import Confirmed as Confirmed
from derl_trainers.runs.store.queries import StepRow as StepRow
from derl_trainers.runs.store.queries import StoreError as StoreError
from derl_trainers.runs.store.queries import StoreQueries
from derl_trainers.runs.store.schema import SCHEMA, VERSION
from derl_trainers.runs.store.sound import check

FILE = "run.db"
LOCK = "run.lock"
_COPY_EVERY = 60.0  # seconds between two copies while a phase lasts


class Store(StoreQueries):
    """The open store of one run; every method is one transaction."""

    def __init__(self, path: Path, connection: sqlite3.Connection, mirrored: bool = False) -> None:
        super().__init__(path, connection)
        self.lock: IO[bytes] | None = None
        self.mirrored = mirrored  # whether `path` is a copy of the file that is written
        self.copied = time.monotonic()

    @classmethod
    def create(
        cls, run_dir: Path, name: str, seed: int, config: Any, versions: Mapping[str, str]
    ) -> Store:
        """A new store in a new or empty folder; raises StoreError when that cannot be written."""
        path = run_dir / FILE
        lock: IO[bytes] | None = None
        try:
            run_dir.mkdir(parents=True, exist_ok=True)
            check_empty(run_dir)
            # Of two that begin here at once, one: the other would remove the first one's file.
            lock = _lock(run_dir)
            check_empty(run_dir)
            written = _written(path)
            for old in written.parent.glob(f"{FILE}*"):
                old.unlink()  # of an earlier run in a folder of this name
            db = _connect(written)
            db.execute("PRAGMA journal_mode = WAL")
            script = f"BEGIN; {SCHEMA} PRAGMA user_version = {VERSION}; COMMIT;"
            db.executescript(script)
        except (OSError, sqlite3.Error, StoreError) as error:
            if lock is not None:
                lock.close()
            if isinstance(error, StoreError):
                raise
            reason = getattr(error, "strerror", None) or str(error)
            raise StoreError(f"{run_dir}: cannot write the run folder: {reason}") from None
        store = cls(path, db, written != path)
        store.lock = lock
        with db:
            db.execute(
                "INSERT INTO run (id, name, seed, config, version, status, pid, started)"
                " VALUES (1, ?, ?, ?, ?, 'running', ?, ?)",
                (
                    name,
                    seed,
                    json.dumps(config),
                    versions.get("derl-dsl", ""),
                    os.getpid(),
                    time.time(),
                ),
            )
        store.add_start(versions)
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
        if version != VERSION:
            db.close()
            raise StoreError(f"{path}: is of version {version}, this program reads {VERSION}")
        try:
            check(db, path)
        except StoreError:
            db.close()
            raise
        return cls(path, db)

    @classmethod
    def resume(cls, run_dir: Path, versions: Mapping[str, str]) -> Store:
        """The store of a run that ended early, for going on with it; jobs under way are given up.

        Raises StoreError when there is no run, it finished, or another process works on it.
        """
        with closing(cls.open(run_dir)) as found:
            if found.run()["status"] == "finished":
                raise StoreError(f"{run_dir}: the run is finished; see `derl-dsl runs show`")
        path = run_dir / FILE
        lock, written = _lock(run_dir), _written(path)
        if written != path:
            fetch(path, written)
        store = cls(path, _connect(written), written != path)
        store.lock = lock
        store.end_jobs()
        with store.db:
            store.db.execute(
                "UPDATE run SET status = 'running', error = NULL, ended = NULL, pid = ?",
                (os.getpid(),),
            )
        store.add_start(versions)
        return store

    def add_start(self, versions: Mapping[str, str]) -> None:
        """The run begins or goes on, here and now, with these versions of what it needs."""
        with self.db:
            self.db.execute(
                "INSERT INTO starts (at, host, pid, versions) VALUES (?, ?, ?, ?)",
                (time.time(), socket.gethostname(), os.getpid(), json.dumps(dict(versions))),
            )
        self.mirror()

    def note_start(self, more: Mapping[str, str]) -> None:
        """What else the run has begun or gone on with this time, such as what its files hold."""
        with self.db:
            self.db.execute(
                "UPDATE starts SET versions = json_patch(versions, ?)"
                " WHERE id = (SELECT MAX(id) FROM starts)",
                (json.dumps(dict(more)),),
            )
        self.mirror()

    def mirror(self, within: float = 0.0) -> None:
        """Bring the copy in the run's folder up to date, unless it is younger than so many seconds.

        Nothing to do where the folder's own file is written.
        """
        if self.mirrored and time.monotonic() - self.copied >= within:
            copy(self.db, self.path)
            self.copied = time.monotonic()

    def close(self) -> None:
        """Close the file and let others work on the run."""
        self.db.close()
        if self.lock is not None:
            self.lock.close()

    @contextmanager
    def running(self) -> Iterator[None]:
        """The run's life: on leaving it is finished, interrupted (Ctrl-C) or failed."""
        try:
            yield
        except BaseException as error:
            interrupted = isinstance(error, KeyboardInterrupt)
            message = None if interrupted else f"{type(error).__name__}: {error}"
            # On a full disk this cannot be written either; the run then shows as `died`.
            with suppress(sqlite3.Error, OSError):
                self._end("interrupted" if interrupted else "failed", message)
            raise
        self._end("finished", None)

    def _end(self, status: str, error: str | None) -> None:
        with self.db:
            self.db.execute(
                "UPDATE run SET status = ?, error = ?, ended = ?", (status, error, time.time())
            )
        self.end_jobs()
        self.mirror()

    def end_jobs(self) -> None:
        """Nobody works on what is queued or running any more."""
        with self.db:
            self.db.execute(
                "UPDATE jobs SET status = 'interrupted', ended = ?"
                " WHERE status IN ('queued', 'running')",
                (time.time(),),
            )

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Note when a part of the run began and how long it took, seconds, over all its starts."""
        start = time.monotonic()  # the clock on the wall may be set meanwhile
        with self.db:
            self.db.execute(
                "INSERT INTO phases (name, started) VALUES (?, ?) ON CONFLICT DO NOTHING",
                (name, time.time()),
            )
        try:
            yield
        except BaseException:
            with suppress(sqlite3.Error):
                self._spent(name, time.monotonic() - start, done=False)
            raise
        self._spent(name, time.monotonic() - start, done=True)
        self.mirror()

    def _spent(self, name: str, seconds: float, done: bool) -> None:
        with self.db:
            self.db.execute(
                "UPDATE phases SET seconds = IFNULL(seconds, 0) + ?, done = ? WHERE name = ?",
                (seconds, int(done), name),
            )

    def add_job(
        self,
        kind: str,
        label: str,
        seed: int,
        formula: str | None = None,
        key: str | None = None,
        context: str = "",
    ) -> int:
        """Queue a job; returns its id."""
        with self.db:
            row = self.db.execute(
                "INSERT INTO jobs (kind, label, formula, key, seed, context, status, queued)"
                " VALUES (?, ?, ?, ?, ?, ?, 'queued', ?)",
                (kind, label, formula, key, seed, context, time.time()),
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
        self.mirror(within=_COPY_EVERY)

    def note_job(self, job: int, error: str) -> None:
        """The job's worker died and it is tried again; what happened stays with it."""
        with self.db:
            self.db.execute("UPDATE jobs SET error = ? WHERE id = ?", (error, job))

    def fail_job(self, job: int, error: str, cause: str = "machine") -> None:
        """The job broke: through its reward, which would break it anywhere, or the machine."""
        with self.db:
            self.db.execute(
                "UPDATE jobs SET status = 'failed', error = ?, cause = ?, ended = ? WHERE id = ?",
                (error, cause, time.time(), job),
            )

    def add_proposals(self, step: int, proposals: list[dict[str, Any]]) -> list[int]:
        """One outer step's group as it was checked, in one transaction; returns the ids.

        What a killed run had of this step and later ones is replaced.

        A proposal has completion, formula, stage, diagnostics, key, certificate, meta_reward (of
        a failed one).
        """
        ids = []
        with self.db:
            self.db.execute("DELETE FROM proposals WHERE step >= ?", (step,))
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

    def add_checkpoint(self, step: int, path: str) -> None:
        """The outer trainer can go on from `path`, relative to the run's folder, after `step`."""
        with self.db:
            self.db.execute("INSERT OR REPLACE INTO checkpoints VALUES (?, ?)", (step, path))
        self.mirror()

    def add_probe(self, step: int, probe: dict[str, int]) -> None:
        """How many of some sampled formulas pass the checker; they are not trained."""
        with self.db:
            self.db.execute(
                "INSERT OR REPLACE INTO probes (step, formulas, valid, monotone, distinct_keys)"
                " VALUES (:step, :formulas, :valid, :monotone, :distinct_keys)",
                {"step": step, **probe},
            )


def _written(path: Path) -> Path:
    """The file that is written for a store at `path`: its own, or one on this machine's disk."""
    if not on_network(path.parent):
        return path
    local = local_place(path)
    local.parent.mkdir(parents=True, exist_ok=True)
    return local


def check_empty(run_dir: Path) -> None:
    """Raise StoreError for a folder that holds anything but a lock, which may be an ended run's."""
    if any(entry.name != LOCK for entry in run_dir.iterdir()):
        raise StoreError(f"{run_dir}: the run folder is not empty; choose another")


def _lock(run_dir: Path) -> IO[bytes]:
    """The right to write a run, which ends with the process; raises StoreError when taken."""
    # A link would have another file opened; nothing is ever written to this one.
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        descriptor = os.open(run_dir / LOCK, flags, 0o600)
    except OSError as error:
        raise StoreError(f"{run_dir}: cannot open {LOCK}: {error.strerror}") from None
    file = os.fdopen(descriptor, "r+b")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        raise StoreError(f"{run_dir}: another process works on this run") from None
    return file


def _connect(path: Path, read_only: bool = False) -> sqlite3.Connection:
    uri = f"{path.absolute().as_uri()}?mode={'ro' if read_only else 'rwc'}"
    db = sqlite3.connect(uri, uri=True, timeout=10)
    db.row_factory = sqlite3.Row
    db.execute("PRAGMA foreign_keys = ON")
    return db
