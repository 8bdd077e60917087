"""Rows of any number: what the commands over rows take of time and memory.

    python -m benchmarks.data [--mb 200 500 1000 2000] [--formats jsonl parquet] [--folder DIR]

Rollouts are made of the packaged completions of GSM8K problems, with problem ids of their own, in
groups of four. Each command runs in a process of its own, whose peak memory and processor time the
system tells; `a plain loop` is `json.loads` of each line and nothing else. The last table is
`replay` of 100,000 rollouts with ten rewards. What was measured is written to
`results/data/runs.json` and drawn in `plots/data.svg`; `make bench` runs a small form of it.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.run import Benchmark, Contender, machine

HERE = Path(__file__).parent
_MEGABYTE = 1_000_000
_REWARD = "ok = exact(completion, answer)\nreward = ok + 0.1 * boxed(completion)"
_PLAIN = "import json,sys\nfor line in open(sys.argv[1], 'rb'): json.loads(line)"
_STEPS, _ROLLOUTS = 100, 100_000


@dataclass(frozen=True, slots=True)
class Run:
    """One command on one file: seconds, seconds of processor, peak memory in megabytes."""

    command: str
    kind: str
    megabytes: int
    rows: int
    wall: float
    cpu: float
    memory: float
    code: int


@cache
def examples() -> list[dict[str, Any]]:
    """The packaged rollouts."""
    text = (files("derl_dsl.examples") / "gsm8k.jsonl").read_text("utf-8")
    return [json.loads(line) for line in text.splitlines()]


def write_lines(path: Path, size: int, steps: int | None = None) -> int:
    """Write about `size` bytes of JSON lines, with a column `step` if wanted; how many rows."""
    halves = []
    for row in examples():
        text = json.dumps(row | {"problem_id": "%"}, ensure_ascii=False)
        before, after = text.split('"%"')
        halves.append((before.encode(), row["problem_id"], after.encode()))
    rows = copy = written = 0
    with path.open("wb") as file:
        while written < size:
            step = b"" if steps is None else b', "step": %d}' % (copy * steps * 240 // _ROLLOUTS)
            lines = [
                b'%s"%d-%d"%s\n' % (a, copy, p, b if steps is None else b[:-1] + step)
                for a, p, b in halves
            ]
            written += file.write(b"".join(lines))
            rows += len(lines)
            copy += 1
    return rows


def write_table(path: Path, size: int) -> int:
    """Write about `size` bytes of Parquet, neither packed nor coded, in row groups of 48,000."""
    columns = {name: [row[name] for row in examples()] for name in examples()[0]}
    ids = columns["problem_id"]
    group = 200
    fixed = {n: pa.array(v * group) for n, v in columns.items() if n != "problem_id"}
    writer, rows, copy = None, 0, 0
    while writer is None or path.stat().st_size < size:
        named = pa.array([f"{copy + k}-{p}" for k in range(group) for p in ids])
        table = pa.table({"problem_id": named, **fixed})
        if writer is None:
            writer = pq.ParquetWriter(path, table.schema, compression="none", use_dictionary=False)
        writer.write_table(table)
        rows, copy = rows + table.num_rows, copy + group
    writer.close()
    return rows


def measured(name: str, command: list[str], kind: str, size: int, rows: int) -> Run:
    """Run a command; what it took of time and memory."""
    begun = time.perf_counter()
    with open(os.devnull, "wb") as nowhere:
        process = subprocess.Popen(command, stdout=nowhere)
        _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    wall = time.perf_counter() - begun
    cpu, memory = used.ru_utime + used.ru_stime, used.ru_maxrss / 1000
    run = Run(name, kind, size, rows, wall, cpu, memory, process.returncode)
    load = os.getloadavg()[0]
    print(f"| {name} | {kind} | {size:,} | {rows:,} | {wall:.1f} | {cpu:.1f} | {memory:.0f} "
          f"| {load:.0f} |", flush=True)  # fmt: skip
    return run


def commands(path: Path, reward: Path, out: Path) -> dict[str, list[str]]:
    """The commands, by name."""
    ours = [sys.executable, "-m", "derl_dsl"]
    data = ["--data", str(path)]
    given = [*data, "--outcome", "is_correct", "--suite", "math"]
    return {
        "eval": [*ours, "eval", str(reward), *given, "--group", "problem_id"],
        "audit": [*ours, "audit", str(reward), *given],
        "search": [*ours, "search", *given, "--budget", "50000", "--out", str(out)],
        "attack": [*ours, "attack", str(reward), *data, "--suite", "math"],
    }


def replays(folder: Path) -> list[Run]:
    """`replay` of 100,000 rollouts with one reward and with ten, and what a step costs alone."""
    path = folder / "run.jsonl"
    rows = write_lines(path, 1, _STEPS)
    size = path.stat().st_size * _ROLLOUTS // rows
    rows = write_lines(path, size, _STEPS)
    texts = [_REWARD.replace("0.1", f"{0.01 * k:.2f}") + f" - 0.0001 * words(completion) * {k}"
             for k in range(1, 11)]  # fmt: skip
    ours = [sys.executable, "-m", "derl_dsl", "replay", "--run", str(path), "--suite", "math"]
    found = []
    for count in (1, 10):
        rewards = [word for text in texts[:count] for word in ("-e", text)]
        name = f"replay, {count} reward{'s' if count > 1 else ''}"
        found.append(measured(name, [*ours, *rewards], "jsonl", size // _MEGABYTE, rows))
    return found


def main() -> None:
    """Measure, print the table, write what was measured and draw it."""
    parser = argparse.ArgumentParser(description="Time and memory of the commands over rows.")
    parser.add_argument("--mb", type=int, nargs="*", default=[200, 500, 1000, 2000])
    parser.add_argument("--formats", nargs="*", default=["jsonl", "parquet"])
    parser.add_argument("--commands", nargs="*", default=["eval", "audit", "search", "attack"])
    parser.add_argument("--folder", type=Path, help="where the rows go; default: a temporary one")
    parser.add_argument("--no-replay", action="store_true")
    given = parser.parse_args()
    print("| command | rows as | MB | rows | s | CPU s | peak MB | load |")
    print("|---|---|---:|---:|---:|---:|---:|---:|")
    runs: list[Run] = []
    with tempfile.TemporaryDirectory(dir=given.folder) as name:
        folder = Path(name)
        reward = folder / "reward.derl"
        reward.write_text(_REWARD)
        for kind in given.formats:
            for size in given.mb:
                path = folder / f"rows.{kind}"
                write = write_lines if kind == "jsonl" else write_table
                rows = write(path, size * _MEGABYTE)
                if kind == "jsonl":
                    plain = [sys.executable, "-c", _PLAIN, str(path)]
                    runs.append(measured("a plain loop", plain, kind, size, rows))
                for command, words in commands(path, reward, folder / "found").items():
                    if command in given.commands:
                        runs.append(measured(command, words, kind, size, rows))
                path.unlink()
        if not given.no_replay:
            runs += replays(folder)
    record = {"machine": machine(), "load": os.getloadavg()[0], "runs": [asdict(r) for r in runs]}
    results = HERE / "results" / "data"
    results.mkdir(parents=True, exist_ok=True)
    (results / "runs.json").write_text(json.dumps(record, indent=1) + "\n", "utf-8")
    draw(runs, HERE / "plots" / "data.svg")


def draw(runs: list[Run], path: Path) -> None:
    """Seconds and peak memory over the size of the file."""
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot as plt

    from benchmarks.plots import STYLE

    matplotlib.rcParams.update(STYLE)
    figure, sides = plt.subplots(1, 2, figsize=(8, 3.6), layout="constrained")
    commands = list(dict.fromkeys(r.command for r in runs if "replay" not in r.command))
    for side, what, label in (
        (sides[0], "cpu", "seconds of processor"),
        (sides[1], "memory", "peak MB"),
    ):
        for number, command in enumerate(commands):
            for kind, style in (("jsonl", "-"), ("parquet", "--")):
                own = [r for r in runs if (r.command, r.kind) == (command, kind)]
                points = [(r.megabytes, getattr(r, what)) for r in own]
                if points:
                    side.plot(*zip(*points, strict=True), style, color=f"C{number}", marker="o",
                              markersize=3, label=f"{command}, {kind}")  # fmt: skip
        side.set_xlabel("MB of rows")
        side.set_ylabel(label)
        side.set_ylim(bottom=0)
        side.grid(True)
    sides[1].axhline(300, color="#7d8590", linewidth=0.8, linestyle=":")
    lines, labels = sides[0].get_legend_handles_labels()
    figure.legend(lines, labels, loc="outside lower center", ncols=5, fontsize=7)
    figure.savefig(path, metadata={"Date": None}, transparent=True)


def benchmarks() -> list[Benchmark]:
    """The small form: 20 MB of JSON lines evaluated and audited, beside a plain loop over them."""
    # The folder goes with the process.
    folder = tempfile.TemporaryDirectory(prefix="derl-bench-data-")

    def contenders() -> tuple[Contender, ...]:
        path, reward = Path(folder.name, "rows.jsonl"), Path(folder.name, "reward.derl")
        write_lines(path, 20 * _MEGABYTE)
        reward.write_text(_REWARD)
        words = commands(path, reward, Path(folder.name, "found"))

        def runs(command: list[str]) -> Callable[[], object]:
            return lambda: subprocess.run(command, stdout=subprocess.DEVNULL, check=False)

        plain = [sys.executable, "-c", _PLAIN, str(path)]
        return (
            Contender("derl-dsl eval", runs(words["eval"]), "a process, from start to table"),
            Contender("derl-dsl audit", runs(words["audit"]), "a process, from start to findings"),
            Contender("json.loads", runs(plain), "a process that parses each line and no more"),
        )

    title = "20 MB of JSON lines (32,000 rollouts) evaluated, audited, and only parsed"
    return [Benchmark("data-lines", title, contenders, rounds=5, quick=False)]


if __name__ == "__main__":
    main()
