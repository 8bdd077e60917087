"""One call of a kernel on columns that it knows: four shapes, four sizes of batch, all peers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from typing import Any

import numpy as np

from benchmarks.kernels.programs import SHAPES, Data, Shape
from benchmarks.run import Benchmark, Contender, Contenders
from benchmarks.targets import COPY

SIZES = {64: "64", 1024: "1k", 16_384: "16k", 1_048_576: "1M"}
MILLION = 1_048_576
# One thread in every library; each reads its own variable.
ONE_THREAD = {
    "DERL_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "NUMEXPR_NUM_THREADS": "1",
    "NUMBA_NUM_THREADS": "1",
    "POLARS_MAX_THREADS": "1",
    "PJRT_NPROC": "1",
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
}
ALL_THREADS = {"DERL_BENCH_THREADS": "all"}
Run = Callable[[], object]


@dataclass(frozen=True, slots=True)
class Peer:
    """A contender for every shape.

    `largest` is the batch beyond which it takes too long, `needs` the package that it wants.
    """

    name: str
    make: Callable[[Shape, Data], Run | None]
    does: str
    tolerance: float = 1e-9
    largest: int = MILLION
    slow_start: bool = False
    needs: str = "derl_dsl"


def absent(package: str) -> str:
    """A word on a package that is not installed; empty for one that is."""
    return "" if find_spec(package) else f"{package} is not installed"


def late(make: Callable[[], Run | None]) -> Run:
    """A run that is made when it is first called: 50 ns more a call for what takes long to load."""
    made: list[Run] = []

    def run() -> object:
        if not made:
            found = make()
            assert found is not None
            made.append(found)
        return made[0]()

    return run


def peers(threads: bool) -> list[Peer]:
    """Ours first, then the others; with `threads` only those that use several."""
    from benchmarks.kernels import compiled, ours
    from benchmarks.kernels import peers as p

    single, padded = ours.FLOAT32, "lists padded to 16"
    mine = [
        Peer("derl-dsl native", ours.bound("native"), "the hot tier: one fused loop, LLVM"),
        Peer("derl-dsl vm", ours.bound("vm"), "the virtual machine: nothing compiled per reward"),
        Peer(
            "derl-dsl numba", ours.bound("numba"), "the loops of `explain --numba`", slow_start=True
        ),
        Peer("derl-dsl native f32", ours.bound("native", "float32"), "float32", single),
        Peer("derl-dsl vm f32", ours.bound("vm", "float32"), "float32", single),
    ]
    many = [
        Peer("numba by hand", compiled.numba_by_hand(threads), "fused loops, float64"),
        Peer("numexpr evaluate", p.numexpr_evaluate, "text looked up at each call",
             needs="numexpr"),
        Peer("numexpr re_evaluate", p.numexpr_again, "the last expression again", needs="numexpr"),
        Peer("JAX jit", compiled.jax_jit, f"x64; {padded}", slow_start=True, needs="jax"),
        Peer("torch eager", compiled.torch_eager, f"float64, inference mode; {padded}",
             slow_start=True, needs="torch"),
        Peer("torch.compile", compiled.torch_compiled, "the same, for this size", slow_start=True,
             needs="torch"),
        Peer("polars", p.polars_, "select on a data frame; lists as a List column",
             needs="polars"),
    ]  # fmt: skip
    if threads:
        return [*mine[:3], *many]
    text, code = (
        "`eval` of the text per sample, as DERL's code",
        "`eval` of compiled code per sample",
    )
    return [
        *mine,
        *many,
        Peer("NumPy", p.numpy_, "array expressions; reduceat for lists"),
        Peer("Python eval, compiled", p.python_code, code, largest=16_384),
        Peer("Python eval, text", p.python_text, text, largest=16_384),
    ]


def _contenders(shape: Shape, rows: int, threads: bool) -> Contenders:
    batches = shape.batches(rows)
    made = [_contender(peer, shape, batches) for peer in peers(threads)]
    return (*made, _copy(shape, rows)) if rows == MILLION else tuple(made)


def _contender(peer: Peer, shape: Shape, batches: list[Data]) -> Contender:
    """All batches in turn, by one peer."""
    rows = batches[0].rows
    common: dict[str, Any] = {"tolerance": peer.tolerance, "slow_start": peer.slow_start}
    if rows > peer.largest:
        return Contender(peer.name, None, f"not run: tens of seconds a call at B = {rows:,}")
    if told := absent(peer.needs):
        return Contender(peer.name, None, told)
    made = [partial(peer.make, shape, data) for data in batches]
    runs = [late(make) if peer.slow_start else make() for make in made]
    first = runs[0]
    if first is None:
        return Contender(peer.name, None, f"has no expression for the {shape.name} shape")
    if len(runs) == 1:
        return Contender(peer.name, first, peer.does, **common)
    several = [run for run in runs if run is not None]
    return Contender(peer.name, lambda: [run() for run in several], peer.does, **common)


def _copy(shape: Shape, rows: int) -> Contender:
    """A copy that reads and writes as many bytes together as the kernel must."""
    source = np.random.default_rng(0).random(int(shape.traffic * rows / 16))
    target = np.empty_like(source)
    return Contender(
        COPY,
        lambda: np.copyto(target, source),
        "np.copyto: as many bytes read and written together as the columns and the rewards have",
        compared=False,
    )


def _benchmark(shape: Shape, rows: int, threads: bool) -> Benchmark:
    suffix, told = ("-threads", ", all threads") if threads else ("", ", one thread each")
    return Benchmark(
        f"kernels-{shape.name}-{SIZES[rows]}{suffix}",
        f"{shape.title}, B = {rows:,}{told}",
        partial(_contenders, shape, rows, threads),
        rounds=25,
        calls=shape.turns(rows),
        # Threads of some libraries keep their cores for some ms after a call: long samples, so that
        # they are measured with their own threads and not with a peer's.
        sample=0.05 if threads else 2e-4,
        budget=1.0,
        same=True,
        process=ALL_THREADS if threads else ONE_THREAD,
        table=f"{shape.title}{told}",
        case=f"B = {rows:,}",
        quick=rows <= 1024 and not threads,
    )


def benchmarks() -> list[Benchmark]:
    """The shapes at all sizes in one thread; the large sizes in all threads."""
    one = [_benchmark(shape, rows, False) for shape in SHAPES for rows in SIZES]
    return [*one, *(_benchmark(s, rows, True) for s in SHAPES for rows in (16_384, MILLION))]
