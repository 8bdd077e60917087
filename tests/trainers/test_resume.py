"""A run killed at any moment and resumed ends like one that nobody killed."""

import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest

from derl_trainers.runs.store import Store, StoreError
from tests.trainers.test_meta import MINI, toml

pytestmark = pytest.mark.xdist_group("training")

QUERIES = (
    "SELECT step, idx, completion, formula, status, stage, key, meta_reward FROM proposals"
    " ORDER BY step, idx",
    "SELECT * FROM steps",
    "SELECT label, formula, seed, pass_at_1 FROM jobs WHERE kind = 'final' AND status = 'done'"
    " ORDER BY label, seed",
    "SELECT step, loss, kl, grad_norm FROM updates ORDER BY step",
    "SELECT * FROM probes ORDER BY step",
)


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "derl_dsl", "meta-train", *arguments]


def run(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        command(*arguments), cwd=folder, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def tables(folder: Path) -> list[list[dict[str, Any]]]:
    with closing(Store.open(folder)) as store:
        assert store.run()["status"] == "finished"
        return [store.rows(query) for query in QUERIES]


def kill_when(folder: Path, name: str, ready: Callable[[Store], bool], *arguments: str) -> None:
    """Start or go on, and kill -9 the process once the store says it is time."""
    with subprocess.Popen(
        command(*arguments), cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        end = time.monotonic() + 300
        while time.monotonic() < end and process.poll() is None:
            with suppress(StoreError, sqlite3.Error), closing(Store.open(folder / name)) as store:
                if ready(store):
                    break
            time.sleep(0.01)
        assert process.poll() is None, "it ended before it was killed"
        os.kill(process.pid, signal.SIGKILL)
    with closing(Store.open(folder / name)) as store:
        assert store.rows("PRAGMA integrity_check") == [{"integrity_check": "ok"}]
        assert store.run()["status"] == "died"


def any_row(query: str) -> Callable[[Store], bool]:
    return lambda store: bool(store.rows(f"{query} LIMIT 1"))


# In the order of a run: one process is killed at each in turn, and the next goes on.
MOMENTS = {
    "warm start": any_row("SELECT 1 FROM jobs WHERE kind = 'policy' AND status = 'running'"),
    "inner run": any_row("SELECT 1 FROM jobs WHERE kind = 'search' AND status = 'running'"),
    "store write": any_row("SELECT 1 FROM proposals WHERE status = 'trained'"),
    "outer update": any_row("SELECT 1 FROM updates"),
    "validation": any_row("SELECT 1 FROM jobs WHERE kind = 'final' AND status = 'running'"),
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run that nobody killed."""
    folder = tmp_path_factory.mktemp("resume")
    (folder / "mini.toml").write_text(toml(MINI))
    run(folder, "mini.toml", "--run-dir", "whole")
    return folder


@pytest.mark.parametrize(
    "names",
    [
        pytest.param(("inner run", "outer update"), id="two"),
        pytest.param(tuple(MOMENTS), id="five", marks=pytest.mark.slow),
    ],
)
def test_killed_on_the_way_it_ends_as_if_nobody_had(whole: Path, names: tuple[str, ...]) -> None:
    shutil.rmtree(whole / "killed", ignore_errors=True)
    begin = ("mini.toml", "--run-dir", "killed")
    for moment in map(MOMENTS.__getitem__, names):
        kill_when(whole, "killed", moment, *begin)
        begin = ("--resume", "killed")
    output = run(whole, *begin)
    assert tables(whole / "killed") == tables(whole / "whole")
    assert "goes on" in output
    # Its page says the same as well, also when writing it was killed before.
    page = [sys.executable, "-m", "derl_dsl", "report", "killed"]
    with subprocess.Popen(page, cwd=whole, stdout=subprocess.DEVNULL) as writing:
        time.sleep(0.2)
        writing.kill()
    subprocess.run(page, cwd=whole, check=True, capture_output=True)
    assert (whole / "killed" / "report.html").stat().st_size > 10_000


def events(folder: Path) -> int:
    """How much the store of a run has noted so far, -1 where there is none yet."""
    with suppress(StoreError, sqlite3.Error), closing(Store.open(folder)) as store:
        return sum(
            int(store.rows(f"SELECT {what} AS n FROM {table}")[0]["n"])
            for what, table in (
                ("COUNT(worker) + COUNT(ended)", "jobs"),
                ("COUNT(*) + COUNT(job)", "proposals"),
                ("COUNT(*) + IFNULL(SUM(done), 0)", "phases"),
                ("COUNT(*)", "updates"),
            )
        )
    return -1


@pytest.mark.slow
def test_killed_at_random_moments(whole: Path) -> None:
    rng = random.Random(os.environ.get("DERL_SEED", "0"))
    begin, kills = ("mini.toml", "--run-dir", "random"), 0
    while kills < 5:
        wanted = max(0, events(whole / "random")) + rng.randrange(1, 12)
        with subprocess.Popen(
            command(*begin), cwd=whole, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as process:
            while process.poll() is None and events(whole / "random") < wanted:
                time.sleep(0.01)
            if process.poll() is not None:
                break  # It was done before its moment came.
            time.sleep(rng.uniform(0, 0.5))  # not only between two events
            process.kill()
        kills += 1
        begin = ("--resume", "random")
    assert kills
    with closing(Store.open(whole / "random")) as store:
        finished = store.run()["status"] == "finished"
    if not finished:
        run(whole, *begin)
    assert tables(whole / "random") == tables(whole / "whole")


def test_a_finished_or_running_run_is_not_resumed(whole: Path) -> None:
    done = subprocess.run(
        command("--resume", "whole"), cwd=whole, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert "the run is finished" in done.stderr
    store = Store.create(whole / "busy", "t", 0, MINI, {})
    with pytest.raises(StoreError, match="another process works on this run"):
        Store.resume(whole / "busy", {})
    store.close()
    Store.resume(whole / "busy", {}).close()
