"""`check` stays quick: what it imports, and how long a formula takes; and the benchmarks run."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmarks import run
from benchmarks.check import formulas
from derl_dsl.checker import check_source
from derl_dsl.scope import build_scope
from derl_grammar.spans import Source

HEAVY = ("lark", "numpy", "numba", "pyarrow", "torch", "rich", "importlib.metadata", "tomllib")


def test_check_imports_nothing_heavy() -> None:
    code = f"import sys, derl_dsl.cli.check\nprint([m for m in {HEAVY!r} if m in sys.modules])\n"
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


def test_a_benchmark_is_measured_in_turns_and_shown() -> None:
    turns: list[str] = []
    contenders = tuple(
        run.Contender(name, lambda name=name: turns.append(name), f"does {name}") for name in "ab"
    )
    record = run.measure(run.Benchmark("x", "Letters", contenders, 3, "letters/s", 1.0, 5.0))
    assert turns == [*"ab", *"ab", *"ab", *"ab"]
    shown = run.table([record])
    assert "### Letters" in shown
    assert "| a | " in shown
    assert "does b" in shown
    assert "Target: 5 letters/s." in shown
    assert record["machine"]["cpu"] in shown


def test_the_page_is_made_from_the_results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = tmp_path / "README.md"
    page.write_text("before\n<!-- results -->\nold\n<!-- end of results -->\nafter\n")
    monkeypatch.setattr(run, "README", page)
    run.write_readme()
    assert "old" not in page.read_text()
    assert page.read_text().startswith("before\n<!-- results -->")
    assert page.read_text().endswith("<!-- end of results -->\nafter\n")


def test_an_unknown_benchmark_is_refused_by_name() -> None:
    with pytest.raises(SystemExit, match="unknown benchmark 'chek'; one of check-throughput"):
        run.find(["chek"])
