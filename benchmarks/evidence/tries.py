"""Settings of the meta-optimizer tried on surrogates: a screen for what real runs should confirm.

    python -m benchmarks.evidence.tries                         # what is missing, all tries
    python -m benchmarks.evidence.tries --start 100 --try grpo  # a part of it

One row a try and start policy goes to `results/evidence/tries.parquet`; what is there is not run
again. `tables.py` makes the section of TABLES.md of it.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.evidence.collect import RESULTS
from benchmarks.evidence.landscape import Landscape, measured
from benchmarks.evidence.plan import HERE
from benchmarks.evidence.surrogate import PLAIN, Answer, run_search
from derl_trainers.outer.compare import variant_flags
from derl_trainers.settings.run import RunConfig, load_config
from derl_trainers.settings.train import parse_set

WORK, FILE = Path(".benchmarks/tries"), "tries.parquet"
STARTS = tuple(range(100, 109))
_NEXT = 1000  # between the seeds of repeats


@dataclass(frozen=True, slots=True)
class Try:
    """An arm of the evidence with settings of its own, as `--set` takes them."""

    name: str
    arm: str
    sets: tuple[str, ...] = ()
    answer: Answer = PLAIN

    def config(self, seed: int) -> RunConfig:
        """The task's settings with those of the try."""
        # Probes are of no account here.
        flags = dict(map(parse_set, ("meta.probe=1", *variant_flags(self.arm), *self.sets)))
        return replace(load_config(HERE / "arithmetic.toml", flags), seed=seed)


_RATE, _APART = "meta.learning_rate", "meta.rewards=apart"


def _long(steps: int, *sets: str) -> tuple[str, ...]:
    return (f"meta.steps={steps}", *sets)


FREE, MASKED = "frozen", "frozen+masked"
TRIES = (
    # What others are compared with, at any number of inner runs; nothing depends on the group.
    Try(FREE, "frozen", _long(15, "meta.formulas=64")),
    Try(MASKED, "frozen+masked", _long(10, "meta.formulas=64")),
    Try("grpo", "grpo"),
    Try("grpo, 20 steps", "grpo", _long(20)),
    Try("grpo, 20 steps, no noise", "grpo", _long(20), Answer(noise=False)),
    Try("grpo, 20 steps, apart", "grpo", _long(20, _APART)),
    Try("grpo+masked, 20 steps, apart", "grpo+masked", _long(20, _APART)),
    Try("grpo, 20 steps, rate x 3", "grpo", _long(20, f"{_RATE}=6e-4")),
    Try("grpo, 20 steps, rate x 10", "grpo", _long(20, f"{_RATE}=2e-3")),
    Try("grpo, 20 steps, cold start to 90 %", "grpo", _long(20, "meta.cold_valid=0.9")),
    Try("grpo, 10 steps of 32", "grpo", _long(10, "meta.formulas=32")),
    Try("grpo+masked", "grpo+masked"),
    Try("grpo+masked, 20 steps", "grpo+masked", _long(20)),
    Try("grpo+masked, 20 steps, no noise", "grpo+masked", _long(20), Answer(noise=False)),
    Try("grpo+masked, 20 steps, rate x 3", "grpo+masked", _long(20, f"{_RATE}=6e-4")),
    Try("grpo+masked, 20 steps, rate x 10", "grpo+masked", _long(20, f"{_RATE}=2e-3")),
    Try("grpo+masked, 40 steps of 8", "grpo+masked", _long(40, "meta.formulas=8")),
    Try("grpo+masked, 10 steps of 32", "grpo+masked", _long(10, "meta.formulas=32")),
    Try("grpo+masked, 5 steps of 64", "grpo+masked", _long(5, "meta.formulas=64")),
    Try("grpo+masked, 20 steps, beta 0", "grpo+masked", _long(20, "meta.beta=0")),
    Try("grpo+masked, 20 steps, 1 update", "grpo+masked", _long(20, "meta.updates=1")),
    Try("grpo+masked, 20 steps, 16 updates", "grpo+masked", _long(20, "meta.updates=16")),
    Try("grpo+masked, 20 steps, temperature 1.3", "grpo+masked",
        _long(20, "meta.temperature=1.3")),
    Try("grpo+masked, 20 steps, 256 wide, 4 layers", "grpo+masked",
        _long(20, "meta.hidden_size=256", "meta.layers=4")),
    Try("grpo+masked, 20 steps, history 4", "grpo+masked",
        _long(20, "meta.history=4")),
    Try("grpo+masked, 20 steps, repeats averaged", "grpo+masked",
        _long(20, "meta.repeats=average")),
    Try("grpo+masked, 20 steps, 3 inner seeds", "grpo+masked", _long(20), Answer(seeds=3)),
)  # fmt: skip


def landscapes(results: Path, starts: Sequence[int]) -> dict[int, Landscape]:
    """The surrogates of start policies, from the runs that were collected."""
    every = pq.read_table(results / "jobs.parquet").to_pylist()
    jobs = [job for job in every if job["task"] == "arithmetic"]
    return {start: Landscape(start, measured(jobs, start)) for start in starts}


def rows(results: Path) -> list[dict[str, Any]]:
    """What was tried so far."""
    path = results / FILE
    return pq.read_table(path).to_pylist() if path.exists() else []


def run_try(one: Try, landscape: Landscape, repeat: int, work: Path) -> dict[str, Any]:
    """The row of a try on a start policy; a repeat has seeds of its own."""
    start = landscape.start
    config = one.config(start + _NEXT * repeat)
    home = work / f"shared-{config.seed}"
    found = run_search(config, landscape, one.answer, work / "run", home)
    texts = {name: json.dumps(found.pop(name)) for name in ("curve", "steps")}
    return {
        "task": "arithmetic", "name": one.name, "start": start, "repeat": repeat,
        "arm": one.arm,
        "sets": json.dumps(one.sets), "answer": json.dumps(asdict(one.answer)),
        **found, **texts,
    }  # fmt: skip


def run_all(
    tries: Sequence[Try], starts: Sequence[int], repeats: int, results: Path, work: Path
) -> None:
    """Run what is missing, start policy by start policy, and write each row when it is there."""
    grounds = landscapes(results, starts)
    work.mkdir(parents=True, exist_ok=True)
    found = rows(results)
    done = {(row["name"], row["start"], row["repeat"]) for row in found}
    for repeat, start, one in product(range(repeats), starts, tries):
        if (one.name, start, repeat) in done:
            continue
        found.append(run_try(one, grounds[start], repeat, work))
        pq.write_table(pa.Table.from_pylist(found), results / FILE, compression="zstd")
        row = found[-1]
        print(f"{start}/{repeat} {one.name}: {row['value']:.3f}, "
              f"{row['runs']} runs, {row['seconds']:.0f} s", flush=True)  # fmt: skip


def main() -> None:
    """What the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--start", type=int, action="append", help="start policy; all by default")
    parser.add_argument("--try", dest="tries", action="append", help="its name; all by default")
    parser.add_argument("--repeats", type=int, default=1, help="searches of a try and start policy")
    parser.add_argument("--work", type=Path, default=WORK, help="folder of cold starts")
    given = parser.parse_args()
    known = {one.name: one for one in TRIES}
    wanted = [known[name] for name in given.tries or known]
    run_all(wanted, given.start or STARTS, given.repeats, RESULTS, given.work)


if __name__ == "__main__":
    main()
