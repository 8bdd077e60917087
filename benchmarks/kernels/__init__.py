"""Kernels: bound calls, public calls, from text to rewards, builds, and many rewards at once."""

from __future__ import annotations

from benchmarks.kernels import builds, calls, latency, public
from benchmarks.run import Benchmark


def benchmarks() -> list[Benchmark]:
    """The benchmarks of this folder."""
    return [*calls.benchmarks(), *public.benchmarks(), *latency.benchmarks(), *builds.benchmarks()]
