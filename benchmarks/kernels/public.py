"""The public calls: `score` on columns, and a trainer's call on completions."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from importlib.resources import files
from typing import Any

import numpy as np

import derl_dsl
from benchmarks.kernels import peers
from benchmarks.kernels.calls import ALL_THREADS, MILLION, ONE_THREAD, SIZES, absent
from benchmarks.kernels.programs import SHAPES, Shape
from benchmarks.run import Benchmark, Contender, Contenders
from derl_primitives.suites import find_suite
from derl_runtime.cache import CACHE

_COMPLETIONS = 128
_ELEMENTWISE = [shape for shape in SHAPES if shape.name in ("linear", "conditional")]
# Rewards over a trainer's completions, and the primitives they are made of.
_REWARDS = {
    "exact": ("1 * exact(completion, answer)", ("exact",)),
    "format": ("exact(completion, answer) + 0.1 * boxed(completion)", ("exact", "boxed")),
    "correct": (
        "ok = correct(completion, answer)\nn = words(completion)\n"
        "reward = 1 + 0.2 * (1 - ramp(n, 256, 1024)) if ok else 0.1 * boxed(completion)",
        ("correct", "words", "boxed"),
    ),
}


def _score(shape: Shape, rows: int) -> Contenders:
    data = shape.draw(rows, np.random.default_rng(0))

    def score(backend: str) -> Callable[[], object]:
        reward = derl_dsl.compile(shape.text, columns=dict(shape.types), backend=backend)
        return lambda: reward.score(data.columns).values

    found = [
        Contender("derl-dsl score", score("auto"), "columns checked, faults, parts, rewards"),
        Contender("derl-dsl score, native", score("native"), "the same, compiled at once"),
        Contender("derl-dsl score, numba", score("numba"), "the same, by numba", slow_start=True),
        Contender("NumPy", peers.numpy_(shape, data), "array expressions, nothing checked"),
    ]
    for name, make in (("numexpr evaluate", peers.numexpr_evaluate),
                       ("numexpr re_evaluate", peers.numexpr_again)):  # fmt: skip
        told = absent("numexpr")
        run = None if told else make(shape, data)
        found.append(Contender(name, run, told or "nothing checked"))
    return tuple(found)


def _call(name: str) -> Contenders:
    text, used = _REWARDS[name]
    lines = (files("derl_dsl") / "examples" / "gsm8k.jsonl").read_text("utf-8").splitlines()
    rows = [json.loads(line) for line in lines[:_COMPLETIONS]]
    columns = {key: [row[key] for row in rows] for key in ("completion", "answer")}
    reward = derl_dsl.compile(text, "math")
    primitives = find_suite("math").primitives
    bare: list[Callable[[], Any]] = [
        partial(primitives[p].fn, *[columns[c] for c in list(columns)[: len(primitives[p].params)]])
        for p in used
    ]
    given = {"completions": columns["completion"], "answer": columns["answer"]}
    ids = [[1]] * _COMPLETIONS

    def call() -> object:
        CACHE.clear()  # else costly primitives are read once and then kept
        return reward(completion_ids=ids, **given)

    return (
        Contender("derl-dsl, TRL call", call,
                  "texts read, primitives, faults, kernel, a list of floats", compared=False),
        Contender("bare primitives", lambda: [run() for run in bare],
                  "the functions alone, on lists of texts", compared=False),
    )  # fmt: skip


def benchmarks() -> list[Benchmark]:
    """`score` at four sizes, in all threads at a million, and a trainer's call."""
    cases = [(s, rows, False) for s in _ELEMENTWISE for rows in SIZES]
    cases += [(s, MILLION, True) for s in _ELEMENTWISE]
    scores = []
    for shape, rows, threads in cases:
        suffix, told = ("-threads", ", all threads") if threads else ("", ", one thread each")
        scores.append(
            Benchmark(
                f"score-{shape.name}-{SIZES[rows]}{suffix}",
                f"The public call, {shape.title}, B = {rows:,}{told}",
                partial(_score, shape, rows),
                rounds=25,
                sample=2e-4,
                budget=1.0,
                same=True,
                process=ALL_THREADS if threads else ONE_THREAD,
                table=f"The public call, {shape.title}{told}",
                case=f"B = {rows:,}",
                quick=rows <= 1024 and not threads,
            )
        )
    calls = [
        Benchmark(
            f"call-{name}",
            f"A trainer's call on {_COMPLETIONS} completions of GSM8K: {name}",
            partial(_call, name),
            rounds=15,
            sample=2e-3,
            process=ONE_THREAD,
        )
        for name in _REWARDS
    ]
    return [*scores, *calls]
