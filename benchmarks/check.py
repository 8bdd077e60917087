"""How fast formulas are checked, and how soon `derl-dsl check` answers."""

from __future__ import annotations

import ast
import random
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

from benchmarks.run import Benchmark, Contender
from derl_dsl import compile
from derl_dsl.checker import check_source
from derl_dsl.elaborate.scope import Scope, build_scope
from derl_dsl.generate.sample import sample_program
from derl_grammar.diagnostics import Report
from derl_grammar.parser import parse
from derl_grammar.spans import Source

_COUNT = 200
# Cold-start formulas have 39 characters on average.
_SIZES = range(24, 64)
_NAMES = ("g1", "g2", "g3", "g4")


def formulas() -> list[str]:
    """Formulas over g1 to g4 of the size of those that meta-training starts with."""
    scope, rng = build_scope("derl-math"), random.Random(1)
    names = {name: source for name, source in scope.names.items() if name in _NAMES}
    bare = Scope(names, {}, None, None)
    found: list[str] = []
    while len(found) < _COUNT:
        text = sample_program(bare, rng)
        found += [text] if len(text) in _SIZES else []
    return found


def throughput() -> Benchmark:
    """Formulas a second in one process."""
    texts, scope = formulas(), build_scope("derl-math")
    length = sum(map(len, texts)) / _COUNT

    def check_all() -> None:
        for text in texts:
            check_source(Source(text), scope)

    def parse_all() -> None:
        for text in texts:
            parse(text, Report(Source(text)))

    def python_all() -> None:
        for text in texts:
            ast.parse(text, mode="eval")

    return Benchmark(
        "check-throughput",
        f"Formulas checked in one process ({_COUNT} of {length:.0f} characters on average)",
        (
            Contender("derl-dsl check", check_all, "syntax, names, types, proofs, lints"),
            Contender("derl-dsl parse", parse_all, "syntax tree with places, size limits"),
            Contender("Python ast.parse", python_all, "syntax tree only, in C"),
        ),
        rounds=15,
        unit="formulas/s",
        amount=_COUNT,
        target=2000,
    )


_PROGRAM = """\
n = words(completion)
ok = exact(completion, answer)
reward = 1 + 0.2 * (1 - ramp(n, 256, 1024)) if ok else 0.1 * boxed(completion)
"""


def one_program() -> Benchmark:
    """From the text of one program to its `Reward`, before a kernel is built."""
    formula, math = "0.4 * g1 + 0.3 * g2 - 0.2 * g3 + 0.1 * g4", build_scope("math")
    return Benchmark(
        "check-one",
        "One text checked in a warm process",
        (
            Contender("compile, a formula", partial(compile, formula, "derl-math"),
                      "derl_dsl.compile: proofs by enumeration"),
            Contender("compile, three lines", partial(compile, _PROGRAM, "math"),
                      "derl_dsl.compile: proofs by intervals, lints at sampled rows"),
            Contender("check, three lines", lambda: check_source(Source(_PROGRAM), math),
                      "the same without looking up the suite"),
        ),
        rounds=15,
        sample=0.02,
        target=0.0015,
    )  # fmt: skip


def start_up() -> Benchmark:
    """From the command line to the answer about one file."""
    folder = Path(tempfile.mkdtemp(prefix="derl-bench-"))
    reward, module = folder / "reward.derl", folder / "reward.py"
    reward.write_text("reward = g1 + 0.5 * g2\n")
    module.write_text("g1, g2 = 1, 0\nreward = g1 + 0.5 * g2\n")
    bin_ = Path(sys.executable).parent
    run = partial(subprocess.run, check=True, stdout=subprocess.DEVNULL, cwd=folder)
    check = [str(bin_ / "derl-dsl"), "check", "--suite", "derl-math", str(reward)]
    ruff = [str(bin_ / "ruff"), "check", "--no-cache", str(module)]
    return Benchmark(
        "check-start-up",
        "One file checked from the command line",
        (
            Contender("derl-dsl check", partial(run, check), "in Python, proofs included"),
            Contender("ruff check", partial(run, ruff), "a compiled linter of Python files"),
            Contender("python -c pass", partial(run, [sys.executable, "-c", "pass"]),
                      "what any command in Python takes"),
        ),
        rounds=15,
        target=0.4,
    )  # fmt: skip


def benchmarks() -> list[Benchmark]:
    """The benchmarks of this file."""
    return [throughput(), one_program(), start_up()]
