"""Transfer: what trained searches of the evidence are worth on targets they have not seen.

    python -m benchmarks.evidence.transfer --runs .benchmarks/evidence/arithmetic --start 109

Each source is a `grpo` block, each target a change of its settings, and each pair of them one start
policy on which `derl-dsl transfer`'s three arms pay for the level of the source's best formula.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.evidence.collect import RESULTS
from derl_trainers.outer.compare import outcome, run_all
from derl_trainers.outer.inherit import BEST, best
from derl_trainers.outer.transfer import arms, reached, write_config

TABLE = RESULTS / "transfer.parquet"
AWAY = 100  # the start policy of a target is this far from its source's: never one of a source
STEPS = 3
TARGETS: dict[str, tuple[str, ...]] = {
    "other start policies and problems": ("task.arithmetic.seed=8",),
    "sums of five terms": ("task.arithmetic.terms=5",),
    "a policy 2.4 times as large": ("policy.tiny.hidden_size=192", "policy.tiny.layers=3"),
    "equations": ("task.name=equations", "task.equations.seed=9", "policy.tiny.steps=1000"),
}


def run_target(source: Path, seed: int, target: str, work: Path) -> list[dict[str, Any]]:
    """The three arms from one source on one target, as rows; goes on where it was."""
    folder = work / f"{list(TARGETS).index(target)}-{seed}"
    todo = arms(source, folder, [seed + AWAY], BEST)
    flags = [f"meta.steps={STEPS}", *TARGETS[target]]
    run_all(todo, write_config(source, folder), flags, 1, lambda *_: None)
    done = [(search.folder.name.rpartition("-")[0], outcome(search)) for search in todo]
    found = [(arm, each) for arm, each in done if each is not None]
    ends = {arm: each.paid[-1] for arm, each in found}
    return [
        {
            "target": target, "source": seed, "seed": row.seed, "arm": row.arm, "level": row.level,
            "reached": row.paid is not None, "area": row.area, "valid": row.valid,
            "best": ends[row.arm].best,
            # What was paid until then, or in all where the level was never reached.
            "runs": (row.paid or ends[row.arm]).runs, "tokens": (row.paid or ends[row.arm]).tokens,
            "seconds": (row.paid or ends[row.arm]).seconds,
        }
        for row in reached(found, best(source, 1)[0])
    ]  # fmt: skip


def known() -> list[dict[str, Any]]:
    """The rows so far."""
    return pq.read_table(TABLE).to_pylist() if TABLE.exists() else []


def main() -> None:
    """Run what is missing, source by source, each on all targets, until the time is over."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=Path, required=True, help="folder with blocks `grpo-SEED`")
    parser.add_argument("--start", type=int, action="append", required=True, help="source's seed")
    parser.add_argument("--work", type=Path, default=Path(".benchmarks/transfer"))
    parser.add_argument("--hours", type=float, default=24.0, help="when to begin no further one")
    given = parser.parse_args()
    until = time.time() + 3600 * given.hours
    for seed in given.start:
        for target in TARGETS:
            if time.time() > until or any(
                (row["source"], row["target"]) == (seed, target) for row in known()
            ):
                continue
            began = time.time()
            rows = run_target(given.runs / f"grpo-{seed}", seed, target, given.work)
            pq.write_table(pa.Table.from_pylist([*known(), *rows]), TABLE, compression="zstd")
            print(f"{target}, source {seed}: {len(rows)} arms, {time.time() - began:.0f} s",
                  flush=True)  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
