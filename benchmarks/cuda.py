"""The torch backend on a CUDA device: four shapes, four sizes, the share of copy bandwidth.

    python -m benchmarks.cuda                # needs a CUDA device
    python -m benchmarks.cuda --device cpu   # the same table on the CPU

Columns lie on the device before the clock starts; every call waits for the device to be done. With
a device, `make bench` runs these too.
"""

from __future__ import annotations

import argparse
import json
import shutil
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from benchmarks.kernels.programs import GROUP, SHAPES, Data, Shape
from benchmarks.run import RESULTS, Benchmark, Contender, Contenders, measure

SIZES = {64: "64", 1024: "1k", 16_384: "16k", 1_048_576: "1M"}
COPY = "copy of as many bytes"
NO_DEVICE = (
    "no CUDA device here: nothing was measured. `python -m benchmarks.cuda --device cpu` "
    "measures the same on the CPU."
)


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


def _ours(shape: Shape, data: Data, dtype: Any, device: str, compiled: bool) -> Any:
    """One call of the module on columns that it knows."""
    import torch

    import derl_dsl

    reward = derl_dsl.compile(shape.text, columns=shape.types)
    module = reward.torch(dtype=dtype, device=device, compile=compiled)
    bound = module.bind(_columns(data, dtype, device), GROUP if shape.grouped else None)

    def run() -> Rewards:
        with torch.no_grad():
            found = Rewards(bound()["reward"])
        if device == "cuda":
            torch.cuda.synchronize()
        return found

    return run


def _copy(shape: Shape, rows: int, width: int, device: str) -> Any:
    """A copy on the device that reads and writes as many bytes together as the kernel must."""
    import torch

    size = int(shape.traffic * rows * width / 8 / 16)
    source = torch.ones(max(1, size), dtype=torch.float64, device=device)
    target = torch.empty_like(source)

    def run() -> None:
        target.copy_(source)
        if device == "cuda":
            torch.cuda.synchronize()

    return run


def _contenders(shape: Shape, rows: int, device: str) -> Contenders:
    import torch

    data = shape.draw(rows, np.random.default_rng(rows))
    made = []
    for dtype, tolerance in ((torch.float64, 1e-9), (torch.float32, 1e-5)):
        kind = str(dtype).partition(".")[2]
        for compiled in (False, True):
            way = "torch.compile" if compiled else "torch eager"
            run = _ours(shape, data, dtype, device, compiled)
            made.append(
                Contender(
                    f"derl-dsl {way} {kind}",
                    run,
                    "ranges of inputs checked",
                    tolerance=tolerance,
                    slow_start=compiled,
                )
            )
        width = torch.finfo(dtype).bits // 8
        made.append(
            Contender(
                f"{COPY}, {kind}",
                _copy(shape, rows, width, device),
                "what must be read and written at least",
                compared=False,
            )
        )
    return tuple(made)


def _benchmark(shape: Shape, rows: int, device: str, name: str) -> Benchmark:
    return Benchmark(
        f"{device}-{shape.name}-{SIZES[rows]}",
        f"{shape.title}, B = {rows:,}, on {name}",
        partial(_contenders, shape, rows, device),
        rounds=25,
        sample=2e-4,
        budget=1.0,
        same=True,
        table=f"{shape.title}, on {name}",
        case=f"B = {rows:,}",
        quick=rows <= 1024,
    )


def _all(device: str) -> list[Benchmark]:
    name = "the CPU"
    if device == "cuda":
        import torch

        name = torch.cuda.get_device_name()
    return [_benchmark(shape, rows, device, name) for shape in SHAPES for rows in SIZES]


def benchmarks() -> list[Benchmark]:
    """All shapes and sizes where a CUDA device is, else nothing."""
    return _all("cuda") if has_device() else []


def _shares(record: dict[str, Any]) -> list[str]:
    """A line for each contender: its time and its share of the copy's bandwidth."""
    rows = {row["name"]: row["median"] for row in record["contenders"] if "median" in row}
    lines = [f"{record['title']}"]
    for name, seconds in rows.items():
        share = rows[f"{COPY}, {name.rpartition(' ')[2]}"] / seconds
        lines.append(f"  {name:<40}{seconds * 1e6:>12,.1f} µs {share:>8.1%} of copy bandwidth")
    return lines


def main() -> None:
    """Measure and print; on a CUDA device the records are kept with the others."""
    parser = argparse.ArgumentParser(description="The torch backend on a device.")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--quick", action="store_true", help="small batches only, each once, eager")
    given = parser.parse_args()
    if given.device == "cuda" and not has_device():
        print(NO_DEVICE)
        return
    if given.device == "cpu":
        import torch

        torch.set_num_threads(1)
    for benchmark in _all(given.device):
        if given.quick and not benchmark.quick:
            continue
        chosen = replace(benchmark, rounds=1, sample=0.0) if given.quick else benchmark
        record = measure(chosen, given.quick)
        print("\n".join(_shares(record)), flush=True)
        if given.device == "cuda" and not given.quick:
            path = RESULTS / f"{benchmark.name}.json"
            path.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", "utf-8")


if __name__ == "__main__":
    main()
