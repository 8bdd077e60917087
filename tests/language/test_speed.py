"""`check` stays quick: what it imports, and how long a formula takes."""

from __future__ import annotations

import subprocess
import sys
import time

from benchmarks.check import formulas
from derl_dsl.checker import check_source
from derl_dsl.elaborate.scope import build_scope
from derl_grammar.spans import Source

HEAVY = ("lark", "numpy", "numba", "pyarrow", "torch", "rich", "importlib.metadata", "tomllib")


def test_check_imports_nothing_heavy() -> None:
    code = f"import sys, derl_dsl.cli.check\nprint([m for m in {HEAVY!r} if m in sys.modules])\n"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_package_loads_nothing_before_a_name_is_used() -> None:
    code = "import sys, derl_dsl\nprint(sorted(m for m in sys.modules if m.startswith('derl')))\n"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['derl_dsl', 'derl_dsl.version']"


def test_compiling_needs_no_lints() -> None:
    code = (
        "import sys, derl_dsl\nderl_dsl.compile('2 * a', columns={'a': 'bool'})\n"
        "print([m for m in sys.modules if m.startswith('derl_dsl.lint')])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_formula_takes_at_most_two_milliseconds() -> None:
    """Four times the target, in processor time: other work on the machine does not count."""
    scope, texts = build_scope("derl-math"), formulas()
    best = []
    for _ in range(3):
        start = time.process_time()
        for text in texts:
            check_source(Source(text), scope)
        best.append(time.process_time() - start)
    assert min(best) / len(texts) < 0.002
