"""From a text to rewards: each time a new formula in a warm process, and from a fresh process."""

from __future__ import annotations

import itertools
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from benchmarks.kernels.calls import ONE_THREAD, Run, absent, late
from benchmarks.run import Benchmark, Contender, Contenders

ROWS = 1024
NAMES = ("g1", "g2", "g3", "g4")
TYPES = dict.fromkeys(NAMES, "number[0, 1]")
Formula = tuple[str, str]


def formulas(seed: int = 1) -> Iterator[Formula]:
    """Endless formulas, all different: as the language (and Python) has them, and with `where`.

    Of the size of those that meta-training starts with, about 40 characters.
    """
    rng = random.Random(seed)
    while True:
        a, b, c = (f"{rng.uniform(0.05, 2):.4g}" for _ in range(3))
        w, x, y, z = rng.sample(NAMES, 4)
        head = rng.choice([f"{a}*{w} + {b}*{x}", f"{w}*({a} - {x})", f"{a}*abs({w} - {x}) + {b}"])
        tail = rng.choice([f"{c}*{y}*{z}", f"{c}*({y} - {z})", f"{c} - {y}"])
        if rng.random() < 0.3:
            limit = f"{rng.uniform(0.1, 0.9):.4g}"
            yield f"{head} if {z} > {limit} else {tail}", f"where({z} > {limit}, {head}, {tail})"
        else:
            yield f"{head} + {tail}", f"{head} + {tail}"


def loop_source(text: str) -> str:
    """The loop that an expert would write for a formula."""
    indexed = text
    for name in NAMES:
        indexed = indexed.replace(name, f"{name}[i]")
    return (
        "def loop(g1, g2, g3, g4, out):\n"
        "    for i in range(out.shape[0]):\n"
        f"        out[i] = {indexed}\n"
    )


Columns = dict[str, Any]
Score = Callable[[str], Any]


def _ours(columns: Columns) -> Score:
    import derl_dsl

    return lambda text: derl_dsl.compile(text, columns=TYPES).score(columns).values


def _check(columns: Columns) -> Score:
    import derl_dsl

    return partial(derl_dsl.check, columns=TYPES)


def _numpy(columns: Columns) -> Score:
    return lambda text: eval(text, {"where": np.where, "abs": np.abs}, columns)


def _numexpr(columns: Columns) -> Score:
    import numexpr

    return partial(numexpr.evaluate, local_dict=columns)


def _python(columns: Columns) -> Score:
    lists = [a.tolist() for a in columns.values()]
    rows = [dict(zip(NAMES, values, strict=True)) for values in zip(*lists, strict=True)]
    return lambda text: [eval(text, {}, row) for row in rows]


def _numba(columns: Columns) -> Score:
    import numba

    def score(text: str) -> Any:
        made: dict[str, Any] = {}
        exec(loop_source(text), made)
        out = np.empty(ROWS)
        numba.njit(error_model="numpy")(made["loop"])(*columns.values(), out)
        return out

    return score


def _jax(columns: Columns) -> Score:
    import jax

    jax.config.update("jax_enable_x64", True)
    placed = {name: jax.device_put(a) for name, a in columns.items()}

    def score(text: str) -> Any:
        made: dict[str, Any] = {"where": jax.numpy.where, "abs": jax.numpy.abs}
        exec(f"def score(g1, g2, g3, g4): return {text}", made)
        return jax.jit(made["score"])(**placed).block_until_ready()

    return score


def _torch(columns: Columns) -> Score:
    import torch

    tensors = {name: torch.from_numpy(a) for name, a in columns.items()}

    def score(text: str) -> Any:
        torch._dynamo.reset()
        made: dict[str, Any] = {"where": torch.where, "abs": torch.abs}
        exec(f"def score(g1, g2, g3, g4): return {text}", made)
        return torch.compile(made["score"])(**tensors)

    return score


def _each(make: Callable[[Columns], Score], columns: Columns, dialect: int) -> Run:
    """Score the next formula, from the first one on."""
    score, source = make(columns), formulas()
    return lambda: score(next(source)[dialect])


class _Peer(NamedTuple):
    """A contender: `dialect` is that of `formulas`, `needs` the package that it wants."""

    name: str
    make: Callable[[Columns], Score]
    dialect: int
    does: str
    slow_start: bool = False
    needs: str = "derl_dsl"


PEERS = (
    _Peer("derl-dsl", _ours, 0, "compile (checked, proven), then score"),
    _Peer("derl-dsl check", _check, 0, "the proofs alone, no rewards"),
    _Peer("NumPy eval", _numpy, 1, "the text run as it stands: nothing checked"),
    _Peer("numexpr", _numexpr, 1, "evaluate", needs="numexpr"),
    _Peer("Python eval, text", _python, 0, "for each of the rows"),
    _Peer("JAX jit", _jax, 1, "traced and compiled", True, "jax"),
    _Peer("numba njit", _numba, 0, "a fused loop, compiled at its first call", True),
    _Peer("torch.compile", _torch, 1, "compiled at its first call", True, "torch"),
)


def _new_formula() -> Contenders:
    rng = np.random.default_rng(0)
    columns = {name: rng.random(ROWS) for name in NAMES}
    return tuple(_contender(peer, columns) for peer in PEERS)


def _contender(peer: _Peer, columns: Columns) -> Contender:
    if told := absent(peer.needs):
        return Contender(peer.name, None, told)
    made = partial(_each, peer.make, columns, peer.dialect)
    run = late(made) if peer.slow_start else made()
    compared = peer.make is not _check
    return Contender(peer.name, run, peer.does, compared=compared, slow_start=peer.slow_start)


_FORMULA = "0.4 * g1 + 0.3 * g2 + 0.2 * g3 + 0.1 * g4"
# No random numbers: what draws them takes milliseconds to load, and is nobody's own.
_DRAWN = (
    f"import numpy as np; {', '.join(NAMES)} = np.linspace(0, 1, 4 * {ROWS}).reshape(4, {ROWS}); "
)


def _by(backend: str) -> str:
    return (
        f"{_DRAWN}import derl_dsl; "
        f"r = derl_dsl.compile({_FORMULA!r}, columns={TYPES!r}, backend={backend!r}); "
        "print(r.score(dict(g1=g1, g2=g2, g3=g3, g4=g4)).values[0])"
    )


_CODES = {
    "import": "import numpy, lark",
    "ours": _by("auto"),
    "vm": _by("vm"),
    "numexpr": _DRAWN + f"import numexpr; print(numexpr.evaluate({_FORMULA!r})[0])",
    "numba": (
        _DRAWN + f"import numba; exec({loop_source(_FORMULA)!r}); out = np.empty({ROWS}); "
        "numba.njit(loop)(g1, g2, g3, g4, out); print(out[0])"
    ),
    "torch": (
        _DRAWN + "import torch; g1, g2, g3, g4 = map(torch.from_numpy, (g1, g2, g3, g4)); "
        f"print(({_FORMULA})[0].item())"
    ),
}


def _fresh_process() -> Contenders:
    folder = tempfile.mkdtemp(prefix="derl-bench-")
    numbers = itertools.count()

    # Whatever this process was told: everybody's modules are compiled once, as when installed.
    usual = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    usual["PYTHONPYCACHEPREFIX"] = f"{folder}/bytecode"

    def started(code: str, **environment: str) -> object:
        command = [sys.executable, "-c", _CODES[code]]
        return subprocess.run(
            command, check=True, stdout=subprocess.DEVNULL, env={**usual, **environment}
        )

    warm = {"DERL_CACHE": f"{folder}/kept"}
    return (
        Contender("derl-dsl", lambda: started("ours", **warm), "the first rows: LLVM not loaded"),
        Contender("derl-dsl vm", lambda: started("vm", **warm), "virtual machine from its cache"),
        Contender("derl-dsl vm, first ever",
                  lambda: started("vm", DERL_CACHE=f"{folder}/{next(numbers)}"),
                  "an empty cache: the virtual machine is built"),
        Contender("import NumPy, lark", lambda: started("import"), "and nothing else"),
        Contender("numexpr", lambda: started("numexpr"), "evaluate"),
        Contender("torch eager", lambda: started("torch"), "tensor operations", slow_start=True),
        Contender("numba njit", lambda: started("numba"), "a fused loop", slow_start=True),
    )  # fmt: skip


def benchmarks() -> list[Benchmark]:
    """A new formula in a warm process; the first reward of a fresh one."""
    return [
        Benchmark(
            "kernels-new-formula",
            f"A new formula each time, from its text to {ROWS:,} rewards, in a warm process",
            _new_formula,
            rounds=60,
            budget=4.0,
            # Several formulas behind one another: what compiling peers leave in the caches is no
            # part of what a formula costs in a process that scores formulas.
            sample=0.01,
            same=True,
            process=ONE_THREAD,
        ),
        Benchmark(
            "kernels-fresh-process",
            f"From the start of a process to {ROWS:,} rewards",
            _fresh_process,
            rounds=9,
            budget=8.0,
            process=ONE_THREAD,
        ),
    ]
