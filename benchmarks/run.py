"""Runs all benchmarks of this folder: `make bench`, or `python -m benchmarks.run [NAME ...]`.

A benchmark is a module here with a function `benchmarks()` that gives `Benchmark`s. The contenders
of one are run in turns, so that what else the machine does meets all of them alike; medians count.
Each leaves `results/NAME.json`, and the table of README.md is written anew from all of these.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from pkgutil import iter_modules
from typing import Any

HERE = Path(__file__).parent
RESULTS = HERE / "results"
README = HERE / "README.md"
_BEGIN, _END = "<!-- results -->", "<!-- end of results -->"


@dataclass(frozen=True, slots=True)
class Contender:
    """One way to do the work; `does` says in words what it does and does not."""

    name: str
    run: Callable[[], object]
    does: str


@dataclass(frozen=True, slots=True)
class Benchmark:
    """Contenders for the same work.

    `amount` is how many of `unit` one run does: then the rate is reported; without it the seconds
    of a run. `target` is what the first contender has to reach.
    """

    name: str
    title: str
    contenders: tuple[Contender, ...]
    rounds: int
    unit: str = "s"
    amount: float | None = None
    target: float | None = None


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


def measure(benchmark: Benchmark) -> dict[str, Any]:
    """The record of one benchmark: a warm-up each, then rounds in which all take their turn."""
    seconds: dict[str, list[float]] = {c.name: [] for c in benchmark.contenders}
    for contender in benchmark.contenders:
        contender.run()
    for _ in range(benchmark.rounds):
        for contender in benchmark.contenders:
            start = time.perf_counter()
            contender.run()
            seconds[contender.name].append(time.perf_counter() - start)
    return {
        "name": benchmark.name,
        "title": benchmark.title,
        "unit": benchmark.unit,
        "target": benchmark.target,
        "machine": machine(),
        "load": round(os.getloadavg()[0], 1),
        "contenders": [
            {"name": c.name, "does": c.does, **_figures(seconds[c.name], benchmark.amount)}
            for c in benchmark.contenders
        ],
    }


def _figures(seconds: list[float], amount: float | None) -> dict[str, float]:
    values = sorted(amount / s if amount else s for s in seconds)
    low, _, high = statistics.quantiles(values, n=4) if len(values) > 1 else values * 3
    return {"median": statistics.median(values), "low": low, "high": high, "runs": len(values)}


def table(records: list[dict[str, Any]]) -> str:
    """The records as Markdown, the machine named once for each."""
    lines = []
    for record in records:
        told = record["machine"]
        lines += [
            f"### {record['title']}",
            "",
            f"{told['cpu']}, {told['cores']} cores, {told['system']}, Python {told['python']}, "
            f"load {record['load']}.",
            "",
            "| | median | quartiles | what it does |",
            "|---|---:|---:|---|",
        ]
        unit = record["unit"]
        for row in record["contenders"]:
            low, median, high = (f"{row[k]:.3g}" if row[k] < 100 else f"{row[k]:,.0f}"
                                 for k in ("low", "median", "high"))  # fmt: skip
            lines.append(f"| {row['name']} | {median} {unit} | {low} to {high} | {row['does']} |")
        if record["target"] is not None:
            lines += ["", f"Target: {record['target']:,g} {unit}."]
        lines.append("")
    return "\n".join(lines)


def write_readme() -> None:
    """The table of README.md from all results on disk."""
    records = [json.loads(p.read_text("utf-8")) for p in sorted(RESULTS.glob("*.json"))]
    before, _, rest = README.read_text("utf-8").partition(_BEGIN)
    after = rest.partition(_END)[2]
    README.write_text(f"{before}{_BEGIN}\n\n{table(records)}\n{_END}{after}", "utf-8")


def find(names: list[str]) -> list[Benchmark]:
    """The benchmarks of all modules of this folder, or those whose names are given."""
    modules = [m.name for m in iter_modules([str(HERE)]) if m.name != "run"]
    found = [b for m in sorted(modules) for b in import_module(f"benchmarks.{m}").benchmarks()]
    known = [b.name for b in found]
    unknown = [name for name in names if name not in known]
    if unknown:
        raise SystemExit(f"unknown benchmark {unknown[0]!r}; one of {', '.join(known)}")
    return [b for b in found if not names or b.name in names]


def main() -> None:
    """Measure, write the results, print the table."""
    parser = argparse.ArgumentParser(description="Run the benchmarks.")
    parser.add_argument("names", nargs="*", help="which ones; all without")
    records = []
    for benchmark in find(parser.parse_args().names):
        record = measure(benchmark)
        records.append(record)
        RESULTS.mkdir(exist_ok=True)
        path = RESULTS / f"{benchmark.name}.json"
        path.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", "utf-8")
    print(table(records))
    write_readme()


if __name__ == "__main__":
    main()
