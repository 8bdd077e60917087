"""`derl-dsl bench`: how fast a reward is on each backend, on one's own rows or random ones."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from derl_dsl.backends import BACKENDS
from derl_dsl.cli.inputs import (
    AsFormat,
    Columns,
    Expression,
    Format,
    OneReward,
    Suite,
    fail,
    one_source,
    read_settings,
    say,
    show_json,
)
from derl_dsl.cli.rows import show_errors
from derl_dsl.graph.ir import Graph
from derl_dsl.score.reward import Reward, RewardError, compile
from derl_dsl.tools.evaluate.infer import infer_columns
from derl_dsl.tools.project import Settings
from derl_grammar.limits import WIDE
from derl_grammar.records import record
from derl_grammar.types import Bool, List, Number, Optional, Text, Type
from derl_runtime.data import DataError, listed, rollouts_of
from derl_runtime.reading import ColumnError
from derl_runtime.sources import Apply, Column, Source

_ROWS, _GROUP = 1024, 8
# Of a file.
_MOST = 65_536
_LONGEST, _WORDS = 16, 60
_MISSING = 0.1
# A sample lasts at least so long, a backend is sampled for so long, and so often at most.
_SAMPLE_NS, _BUDGET_NS, _SAMPLES = 200_000, 500_000_000, 25
_WARM_UP = "0.5 * x"
Data = Mapping[str, Sequence[Any]]


@record
class Timing:
    """One backend's figures, in seconds; `why` says why it has none.

    `text_to_reward` is compiling and scoring once in a warm process, `score` a call of `score`
    (columns checked, primitives run), `kernel` a call of the kernel on bound columns; `differs` is
    the largest difference of a score from the reference's.
    """

    backend: str
    text_to_reward: float | None = None
    score: float | None = None
    kernel: float | None = None
    differs: float | None = None
    why: str | None = None


@dataclass(slots=True)
class _Job:
    """A backend at work: its two calls, how many of each fill a sample, and the samples."""

    backend: str
    first: float
    values: Any
    calls: tuple[Callable[[], object], Callable[[], object]]
    times: tuple[int, int]
    samples: tuple[list[float], list[float]]


def bench_command(
    reward: OneReward = None,
    expression: Expression = None,
    suite: Suite = None,
    column: Columns = None,
    data: Annotated[
        Path | None, typer.Option(help="Rows to score: .jsonl or .parquet; else random ones.")
    ] = None,
    rows: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Rows in the batch: of a file the first, repeated if need be; else up to 65,536.",
        ),
    ] = None,
    group_size: Annotated[
        int, typer.Option(min=1, help="Neighbours that are one group, for group functions.")
    ] = _GROUP,
    backend: Annotated[
        list[str] | None, typer.Option(help="A backend, again for more; default: all.")
    ] = None,
    format: AsFormat = Format.text,
) -> None:
    """Time a reward on each backend: from its text to rewards, a call, the kernel alone.

    Random rows are drawn from the declared types, texts of 60 words. Ratios are to the reference
    backend, which is plain NumPy. Code compiled in an earlier run is taken from the cache; set
    DERL_CACHE=off to time without.

    Exits 0, 1 when the reward has errors, 2 when an input could not be read.
    """
    source = one_source(reward, expression)
    settings = read_settings(source, suite, column)
    try:
        given = None if data is None else _first(data, rows or _MOST)
        first = _compile(source.text, settings, given, "reference")
        columns, count = _batch(first, given, rows, group_size)
        size = group_size if first.uses_groups else None
        timings = _measure(
            lambda name: _compile(source.text, settings, given, name),
            columns,
            size,
            _known(backend),
        )
    except RewardError as error:
        show_errors(error, source, format)
        raise typer.Exit(1) from None
    except ColumnError as error:
        fail(f"{data}: {error}" if data is not None else str(error))
    except (DataError, ValueError) as error:
        fail(str(error))
    told = {
        "reward": source.path,
        "rows": count,
        "data": None if data is None else str(data),
        "group_size": size,
    }
    if format is Format.json:
        record = {**told, "backends": [_record(t, count) for t in timings]}
        show_json("bench", record)
    else:
        _print(told, timings, count)


def _known(backends: list[str] | None) -> list[str]:
    """The backends to time, the reference first: the others are compared with it."""
    known = [name for name in BACKENDS if name != "auto"]
    for name in backends or ():
        if name not in known:
            fail(f"unknown backend {name!r}; one of {', '.join(known)}")
    # Two names of one backend are timed once.
    single = {make: name for name, make in reversed(BACKENDS.items()) if name in known}
    chosen = set(backends or single.values()) - {"reference"}
    return ["reference", *(name for name in known if name in chosen)]


def _compile(text: str, settings: Settings, data: Data | None, backend: str) -> Reward:
    known = {*settings.scope().names, *settings.scope().primitives} - {"progress"}
    columns: dict[str, str | Type] = {
        **(infer_columns(text, data, known) if data is not None else {}),
        **settings.columns,
    }
    return compile(text, settings.suite, columns, backend=backend, limits=WIDE)


# The batch


def _first(data: Path, most: int) -> dict[str, list[Any]]:
    """The first rows of a file, which are a batch; no more of it is held."""
    rows = rollouts_of([str(data)], logs=True, strict=True, said=say)
    columns: dict[str, list[Any]] = {name: [] for name in rows.names}
    for part in rows.parts():
        for name, values in part.columns.items():
            columns[name] += listed(values)
        if part.first + part.rows >= most:
            break
    if rows.rows > most:
        say(f"the first {most:,} of {rows.rows:,} rows are the batch (--rows)")
    return {name: values[:most] for name, values in columns.items()}


def _batch(reward: Reward, data: Data | None, rows: int | None, group: int) -> tuple[Data, int]:
    """The columns and how many rows they have: a whole number of groups if groups matter."""
    unit = group if reward.uses_groups else 1
    if data is None:
        count = -(-(rows or _ROWS) // unit) * unit
        return _random(reward.graph, count, np.random.default_rng(0)), count
    there = len(next(iter(data.values()), ()))
    count = rows or there
    if count % unit:
        fail(f"{count:,} rows are no whole number of groups of {unit}; set --rows or --group-size")
    return {name: [v[i % there] for i in range(count)] for name, v in data.items()}, count


def _random(graph: Graph, rows: int, rng: np.random.Generator) -> Data:
    """Random values of every column that the reward reads; all lists of a row have one length."""
    found: dict[str, Any] = {}
    lengths = rng.integers(0, _LONGEST + 1, rows)
    for i in graph.inputs(graph.roots()):
        for name, kind in _columns_of(graph.source(i)):
            if name not in found:
                found[name] = _drawn(kind, lengths, rng)
    return found or {"progress": [0.5] * rows}


def _columns_of(source: Source) -> list[tuple[str, Type]]:
    """The columns behind an input: itself, or what its primitive takes."""
    if isinstance(source, Column):
        return [(source.name, source.type)]
    args = source.args if isinstance(source, Apply) else ()
    return [found for a in args for found in _columns_of(a)]


def _drawn(kind: Type, lengths: Any, rng: np.random.Generator) -> Any:
    """One column: an array of numbers, or a list of texts or lists."""
    rows = len(lengths)
    if isinstance(kind, Optional):
        values = _drawn(kind.item, lengths, rng)
        gaps = rng.random(rows) < _MISSING
        return [None if gap else v for v, gap in zip(values, gaps, strict=True)]
    if isinstance(kind, List):
        flat = _drawn(kind.item, np.repeat(lengths, lengths), rng)
        return [list(flat[b - n : b]) for n, b in zip(lengths, np.cumsum(lengths), strict=True)]
    if isinstance(kind, Text):
        return [_words(rng) for _ in range(rows)]
    if isinstance(kind, Bool):
        return rng.random(rows) < 0.5
    assert isinstance(kind, Number)
    if kind.values:
        return rng.choice(np.array(kind.values), rows)
    low, high = max(kind.lo, -1e6), min(kind.hi, 1e6)
    return rng.uniform(low, high, rows)


def _words(rng: np.random.Generator) -> str:
    """Made-up words and numbers, with a final line as answers have one."""
    letters = rng.integers(97, 123, (_WORDS, 5), dtype="u1")
    words = [bytes(w).decode() for w in letters]
    words[::7] = [str(n) for n in rng.integers(0, 100, len(words[::7]))]
    return " ".join(words) + f"\n#### {rng.integers(0, 100)}"


# The clock


def _measure(
    compiled: Callable[[str], Reward], columns: Data, size: int | None, backends: Sequence[str]
) -> list[Timing]:
    """Every backend's figures; their samples are taken in turns."""
    jobs: list[_Job] = []
    missing: dict[str, str] = {}
    for name in backends:
        try:
            jobs.append(_start(name, compiled, columns, size))
        except ModuleNotFoundError as error:
            missing[name] = f"{error.name} is not installed"
    used = {job.backend: 0.0 for job in jobs}
    for _ in range(_SAMPLES):
        for job in jobs:
            if used[job.backend] < _BUDGET_NS or len(job.samples[0]) < 3:
                start = time.perf_counter_ns()
                for call, times, samples in zip(job.calls, job.times, job.samples, strict=True):
                    samples.append(_sample(call, times))
                used[job.backend] += time.perf_counter_ns() - start
    done = {job.backend: _timing(job, jobs[0].values) for job in jobs}
    return [done.get(n) or Timing(n, why=missing[n]) for n in backends]


def _start(name: str, compiled: Callable[[str], Reward], columns: Data, size: int | None) -> _Job:
    """Compile and score once, in a process that has used the backend before."""
    compile(_WARM_UP, columns={"x": "number[0, 1]"}, backend=name).score({"x": [0.5, 1.0]})
    start = time.perf_counter_ns()
    reward = compiled(name)
    values = reward.score(columns, group_size=size).values
    first = (time.perf_counter_ns() - start) / 1e9
    kernel = reward.bind(columns, group_size=size)
    calls = (lambda: reward.score(columns, group_size=size), kernel)
    times = (_times(calls[0]), _times(calls[1]))
    return _Job(name, first, values, calls, times, ([], []))


def _sample(call: Callable[[], object], times: int) -> float:
    """The seconds of one call, of `times` in a row."""
    start = time.perf_counter_ns()
    for _ in range(times):
        call()
    return (time.perf_counter_ns() - start) / times / 1e9


def _times(call: Callable[[], object]) -> int:
    """How many calls fill a sample."""
    times = 1
    while True:
        # The best of three: one that other work interrupts seems long enough and is not.
        taken = min(_sample(call, times) for _ in range(3)) * times * 1e9
        if taken >= _SAMPLE_NS:
            return times
        times *= max(2, int(1.2 * _SAMPLE_NS / max(taken, 1.0)))


def _timing(job: _Job, expected: Any) -> Timing:
    score, kernel = (statistics.median(s) for s in job.samples)
    off = np.abs(job.values - expected)
    differs = float(np.nanmax(off, initial=0.0))
    return Timing(job.backend, job.first, score, kernel, differs)


# What is shown


def _record(timing: Timing, rows: int) -> dict[str, Any]:
    rate = None if timing.kernel is None else rows / timing.kernel
    return {**asdict(timing), "rows_per_second": rate}


def _print(told: dict[str, Any], timings: list[Timing], rows: int) -> None:
    groups = f", groups of {told['group_size']}" if told["group_size"] else ""
    typer.echo(f"{rows:,} {'random rows' if told['data'] is None else 'rows of ' + told['data']}"
               f"{groups}\n")  # fmt: skip
    reference = timings[0].kernel or 0.0
    heads = ("backend", "text to reward", "score", "kernel", "rows/s", "× reference", "differs by")
    table = [heads, *(_cells(t, rows, reference) for t in timings)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for cells in table:
        first, *others = (
            c.ljust(w) if k == 0 else c.rjust(w)
            for k, (c, w) in enumerate(zip(cells, widths, strict=True))
        )
        typer.echo("  ".join([first, *others]).rstrip())
    for timing in timings:
        if timing.why is not None:
            typer.echo(f"{timing.backend}: {timing.why}")
    typer.echo("\nscore checks the columns and runs the primitives; kernel is the rest of it")


def _cells(timing: Timing, rows: int, reference: float) -> tuple[str, ...]:
    if timing.kernel is None or timing.text_to_reward is None or timing.score is None:
        return (timing.backend, *["-"] * 6)
    return (
        timing.backend,
        _duration(timing.text_to_reward),
        _duration(timing.score),
        _duration(timing.kernel),
        _rate(rows / timing.kernel),
        f"{reference / timing.kernel:,.3g}",
        f"{timing.differs:.2g}" if timing.differs else "0",
    )


def _rate(rows: float) -> str:
    if rows < 1e5:
        return f"{rows:,.0f}"
    return f"{rows / 1e6:,.0f}M" if rows >= 1e8 else f"{rows / 1e6:.3g}M"


def _duration(seconds: float) -> str:
    for scale, unit in ((1.0, "s"), (1e-3, "ms")):
        if seconds >= scale:
            return f"{seconds / scale:.3g} {unit}"
    return f"{seconds * 1e6:.3g} µs"
