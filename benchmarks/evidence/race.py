"""What racing saves a search, and whether it finds the same: frozen searches with and without it.

    python -m benchmarks.evidence.race --start 109 --start 110     # runs both, writes, prints
    python -m benchmarks.evidence.race --start 109 --plain .benchmarks/evidence/arithmetic
    python -m benchmarks.evidence.race --task equations --start 100 --work .benchmarks/race2
    python -m benchmarks.evidence.race --print                     # what was written, again

The proposer `frozen` does not learn, so both searches of a start policy write the same formulas,
from one cold start. `--plain` is a folder of the evidence whose `frozen-START` is the search
without racing, and whose `shared` is copied. Results go to race.json, a row for each start; each
task takes a `--work` of its own.

The cost is set against that of training n formulas in full, E steps of cost C each: n are all that
were written, or all that pass the checker, however often they equal one another. Seconds are of a
machine that may have had other work in one of the two; tokens and steps are not.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sqlite3
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from benchmarks.evidence.collect import RESULTS
from benchmarks.evidence.plan import TASKS, Block
from benchmarks.evidence.run import WORK, run_search
from benchmarks.evidence.secondary import COUNTED, RACE, raced_rows
from derl_runtime.files import write_whole
from derl_trainers.outer.compare import SHARED
from derl_trainers.outer.meta import MEMO
from derl_trainers.runs.store import CONFIRMATION, Store

ARM = "frozen"
Row = dict[str, Any]


def borrow(plain: Path, home: Path) -> None:
    """Copy the start policies, cold starts and scores of earlier searches that may still run."""
    for name in ("policy", "meta"):
        if (plain / name).exists():
            shutil.copytree(plain / name, home / name, dirs_exist_ok=True)
    if (plain / MEMO).exists() and not (home / MEMO).exists():
        with (
            closing(sqlite3.connect(f"file:{plain / MEMO}?mode=ro", uri=True)) as one,
            closing(sqlite3.connect(home / MEMO)) as other,
        ):
            one.backup(other)


def searched(task: str, start: int, folder: Path, flags: Sequence[str] = ()) -> Path:
    """The folder of a whole search, which is run where it is not finished."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    if not run_search(Block(task, start, ARM), folder, time.time() + 86_400, flags):
        raise SystemExit(f"{folder}: not finished; see {folder.with_suffix('.log')}")
    return folder


def compared(task: str, start: int, race: Sequence[int], plain: Path, raced: Path) -> Row:
    """What two searches of the same formulas found and paid."""
    with closing(Store.open(plain)) as one, closing(Store.open(raced)) as other:
        written = "SELECT completion FROM proposals ORDER BY step, idx"
        if one.rows(written) != other.rows(written):
            raise SystemExit(f"{plain} and {raced}: their formulas are not the same")
        yards = [cost(store, "kind = 'baseline'") for store in (one, other)]
        return {
            "task": task,
            "start": start,
            "race": list(race),
            # The same to the digit on one machine with the same libraries, and else not quite.
            "alike": one.rows(_YARDS) == other.rows(_YARDS),
            "plain": found(one),
            "raced": found(other),
            "ended": other.raced()["ended"],
            "of": other.raced()["runs"],
            # What became of the reward that was best without racing.
            "ended_best": ended(other, found(one)["key"]),
            "cost": {
                **{name: full(one, name == "all") for name in ("all", "valid")},
                "plain": added(yards[0], cost(one, _SEARCH)),
                "raced": added(yards[1], cost(other, _SEARCH)),
            },
        }


_YARDS = "SELECT label, pass_at_1, result ->> '$.right' FROM jobs WHERE kind = 'baseline'"
_SEARCH = f"kind = 'search' AND label != '{CONFIRMATION}'"  # confirmation is the same in both


def found(store: Store) -> Row:
    """The best formula after confirmation: its validation pass@1, and that of each seed."""
    best = store.best()
    if best is None:
        return {"formula": None, "key": None, "validation": None, "seeds": []}
    seeds = next((list(c.scores) for c in store.confirmed() if c.key == best["key"]), [])
    return {
        "formula": best["formula"],
        "key": best["key"],
        "validation": best["pass_at_1"],
        "seeds": seeds,
    }


def ended(store: Store, key: str | None) -> str:
    """Why the run of a reward ended early; empty where it did not."""
    rows = store.rows(
        "SELECT result ->> '$.stopped' AS said FROM jobs WHERE key = ? AND status = 'done'"
        f" AND result -> '$.below' IS NOT NULL AND {_SEARCH}",
        (key,),
    )
    return str(rows[0]["said"]) if rows else ""


def cost(store: Store, which: str) -> Row:
    """Runs, inner steps, sampled tokens and seconds of some jobs."""
    return store.rows(
        "SELECT COUNT(*) AS runs, IFNULL(SUM(result ->> '$.steps'), 0) AS steps,"
        " IFNULL(SUM(result ->> '$.tokens'), 0) AS tokens, IFNULL(SUM(seconds), 0.0) AS seconds"
        f" FROM jobs WHERE status = 'done' AND {which}"
    )[0]


def full(store: Store, every: bool) -> Row:
    """What training every formula costs, each what its reward's run did; the others the mean."""
    counts = store.rows(
        "SELECT COUNT(*) AS n, SUM(key IS NOT NULL) AS valid,"
        " SUM(status IN ('trained', 'reused')) AS known FROM proposals"
    )[0]
    known = store.rows(
        "SELECT SUM(result ->> '$.steps') AS steps, SUM(result ->> '$.tokens') AS tokens,"
        " SUM(seconds) AS seconds FROM proposals AS p JOIN jobs AS j ON j.id = p.job"
        " WHERE p.status IN ('trained', 'reused')"
    )[0]
    runs = counts["n" if every else "valid"]
    return {"runs": runs, **{k: v * runs / counts["known"] for k, v in known.items()}}


def added(one: Mapping[str, float], other: Mapping[str, float]) -> Row:
    """The sum of two costs."""
    return {name: one[name] + other[name] for name in COUNTED}


def merged(rows: Iterable[Row]) -> list[Row]:
    """Rows in order, the last of each race, task and start policy."""
    of = {(tuple(r["race"]), r["task"], r["start"]): r for r in rows}
    return [row for _, row in sorted(of.items())]


def main() -> None:
    """What the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--task", choices=TASKS, default="arithmetic")
    parser.add_argument("--start", type=int, action="append", default=[], help="start policy")
    parser.add_argument("--race", type=int, action="append", help="inner step; 5 by default")
    parser.add_argument("--work", type=Path, default=WORK / "race", help="folder of the runs")
    parser.add_argument("--plain", type=Path, help="folder with frozen-START, not raced")
    parser.add_argument("--print", action="store_true", help="the tables alone")
    given = parser.parse_args()
    file, race = RESULTS / RACE, given.race or [5]
    rows = json.loads(file.read_text("utf-8")) if file.exists() else []
    for start in () if given.print else given.start:
        home = given.work / SHARED
        home.mkdir(parents=True, exist_ok=True)
        plain = (given.plain or given.work) / f"{ARM}-{start}"
        if given.plain is not None:
            borrow(given.plain / SHARED, home)
        raced = given.work / f"race-{'-'.join(map(str, race))}-{start}"
        searched(given.task, start, plain)
        searched(given.task, start, raced, [f"meta.race={race}"])
        rows = merged([*rows, compared(given.task, start, race, plain, raced)])
        write_whole(file, json.dumps(rows, indent=1) + "\n")
    print("\n".join(raced_rows(rows)))


if __name__ == "__main__":
    main()
