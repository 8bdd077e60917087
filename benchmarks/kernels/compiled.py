"""The four shapes in tools that compile: numba loops by hand, torch, torch.compile, JAX.

The numba loops are what an expert would write: one pass, no arrays between, the group's size a
constant, results into a given array.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import Any

import numba
import numpy as np
from numba import prange

from benchmarks.kernels.peers import Run
from benchmarks.kernels.programs import GROUP, Data, Shape

# Loops over `rows` (prange where they run in parallel); each writes `out`.


def _linear(g1: Any, g2: Any, g3: Any, g4: Any, out: Any) -> None:
    for i in prange(out.shape[0]):
        out[i] = 0.4 * g1[i] + 0.3 * g2[i] + 0.2 * g3[i] + 0.1 * g4[i]


def _conditional(g1: Any, g2: Any, g3: Any, g4: Any, out: Any) -> None:
    for i in prange(out.shape[0]):
        if g1[i] > 0.5:
            out[i] = 1 - 0.4 * min(max(g2[i], 0.1), 0.9)
        elif g2[i] > 0.3:
            out[i] = abs(g3[i] - g4[i])
        else:
            out[i] = min(g3[i], g4[i])


def _ragged(values: Any, offsets: Any, out: Any) -> None:
    for i in prange(out.shape[0]):
        start, end = offsets[i], offsets[i + 1]
        if end == start:
            out[i] = 0.0
            continue
        total, high, low = 0.0, values[start], values[start]
        for j in range(start, end):
            x = values[j]
            total += x
            high = max(high, x)
            low = min(low, x)
        mean = total / (end - start)
        out[i] = 0.4 * mean + 0.3 * high + 0.2 * low + 0.1 * values[end - 1]


def _group(g1: Any, g2: Any, out: Any) -> None:
    for k in prange(out.shape[0] // GROUP):
        base = k * GROUP
        total = 0.0
        for i in range(GROUP):
            total += g1[base + i]
        mean = total / GROUP
        squares = 0.0
        for i in range(GROUP):
            far = g1[base + i] - mean
            squares += far * far
        scale = 1 / (math.sqrt(squares / GROUP) + 0.1)
        for i in range(GROUP):
            x = g2[base + i]
            below = 0.0
            for j in range(GROUP):
                y = g2[base + j]
                below += (1.0 if y < x else 0.0) + (0.5 if y == x else 0.0)
            score = min(max((g1[base + i] - mean) * scale, -2.0), 2.0)
            out[base + i] = score + 0.2 * ((below - 0.5) / (GROUP - 1))


_LOOPS = {"linear": _linear, "conditional": _conditional, "ragged": _ragged, "group": _group}


@cache
def _jitted(name: str, parallel: bool) -> Any:
    return numba.njit(error_model="numpy", parallel=parallel)(_LOOPS[name])


def _arrays(shape: Shape, data: Data) -> list[Any]:
    if shape.name == "ragged":
        return [data.values, data.offsets]
    names = ("g1", "g2") if shape.name == "group" else ("g1", "g2", "g3", "g4")
    return [data.columns[name] for name in names]


def numba_by_hand(parallel: bool) -> Callable[[Shape, Data], Run]:
    """Fused loops by hand, in one thread or (`parallel`) in all."""

    def make(shape: Shape, data: Data) -> Run:
        loop, arrays, out = _jitted(shape.name, parallel), _arrays(shape, data), np.empty(data.rows)

        def run() -> Any:
            loop(*arrays, out)
            return out

        return run

    return make


# torch


def _torch_linear(g1: Any, g2: Any, g3: Any, g4: Any) -> Any:
    return 0.4 * g1 + 0.3 * g2 + 0.2 * g3 + 0.1 * g4


def _torch_conditional(g1: Any, g2: Any, g3: Any, g4: Any) -> Any:
    import torch

    late = torch.where(g2 > 0.3, (g3 - g4).abs(), torch.minimum(g3, g4))
    return torch.where(g1 > 0.5, 1 - 0.4 * g2.clamp(0.1, 0.9), late)


def _torch_ragged(dense: Any, there: Any, last: Any) -> Any:
    """Lists padded to (B, 16): segments would be several times slower."""
    import torch

    count = there.sum(1)
    mean = dense.sum(1) / count.clamp(min=1)
    high = torch.where(there, dense, -math.inf).amax(1)
    low = torch.where(there, dense, math.inf).amin(1)
    final = dense.gather(1, last).squeeze(1)
    return torch.where(count > 0, 0.4 * mean + 0.3 * high + 0.2 * low + 0.1 * final, 0.0)


def _torch_group(g1: Any, g2: Any) -> Any:
    a, b = g1.view(-1, GROUP), g2.view(-1, GROUP)
    far = a - a.mean(1, keepdim=True)
    score = (far / (a.std(1, correction=0, keepdim=True) + 0.1)).clamp(-2, 2)
    mine, others = b.unsqueeze(2), b.unsqueeze(1)
    # Of whole numbers torch would make float32.
    below = (others < mine).sum(2, dtype=b.dtype)
    ties = (others == mine).sum(2, dtype=b.dtype) - 1
    ranks = (below + 0.5 * ties) / (GROUP - 1)
    return (score + 0.2 * ranks).view(-1)


_TORCH: dict[str, Callable[..., Any]] = {
    "linear": _torch_linear,
    "conditional": _torch_conditional,
    "ragged": _torch_ragged,
    "group": _torch_group,
}


def _tensors(shape: Shape, data: Data) -> list[Any]:
    import torch

    if shape.name != "ragged":
        return [torch.from_numpy(a) for a in _arrays(shape, data)]
    dense, there = data.padded
    last = np.maximum(data.lengths - 1, 0)[:, None]
    return [torch.from_numpy(a) for a in (dense, there, last)]


def torch_eager(shape: Shape, data: Data) -> Run:
    """Tensor operations, one after the other."""
    import torch

    function, tensors = _TORCH[shape.name], _tensors(shape, data)

    def run() -> Any:
        with torch.inference_mode():
            return function(*tensors)

    return run


def torch_compiled(shape: Shape, data: Data) -> Run:
    """torch.compile of the same for this size of batch."""
    import torch

    function, tensors = _torch_jitted(shape.name, data.rows), _tensors(shape, data)

    def run() -> Any:
        with torch.inference_mode():
            return function(*tensors)

    return run


@cache
def _torch_jitted(name: str, rows: int) -> Any:
    import torch

    torch._dynamo.reset()
    return torch.compile(_TORCH[name], dynamic=False)


# JAX


def _jax(name: str) -> Callable[..., Any]:
    import jax.numpy as jnp

    def conditional(g1: Any, g2: Any, g3: Any, g4: Any) -> Any:
        late = jnp.where(g2 > 0.3, jnp.abs(g3 - g4), jnp.minimum(g3, g4))
        return jnp.where(g1 > 0.5, 1 - 0.4 * jnp.clip(g2, 0.1, 0.9), late)

    def ragged(dense: Any, there: Any, last: Any) -> Any:
        count = there.sum(1)
        mean = dense.sum(1) / jnp.maximum(count, 1)
        high = jnp.where(there, dense, -jnp.inf).max(1)
        low = jnp.where(there, dense, jnp.inf).min(1)
        final = jnp.take_along_axis(dense, last, 1)[:, 0]
        return jnp.where(count > 0, 0.4 * mean + 0.3 * high + 0.2 * low + 0.1 * final, 0.0)

    def group(g1: Any, g2: Any) -> Any:
        a, b = g1.reshape(-1, GROUP), g2.reshape(-1, GROUP)
        far = a - a.mean(1, keepdims=True)
        score = jnp.clip(far / (a.std(1, keepdims=True) + 0.1), -2, 2)
        mine, others = b[:, :, None], b[:, None, :]
        ties = (others == mine).sum(2) - 1
        ranks = ((others < mine).sum(2) + 0.5 * ties) / (GROUP - 1)
        return (score + 0.2 * ranks).ravel()

    known: dict[str, Callable[..., Any]] = {
        "linear": _torch_linear,
        "conditional": conditional,
        "ragged": ragged,
        "group": group,
    }
    return known[name]


@cache
def _jax_jitted(name: str) -> Any:
    import jax

    jax.config.update("jax_enable_x64", True)
    return jax.jit(_jax(name))


def jax_jit(shape: Shape, data: Data) -> Run:
    """jax.jit on arrays that lie on the device, in float64."""
    import jax

    function = _jax_jitted(shape.name)
    if shape.name == "ragged":
        dense, there = data.padded
        arrays = [dense, there, np.maximum(data.lengths - 1, 0)[:, None]]
    else:
        arrays = _arrays(shape, data)
    placed = [jax.device_put(a) for a in arrays]
    return lambda: function(*placed).block_until_ready()
