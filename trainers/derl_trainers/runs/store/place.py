"""Where a store's file lies while a run writes it: on a disk of this machine.

SQLite's write-ahead log needs memory that processes share, which a network file system has not:
there a store can be torn. A run whose folder lies on one writes a file in the user's cache, and
copies it to the folder, whole, at every end of a step or phase and once a minute between.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
from contextlib import closing
from pathlib import Path

_NETWORK = frozenset({
    "9p", "afs", "beegfs", "ceph", "cifs", "fuse.glusterfs", "fuse.s3fs", "fuse.sshfs", "gpfs",
    "lustre", "nfs", "nfs4", "smb3", "smbfs", "virtiofs", "wekafs",
})  # fmt: skip
_MOUNTS = Path("/proc/self/mounts")


def on_network(path: Path, mounts: Path = _MOUNTS) -> bool:
    """Whether a path lies on a network file system, as far as the table of mounts says."""
    if not mounts.exists():
        return False
    whole, best, kind = path.absolute().resolve(), -1, ""
    for line in mounts.read_text("utf-8", "replace").splitlines():
        _, place, name, *_ = line.split(" ")
        point = Path(place.encode().decode("unicode_escape"))
        # Of two on the same place the later one is seen.
        if whole.is_relative_to(point) and len(point.parts) >= best:
            best, kind = len(point.parts), name
    return kind in _NETWORK


def local_place(file: Path) -> Path:
    """Where this machine keeps what belongs to a file on a network file system."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    name = hashlib.sha256(str(file.absolute().resolve()).encode()).hexdigest()[:24]
    return cache / "derl-dsl" / "stores" / name / file.name


def fetch(file: Path, local: Path) -> None:
    """Make `local` hold what is known of a store, that it goes on from.

    This machine's own file stays if it has at least as many finished jobs: what was written after
    the last copy. Else another machine has gone on with the run, and the folder's file counts.
    """
    local.parent.mkdir(parents=True, exist_ok=True)
    if not local.exists() or _done(local) < _done(file):
        for old in local.parent.glob(f"{local.name}*"):
            old.unlink()
        with closing(sqlite3.connect(file)) as source:
            copy(source, local)


def _done(file: Path) -> tuple[int, int]:
    """How far a store has come: jobs that are done, and starts."""
    with closing(sqlite3.connect(file)) as db:
        row = db.execute(
            "SELECT (SELECT COUNT(*) FROM jobs WHERE status = 'done'),"
            " (SELECT COUNT(*) FROM starts)"
        ).fetchone()
        return int(row[0]), int(row[1])


def copy(source: sqlite3.Connection, to: Path) -> None:
    """The database as one file, which appears in one move."""
    part = to.with_name(f".{to.name}.part")
    part.unlink(missing_ok=True)
    with closing(sqlite3.connect(part)) as target:
        source.backup(target)
        target.execute("PRAGMA journal_mode = DELETE")  # a reader there needs no shared memory
    os.replace(part, to)
