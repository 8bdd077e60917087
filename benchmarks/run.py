"""Runs the benchmarks of this folder: `make bench`, or `python -m benchmarks.run [NAME ...]`.

A benchmark is a module here with a function `benchmarks()` that gives `Benchmark`s. The contenders
of one are run in turns, so that what else the machine does meets all of them alike; medians count.
Each leaves `results/NAME.json`; the tables of README.md and the plots are made anew from all of
these. `--quick` runs each once on its small cases, to see that it works, and writes nothing here.
"""

from __future__ import annotations

import argparse
import gc
import json
import math
import os
import platform
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from importlib import import_module
from importlib.metadata import version
from itertools import groupby, repeat
from pathlib import Path
from pkgutil import iter_modules
from typing import Any

HERE = Path(__file__).parent
RESULTS = HERE / "results"
# What serves the benchmarks or is run by hand.
_SUPPORT = (
    "agents", "costs", "evidence", "hostile_rows", "run", "report", "plots", "targets",
    "executors", "shaping",
)  # fmt: skip
_FEWEST = 3


@dataclass(frozen=True, slots=True)
class Contender:
    """One way to do the work; `does` says in words what it does and does not.

    `run` is None for one that cannot do it: then `does` says why. Its result may differ by
    `tolerance` (absolute and relative) from the first contender's, where a benchmark compares them;
    one that is not `compared` does other work, to measure by.
    `slow_start` marks one that takes seconds to get ready; `--quick` leaves it out.
    """

    name: str
    run: Callable[[], object] | None
    does: str
    tolerance: float = 1e-9
    compared: bool = True
    slow_start: bool = False


Contenders = tuple[Contender, ...]


@dataclass(frozen=True, slots=True)
class Benchmark:
    """Contenders for the same work; a function that makes them is called when they are needed.

    `amount` is how many of `unit` one run does: then the rate is reported; without it the seconds
    of a run, divided by the `calls` that it makes. `target` is what the first contender has to
    reach.

    A sample lasts at least `sample` seconds, by repetition of the run; a contender that has used
    `budget` seconds drops out, after three samples. With `same`, the results of all are compared
    before they are timed. `process` is the environment of a process of its own to measure in.
    Benchmarks of one `table` are shown together, a column for each `case`.
    """

    name: str
    title: str
    contenders: Contenders | Callable[[], Contenders]
    rounds: int
    unit: str = "s"
    amount: float | None = None
    target: float | None = None
    calls: int = 1
    sample: float = 0.0
    budget: float = math.inf
    same: bool = False
    process: Mapping[str, str] = field(default_factory=dict)
    table: str = ""
    case: str = ""
    # Whether `--quick` runs it.
    quick: bool = True


def machine() -> dict[str, str]:
    """What the figures were measured on."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        names = [line for line in cpuinfo.read_text().splitlines() if line.startswith("model name")]
        model = names[0].partition(":")[2].strip() if names else model
    return {
        "cpu": model,
        "cores": str(os.cpu_count()),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "derl-dsl": version("derl-dsl"),
    }


def measure(benchmark: Benchmark, quick: bool = False) -> dict[str, Any]:
    """The record of one benchmark: a warm-up each, then rounds in which all take their turn."""
    made = benchmark.contenders
    contenders = made() if callable(made) else made
    able = [c for c in contenders if c.run is not None and not (quick and c.slow_start)]
    _warm_up(able, benchmark.same)
    seconds = _rounds(able, benchmark)
    rows = []
    for c in contenders:
        row: dict[str, Any] = {"name": c.name, "does": c.does}
        if c.name in seconds:
            row |= _figures([s / benchmark.calls for s in seconds[c.name]], benchmark.amount)
        if c.run is None or c.name in seconds:
            rows.append(row)
    return {
        "name": benchmark.name,
        "title": benchmark.title,
        "table": benchmark.table,
        "case": benchmark.case,
        "unit": benchmark.unit,
        "target": benchmark.target,
        "machine": machine(),
        "load": round(os.getloadavg()[0], 1),
        "contenders": rows,
    }


def _warm_up(contenders: list[Contender], same: bool) -> None:
    """Run each once; with `same`, all must give the numbers of the first."""
    expected = None
    for c in contenders:
        assert c.run is not None
        result = c.run()
        if not same or not c.compared:
            continue
        import numpy as np  # what compares numbers has it loaded

        parts = result if isinstance(result, list) else [result]
        found = np.concatenate([np.asarray(p, dtype=np.float64).ravel() for p in parts])
        if expected is None:
            expected = found
        elif not np.allclose(found, expected, rtol=c.tolerance, atol=c.tolerance, equal_nan=True):
            far = float(np.nanmax(np.abs(found - expected)))
            raise SystemExit(f"{c.name} is not equal to {contenders[0].name}: off by {far:.3g}")


def _sample(run: Callable[[], object], times: int) -> float:
    """The seconds of one run, from `times` in a row."""
    turns = repeat(None, times)
    start = time.perf_counter_ns()
    for _ in turns:
        run()
    return (time.perf_counter_ns() - start) / 1e9 / times


def _rounds(contenders: list[Contender], benchmark: Benchmark) -> dict[str, list[float]]:
    seconds: dict[str, list[float]] = {c.name: [] for c in contenders}
    times = {c.name: _times(c, benchmark.sample) for c in contenders}
    used = dict.fromkeys(seconds, 0.0)
    # In an order drawn anew each time: who always came after the same one would always find the
    # caches as that one leaves them.
    turns, draw = list(contenders), random.Random(0)
    gc.collect()
    gc.disable()
    try:
        for _ in range(benchmark.rounds):
            draw.shuffle(turns)
            for c in turns:
                if used[c.name] > benchmark.budget and len(seconds[c.name]) >= _FEWEST:
                    continue
                assert c.run is not None
                taken = _sample(c.run, times[c.name])
                seconds[c.name].append(taken)
                used[c.name] += taken * times[c.name]
    finally:
        gc.enable()
    return seconds


def _times(contender: Contender, sample: float) -> int:
    """How often a run is repeated so that it lasts `sample` seconds."""
    if not sample:
        return 1
    assert contender.run is not None
    times = 1
    while True:
        # The best of three: one that other work interrupts seems long enough and is not.
        taken = min(_sample(contender.run, times) for _ in range(3)) * times
        if taken >= sample:
            return times
        times = max(2 * times, math.ceil(1.2 * sample / max(taken / times, 1e-9)))


def _figures(seconds: list[float], amount: float | None) -> dict[str, float]:
    values = sorted(amount / s if amount else s for s in seconds)
    low, _, high = statistics.quantiles(values, n=4) if len(values) > 1 else values * 3
    best = max(values) if amount else min(values)
    found = {"median": statistics.median(values), "low": low, "high": high, "best": best}
    return {**found, "runs": len(values), **_worst(values)}


def _worst(values: list[float]) -> dict[str, float]:
    """The 99th percentile, of enough runs to speak of one."""
    if len(values) < 50:
        return {}
    return {"p99": statistics.quantiles(values, n=100, method="inclusive")[98]}


def find(names: list[str]) -> list[Benchmark]:
    """The benchmarks of all modules of this folder, or those that `names` (or modules) name."""
    modules = sorted(m.name for m in iter_modules([str(HERE)]) if m.name not in _SUPPORT)
    loaded = {m: import_module(f"benchmarks.{m}") for m in modules}
    # Others in the folder are run by hand.
    found = {
        m: module.benchmarks() for m, module in loaded.items() if hasattr(module, "benchmarks")
    }
    modules = list(found)
    known = {b.name for made in found.values() for b in made} | set(modules)
    unknown = [name for name in names if name not in known]
    if unknown:
        raise SystemExit(f"unknown benchmark {unknown[0]!r}; one of {', '.join(sorted(known))}")
    return [b for m in modules for b in found[m] if not names or b.name in names or m in names]


def run_all(chosen: Iterable[Benchmark], results: Path, quick: bool, child: bool) -> None:
    """Measure and write the records; what wants a process of its own gets one."""
    for process, group in groupby(chosen, key=lambda b: dict(b.process)):
        benchmarks = list(group)
        if process and not child:
            names = [b.name for b in benchmarks]
            flags = ["--child", "--results", str(results), *(["--quick"] if quick else [])]
            command = [sys.executable, "-m", "benchmarks.run", *flags, *names]
            done = subprocess.run(command, check=False, env={**os.environ, **process})
            if done.returncode:
                raise SystemExit(done.returncode)
            continue
        for b in benchmarks:
            record = measure(_quicker(b) if quick else b, quick)
            path = results / f"{b.name}.json"
            path.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", "utf-8")
            print(f"{b.name}: done", file=sys.stderr, flush=True)


def _quicker(benchmark: Benchmark) -> Benchmark:
    return replace(benchmark, rounds=1, sample=0.0)


def main() -> None:
    """Measure, write the results, print the tables."""
    parser = argparse.ArgumentParser(description="Run the benchmarks.")
    parser.add_argument("names", nargs="*", help="which ones, or which modules; all without")
    parser.add_argument("--quick", action="store_true", help="each once, small cases only")
    parser.add_argument("--results", type=Path, help="where the records go; default: results/")
    parser.add_argument("--page", action="store_true", help="only the page, from what is there")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    scratch = Path(tempfile.mkdtemp(prefix="derl-bench-")) if given.quick else RESULTS
    results: Path = given.results or scratch
    results.mkdir(parents=True, exist_ok=True)
    if not given.page:
        chosen = [b for b in find(given.names) if b.quick or not given.quick]
        run_all(chosen, results, given.quick, given.child)
    if not given.child:
        from benchmarks.report import write_page

        write_page(results, HERE if results == RESULTS else None)


if __name__ == "__main__":
    main()
