"""The torch backend on a CUDA device: four shapes and sizes, the share of copy bandwidth.

    python -m benchmarks.cuda                # needs a CUDA device; about two minutes
    python -m benchmarks.cuda --device cpu   # the same table on the CPU

Columns lie on the device before the clock starts. Small batches wait for the device after every
call, as a trainer that needs its rewards does; from a million rollouts on 16 calls are queued
before the wait, so that the figure is the device's and not the way there and back. A million
rollouts fit in the second-level cache of a large device: the elementwise shapes are measured on 16
million too. Each record is written when its benchmark ends, so a run that is cut off keeps what it
has. With a device, `make bench` runs these too; `python -m benchmarks.run --page` puts records
into README.md.
"""

from __future__ import annotations

import argparse
import json
import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import derl_dsl
from benchmarks.kernels import ours
from benchmarks.kernels.programs import GROUP, SHAPES, Data, Shape
from benchmarks.run import RESULTS, Benchmark, Contender, Contenders, measure
from benchmarks.targets import COPY

# The largest first: should time run out, the share of bandwidth is there. The second size that a
# compiled module meets makes it one for all sizes.
SIZES = {1_048_576: "1M", 64: "64", 16_384: "16k", 1024: "1k", 16_777_216: "16M"}
_MILLION, _QUEUED = 1_048_576, 16
_BEYOND_CACHE = ("linear", "conditional")
KINDS = {"float64": 1e-9, "float32": ours.FLOAT32}
NO_DEVICE = (
    "no CUDA device here: nothing was measured. `python -m benchmarks.cuda --device cpu` "
    "measures the same on the CPU."
)
Run = Callable[[], Any]


def has_device() -> bool:
    """Whether a CUDA device is there; torch is imported only where a driver is."""
    if shutil.which("nvidia-smi") is None:
        return False
    import torch

    return torch.cuda.is_available()


class Rewards:
    """A tensor on a device, to be compared as an array."""

    def __init__(self, tensor: Any) -> None:
        self.tensor = tensor

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        return self.tensor.cpu().numpy().astype(dtype)


def _columns(data: Data, dtype: Any, device: str) -> dict[str, Any]:
    import torch

    if data.values is not None:
        values = torch.tensor(data.values, dtype=dtype, device=device)
        return {"xs": (values, torch.tensor(data.offsets, device=device))}
    return {
        name: torch.tensor(values, dtype=dtype, device=device)
        for name, values in data.columns.items()
    }


class Modules:
    """The module of each shape, made once: what is compiled serves all sizes."""

    def __init__(self, device: str) -> None:
        self.device = device
        self.made: dict[tuple[str, str, bool], Any] = {}

    def bound(self, shape: Shape, data: Data, kind: str, compiled: bool) -> Run:
        """A call of the module on columns that it knows, which does not wait for the device."""
        import torch

        dtype, key = getattr(torch, kind), (shape.name, kind, compiled)
        if key not in self.made:
            reward = derl_dsl.compile(shape.text, columns=shape.types)
            self.made[key] = reward.torch(dtype=dtype, device=self.device, compile=compiled)
        columns = _columns(data, dtype, self.device)
        call = self.made[key].bind(columns, GROUP if shape.grouped else None)

        def run() -> Any:
            with torch.no_grad():
                return call()["reward"]

        return run


def _captured(call: Run) -> Run:
    """The same as a CUDA graph: one launch for all of a call's kernels."""
    import torch

    # What a capture may not do (compile, allocate a first time) is done on a stream of its own.
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            call()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        result = call()

    def run(inputs: Run = call) -> Any:
        # The graph reads the inputs of `call` where they lie: they have to live as long as it.
        graph.replay()
        return result

    return run


def _waiting(call: Run, times: int, device: str) -> Run:
    """`times` calls, then a wait until the device has done them."""
    import torch

    def run() -> Rewards:
        for _ in range(times):
            found = call()
        if device == "cuda":
            torch.cuda.synchronize()
        return Rewards(found)

    return run


def _copy(size: int, device: str) -> Run:
    """A copy on the device that reads and writes `size` bytes together."""
    import torch

    source = torch.ones(max(1, size // 16), dtype=torch.float64, device=device)
    target = torch.empty_like(source)
    return lambda: target.copy_(source)


def _contender(
    name: str, make: Callable[[], Run], does: str, tolerance: float, slow: bool
) -> Contender:
    """One way, made ready; what a device or its tools cannot do is told in the table."""
    try:
        run = make()
        run()
    except Exception as error:  # noqa: BLE001 - compilers, drivers and torch each raise their own
        told = (str(error).strip().splitlines() or [""])[0]
        return Contender(name, None, f"failed: {type(error).__name__}: {told[:200]}")
    return Contender(name, run, does, tolerance, slow_start=slow)


def _bytes(shape: Shape, rows: int, kind: str) -> int:
    """What one call has to read and write at least."""
    return int(shape.traffic * rows * (1 if kind == "float64" else 0.5))


def _contenders(shape: Shape, rows: int, modules: Modules, eager: bool) -> Contenders:
    data = shape.draw(rows, np.random.default_rng(rows))
    device, times = modules.device, _times(rows, modules.device)
    wait = partial(_waiting, times=times, device=device)
    native = ours.bound("native")(shape, data)
    assert native is not None
    on_cpu = "one core of the CPU; what the others are compared with"

    def natively() -> object:
        for _ in range(times):
            found = native()
        return found

    made = [Contender("derl-dsl native", natively, on_cpu)]
    for kind, tolerance in KINDS.items():
        call = partial(modules.bound, shape, data, kind)
        ways: dict[str, tuple[Callable[[], Run], str, bool]] = {
            "torch eager": (lambda c=call: wait(c(False)), "an operation at a time", False)
        }
        if not eager:
            ways["torch.compile"] = (lambda c=call: wait(c(True)), "fused", True)
        if not eager and device == "cuda":
            graph = (lambda c=call: wait(_captured(c(True))), "fused, and replayed", True)
            ways["CUDA graph"] = graph
        for way, (make, does, slow) in ways.items():
            does += ", ranges of inputs checked"
            made.append(_contender(f"derl-dsl {way} {kind}", make, does, tolerance, slow))
        copied = wait(_copy(_bytes(shape, rows, kind), device))
        told = "what must be read and written at least"
        made.append(Contender(f"{COPY}, {kind}", copied, told, compared=False))
    return tuple(made)


def _times(rows: int, device: str) -> int:
    """How many calls are queued before the device is waited for."""
    return _QUEUED if device == "cuda" and rows >= _MILLION else 1


def _benchmark(shape: Shape, rows: int, modules: Modules, eager: bool, name: str) -> Benchmark:
    device = modules.device
    return Benchmark(
        f"{device}-{shape.name}-{SIZES[rows]}",
        f"{shape.title}, B = {rows:,}, on {name}",
        partial(_contenders, shape, rows, modules, eager),
        rounds=25,
        calls=_times(rows, device),
        sample=2e-4,
        budget=0.3,
        same=True,
        table=f"{shape.title}, on {name}",
        case=f"B = {rows:,}",
        quick=rows <= 1024,
    )


def _all(device: str, eager: bool = False) -> list[Benchmark]:
    name = "the CPU"
    if device == "cuda":
        import torch

        name = torch.cuda.get_device_name()
    modules = Modules(device)
    return [
        _benchmark(shape, rows, modules, eager, name)
        for rows in SIZES
        for shape in SHAPES
        if rows <= _MILLION or (device == "cuda" and shape.name in _BEYOND_CACHE)
    ]


def benchmarks() -> list[Benchmark]:
    """All shapes and sizes where a CUDA device is, else nothing."""
    return _all("cuda") if has_device() else []


def _shares(record: dict[str, Any], shape: Shape, rows: int) -> list[str]:
    """A line for each contender: its time, its bytes a second, and its share of the copy's."""
    lines = [record["title"]]
    medians = {row["name"]: row["median"] for row in record["contenders"] if "median" in row}
    for row in record["contenders"]:
        name, kind = row["name"], row["name"].rpartition(" ")[2]
        if "median" not in row:
            lines.append(f"  {name:<40}{row['does']}")
            continue
        kind = kind if kind in KINDS else "float64"
        speed = _bytes(shape, rows, kind) / row["median"] / 1e9
        share = medians[f"{COPY}, {kind}"] / row["median"]
        told = (
            f"{row['median'] * 1e6:>12,.1f} µs {speed:>9,.1f} GB/s {share:>7.1%} of copy bandwidth"
        )
        lines.append(f"  {name:<40}{told}")
    return lines


def _detailed(record: dict[str, Any], shape: Shape, rows: int, device: str) -> dict[str, Any]:
    """The record with what the report needs for bytes a second, and the versions."""
    import torch

    told = {**record["machine"], "torch": torch.__version__}
    if device == "cuda":
        told |= {"device": torch.cuda.get_device_name(), "cuda": str(torch.version.cuda)}
    traffic = {kind: _bytes(shape, rows, kind) for kind in KINDS}
    return {**record, "machine": told, "traffic": traffic}


def run(device: str, quick: bool, seconds: float, to: Path | None) -> None:
    """Measure until the time is up, print each benchmark and write its record to a folder."""
    start = time.monotonic()
    left_out, wrong = [], []
    chosen = [b for b in _all(device, eager=quick) if b.quick or not quick]
    cases = {f"{device}-{s.name}-{n}": (s, rows) for s in SHAPES for rows, n in SIZES.items()}
    for benchmark in chosen:
        if time.monotonic() - start > seconds:
            left_out.append(benchmark.name)
            continue
        once = replace(benchmark, rounds=1, sample=0.0) if quick else benchmark
        shape, rows = cases[benchmark.name]
        try:
            measured = measure(once, quick)
        except SystemExit as told:
            # Numbers that are not equal: this one counts for nothing, the others do.
            wrong.append(f"{benchmark.name}: {told}")
            continue
        record = _detailed(measured, shape, rows, device)
        print("\n".join(_shares(record, shape, rows)), flush=True)
        if to is not None:
            path = to / f"{benchmark.name}.json"
            path.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", "utf-8")
    if left_out:
        print(f"after {seconds:g} s not measured any more: {', '.join(left_out)}")
    if wrong:
        raise SystemExit("\n".join(wrong))


def main() -> None:
    """Measure and print; on a CUDA device the records are kept with the others."""
    parser = argparse.ArgumentParser(description="The torch backend on a device.")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--quick", action="store_true", help="small batches only, each once, eager")
    parser.add_argument("--seconds", type=float, default=120.0,
                        help="no benchmark starts after so long (default: 120)")  # fmt: skip
    parser.add_argument("--to", type=Path, help="folder of the records; on a device: results/")
    given = parser.parse_args()
    import torch

    if given.device == "cuda" and not torch.cuda.is_available():
        print(NO_DEVICE)
        return
    if given.device == "cpu":
        torch.set_num_threads(1)
    to: Path | None = given.to or (RESULTS if given.device == "cuda" and not given.quick else None)
    if to is not None:
        to.mkdir(parents=True, exist_ok=True)
    run(given.device, given.quick, given.seconds, to)


if __name__ == "__main__":
    main()
