"""What is built: many rewards over one batch, the virtual machine itself, compiled rewards."""

from __future__ import annotations

import itertools
import os
import tempfile
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from benchmarks.kernels.calls import ONE_THREAD
from benchmarks.kernels.latency import NAMES, ROWS, TYPES, formulas, loop_source
from benchmarks.run import Benchmark, Contender, Contenders
from derl_dsl.backends.pack import key_of, pack
from derl_dsl.checker import check_source
from derl_dsl.elaborate.scope import Scope, build_scope
from derl_dsl.graph.ir import Graph
from derl_grammar.spans import Source

COUNT = 200
Columns = dict[str, Any]


def _texts() -> list[str]:
    return [text for text, _ in itertools.islice(formulas(), COUNT)]


def graphs(texts: list[str], scope: Scope) -> list[Graph]:
    """The checked programs as graphs: IR in hand."""
    found = [check_source(Source(text), scope).graph for text in texts]
    return [graph for graph in found if graph is not None]


def _columns() -> Columns:
    rng = np.random.default_rng(0)
    return {name: rng.random(ROWS) for name in NAMES}


def _score_many() -> Contenders:
    import derl_dsl
    from derl_dsl.backends import vm

    made, columns = graphs(_texts(), build_scope(columns=TYPES)), _columns()
    inputs = {
        key_of(g.nodes[i]): columns[str(g.source(i))] for g in made for i in g.inputs(g.roots())
    }
    session = vm.Session(inputs, ROWS)

    def packed() -> list[Any]:
        return [pack(g, [g.outputs["reward"]]) for g in made]

    programs = packed()
    rewards = [derl_dsl.compile(text, columns=TYPES) for text in _texts()]
    code = [compile(where, "<reward>", "eval") for _, where in itertools.islice(formulas(), COUNT)]
    known = {"where": np.where, "abs": np.abs}
    return (
        Contender("derl-dsl vm", lambda: session.run(packed()),
                  "from the graphs: programs packed, bound, run in one call"),
        Contender("derl-dsl vm, packed", lambda: session.run(programs),
                  "programs in hand: bound and run"),
        Contender("derl_dsl.score_many", lambda: derl_dsl.score_many(rewards, columns),
                  "the public call: columns checked, rewards compiled before"),
        Contender("NumPy eval, compiled", lambda: [eval(c, known, columns) for c in code],
                  "each formula as array expressions, its code compiled before"),
        *_numexpr_many(columns),
    )  # fmt: skip


def _numexpr_many(columns: Columns) -> Contenders:
    try:
        import numexpr
    except ModuleNotFoundError as error:
        return (Contender("numexpr", None, f"{error.name} is not installed"),)
    texts = [where for _, where in itertools.islice(formulas(), COUNT)]
    run = lambda: [numexpr.evaluate(text, local_dict=columns) for text in texts]  # noqa: E731
    return (Contender("numexpr", run, "evaluate; more formulas than its cache holds"),)


def _in_folders() -> Iterator[str]:
    """Cache folders that nobody has used."""
    root = tempfile.mkdtemp(prefix="derl-bench-")
    return (f"{root}/{k}" for k in itertools.count())


def _machine() -> Contenders:
    from derl_dsl.backends import vm

    fresh = _in_folders()
    kept = next(fresh)

    def load(folder: str, parts: tuple[str, ...]) -> None:
        os.environ["DERL_CACHE"] = folder
        vm.machine.cache_clear()
        machine = vm.machine()
        for part in parts:
            machine.need(part)

    return (
        Contender("cold build", lambda: load(next(fresh), ()), "what every program needs: core"),
        Contender("cold build, all", lambda: load(next(fresh), ("lists", "groups")),
                  "with the instructions for lists and groups"),
        Contender("cached, all", lambda: load(kept, ("lists", "groups")), "objects from the disk"),
    )  # fmt: skip


def _hot() -> Contenders:
    """Builds of programs as they are sampled for meta-training, none from a cache."""
    from benchmarks.check import formulas as sampled
    from derl_dsl.backends import native

    os.environ["DERL_CACHE"] = "off"
    made = itertools.cycle(graphs(sampled()[:COUNT], build_scope("derl-math")))
    loops = _loops()

    def build() -> object:
        graph = next(made)
        return native.build(graph, [graph.outputs["reward"]])

    return (
        Contender("derl-dsl native", build, "from the graph to code that can be called"),
        Contender("numba njit", lambda: next(loops)(), "a loop by hand for such a formula",
                  slow_start=True),
    )  # fmt: skip


def _loops() -> Iterator[Callable[[], object]]:
    import numba

    for text, _ in formulas():
        made: dict[str, Any] = {}
        exec(loop_source(text), made)
        kinds = (numba.float64[::1],) * 5
        yield lambda loop=made["loop"], kinds=kinds: numba.njit(kinds, error_model="numpy")(loop)


def benchmarks() -> list[Benchmark]:
    """Many rewards over one batch; builds."""
    return [
        Benchmark(
            "kernels-score-many",
            f"{COUNT} formulas over one batch of {ROWS:,} rollouts",
            _score_many,
            rounds=25,
            unit="rewards/s",
            amount=COUNT,
            budget=3.0,
            same=True,
            process=ONE_THREAD,
        ),
        Benchmark(
            "kernels-machine",
            "The virtual machine: built, and loaded from its cache",
            _machine,
            rounds=5,
            process=ONE_THREAD,
            target=0.5,
        ),
        Benchmark(
            "kernels-hot-build",
            "The hot tier: code for one reward, of 200 sampled formulas in turn, nothing cached",
            _hot,
            rounds=COUNT,
            budget=4.0,
            process=ONE_THREAD,
        ),
    ]
