"""How fast primitives read 1,024 real completions, next to their definitions in plain Python.

`python -m benchmarks.primitives` prints the ratios, by the best of some rounds taken in turns.
"""

from __future__ import annotations

import itertools
import json
import os
import time
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

from benchmarks.run import Benchmark, Contender

ROWS = 1024
_ROOT = Path(__file__).parents[1]
_EXAMPLES = _ROOT / "derl_dsl" / "derl_dsl" / "examples" / "gsm8k.jsonl"
_SHARED = Path(os.environ.get("DERL_DSL_SHARED", _ROOT.parent / "shared"))
_SOLUTIONS = _SHARED / "data" / "gsm8k" / "model_solutions.jsonl"
_round = itertools.count(1)


@cache
def rows(path: Path) -> tuple[list[str], list[str]]:
    """Completions and gold answers of a file, repeated up to 1,024 of each."""
    lines = path.read_text("utf-8").splitlines()
    found = [json.loads(line) for line in lines]
    chosen = list(itertools.islice(itertools.cycle(found), ROWS))
    return [r["completion"] for r in chosen], [r["answer"] for r in chosen]


def unseen(answers: list[str]) -> list[str]:
    """The answers as texts that no cache has seen: every run reads them anew."""
    blanks = " " * next(_round)
    return [answer + blanks for answer in answers]


def derl_math(path: Path) -> tuple[Contender, ...]:
    """The four primitives of derl-math, and the same by their definitions, row by row."""
    from derl_primitives import derl_math as g
    from tests.primitives import reference as plain

    completions, answers = rows(path)

    def ours() -> list[Any]:
        golds = unseen(answers)
        return [g.g1(completions, golds), g.g2(completions), g.g3(completions),
                g.g4(completions, golds)]  # fmt: skip

    def by_definition() -> list[Any]:
        yes = {False: g.NO, True: g.YES}
        found = [
            (yes[plain.exact(c, a)], yes[plain.boxed(c)], yes[plain.step_markers(c) >= 2],
             yes[plain.contains_answer(c, a)])
            for c, a in zip(completions, answers, strict=True)
        ]  # fmt: skip
        return [list(column) for column in zip(*found, strict=True)]

    return (
        Contender("derl-dsl", ours, "whole columns, each gold answer read once"),
        Contender("plain Python", by_definition, "the definitions, one completion at a time"),
    )


def math_equal(path: Path) -> tuple[Contender, ...]:
    """Answers compared as mathematics: no verdict is kept from one run to the next."""
    from math_verify import parse, verify

    from derl_primitives.answers import gold_answer, marked_answer
    from derl_primitives.equality import math_equal as equal
    from derl_primitives.verification import shared
    from derl_primitives.verification.quick import _ratio

    completions, answers = rows(path)

    def ours() -> Any:
        shared().forget()
        _ratio.cache_clear()
        return equal(completions, unseen(answers))

    def read(text: str | None, whole: str) -> Any:
        return parse(whole if text is None else f"\\boxed{{{text}}}", parsing_timeout=None)

    def math_verify() -> list[bool]:
        return [
            verify(read(gold_answer(a), a), read(marked_answer(c), c), timeout_seconds=None)
            for c, a in zip(completions, answers, strict=True)
        ]

    return (
        Contender("derl-dsl", ours, "what is known at once; the rest in a warm worker"),
        Contender("math-verify", math_verify, "parses and compares each pair, no time limit"),
    )


def correct(path: Path) -> tuple[Contender, ...]:
    """The verdict as a careful grader gives it, beside math-verify on the same completions."""
    from derl_primitives.correct import correct as ours

    completions, answers = rows(path)
    (_, theirs) = math_equal(path)
    return (
        Contender("derl-dsl", lambda: ours(completions, unseen(answers)), "correct"),
        theirs,
    )


def _each() -> Iterator[tuple[str, Path]]:
    yield "", _EXAMPLES
    if _SOLUTIONS.is_file():
        yield "-solutions", _SOLUTIONS


def benchmarks() -> list[Benchmark]:
    """The benchmarks of this file; more of them where the file of all model solutions lies."""
    found = []
    for suffix, path in _each():
        of = f"{ROWS:,} completions of {path.name}"
        found += [
            Benchmark(
                f"primitives-derl-math{suffix}",
                f"The four primitives of derl-math: {of} (target: 5 times plain Python)",
                lambda path=path: derl_math(path),  # type: ignore[misc]
                rounds=9,
                unit="completions/s",
                amount=ROWS,
                same=True,
            ),
            Benchmark(
                f"primitives-math-equal{suffix}",
                f"Answers compared by math-verify: {of} (target: 20 times math-verify)",
                lambda path=path: math_equal(path),  # type: ignore[misc]
                rounds=5,
                unit="completions/s",
                amount=ROWS,
                same=True,
                quick=False,
            ),
            Benchmark(
                f"primitives-correct{suffix}",
                f"The verdict correct: {of} (target: 20 times math-verify)",
                lambda path=path: correct(path),  # type: ignore[misc]
                rounds=3,
                unit="completions/s",
                amount=ROWS,
                quick=False,
            ),
        ]
    return found


def ratio(contenders: tuple[Contender, ...], rounds: int) -> float:
    """How many times the first is as fast as the second, by the best run of each."""
    best: dict[str, float] = {}
    for _ in range(rounds):
        for c in contenders:
            run: Callable[[], object] | None = c.run
            assert run is not None
            start = time.perf_counter()
            run()
            best[c.name] = min(best.get(c.name, 1e9), time.perf_counter() - start)
    ours, other = (best[c.name] for c in contenders)
    return other / ours


if __name__ == "__main__":
    for benchmark in benchmarks():
        made = benchmark.contenders
        contenders = made() if callable(made) else made
        print(f"{benchmark.name}: {ratio(contenders, benchmark.rounds):.1f} times")
