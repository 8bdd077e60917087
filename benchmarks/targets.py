"""What the kernels have to reach, each line computed from results of one run.

A line takes its figure from the records on disk; where one is missing it is "not measured", never
passed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

Record = dict[str, Any]
_ELEMENTWISE = ("linear", "conditional")
_SHAPED = ("ragged", "group")
COPY = "copy of as many bytes"
_NATIVE, _VM = "derl-dsl native", "derl-dsl vm"


class Missing(LookupError):
    """A result that is not there."""


class Results:
    """Medians by benchmark and contender."""

    def __init__(self, records: Iterable[Record]) -> None:
        self.rows = {r["name"]: {c["name"]: c for c in r["contenders"]} for r in records}

    def seconds(self, benchmark: str, contender: str, figure: str = "median") -> float:
        """A figure of a contender; Missing when it was not measured."""
        try:
            return float(self.rows[benchmark][contender][figure])
        except KeyError:
            raise Missing(f"{benchmark}, {contender}") from None

    def ratio(self, benchmark: str, slow: str, fast: str) -> float:
        """How many times `fast` is as fast as `slow`."""
        return self.seconds(benchmark, slow) / self.seconds(benchmark, fast)


@dataclass(frozen=True, slots=True)
class Target:
    """One line; `figure` is computed for a tier (the contender's name), the worst of its cases.

    `tiers` is false where there is only one figure, not one for each tier.
    """

    text: str
    figure: Callable[[Results, str], float]
    limit: float
    at_most: bool
    unit: str
    tiers: bool = True

    def holds(self, value: float) -> bool:
        return value <= self.limit if self.at_most else value >= self.limit


def _times(shapes: Iterable[str], size: str, peer: str) -> Callable[[Results, str], float]:
    """The least factor by which a tier is faster than a peer, over shapes."""
    names = [f"kernels-{shape}-{size}" for shape in shapes]
    return lambda results, tier: min(results.ratio(name, peer, tier) for name in names)


def _slowest(shapes: Iterable[str], size: str) -> Callable[[Results, str], float]:
    names = [f"kernels-{shape}-{size}" for shape in shapes]
    return lambda results, tier: 1e6 * max(results.seconds(name, tier) for name in names)


def _of(benchmark: str, contender: str, scale: float) -> Callable[[Results, str], float]:
    return lambda results, _: scale * results.seconds(benchmark, contender)


def _between(benchmark: str, slow: str, fast: str) -> Callable[[Results, str], float]:
    return lambda results, _: results.ratio(benchmark, slow, fast)


def _share(shapes: Iterable[str]) -> Callable[[Results, str], float]:
    copied = _times(shapes, "1M", COPY)
    return lambda results, tier: 100 * copied(results, tier)


def _most(text: str, figure: Callable[[Results, str], float], limit: float, unit: str,
          tiers: bool = True) -> Target:  # fmt: skip
    return Target(text, figure, limit, True, unit, tiers)


def _least(text: str, figure: Callable[[Results, str], float], limit: float, unit: str = "×",
           tiers: bool = True) -> Target:  # fmt: skip
    return Target(text, figure, limit, False, unit, tiers)


def _worst_of(size: str) -> Callable[[Results, str], float]:
    names = [f"score-{shape}-{size}" for shape in _ELEMENTWISE]
    return lambda results, _: 1e6 * max(results.seconds(n, "derl-dsl score") for n in names)


def _against(size: str) -> Callable[[Results, str], float]:
    """How many times numexpr's time the public call takes, over shapes."""
    names = [f"score-{shape}-{size}" for shape in _ELEMENTWISE]
    return lambda results, _: max(
        results.ratio(n, "derl-dsl score", "numexpr evaluate") for n in names
    )


def _call(results: Results, _: str) -> float:
    names = [f"call-{name}" for name in ("exact", "format", "correct")]
    return max(results.ratio(n, "derl-dsl, TRL call", "bare primitives") for n in names)


_HAND, _TEXT = "numba by hand", "Python eval, text"
TARGETS = (
    _most("B = 64, elementwise: one call", _slowest(_ELEMENTWISE, "64"), 2, "µs"),
    _least("… against numexpr.re_evaluate", _times(_ELEMENTWISE, "64", "numexpr re_evaluate"), 10),
    _least("B = 1,024, elementwise, against numexpr.evaluate",
           _times(_ELEMENTWISE, "1k", "numexpr evaluate"), 10),
    _least("… against numba by hand", _times(_ELEMENTWISE, "1k", _HAND), 1),
    _least("B = 1M, elementwise: share of copy bandwidth", _share(_ELEMENTWISE), 80, "%"),
    _least("… against numba by hand", _times(_ELEMENTWISE, "1M", _HAND), 1),
    _least("B = 16k, ragged, against numba by hand", _times(["ragged"], "16k", _HAND), 1),
    _least("… against NumPy", _times(["ragged"], "16k", "NumPy"), 5),
    _least("B = 16k, groups of 8, against numba by hand", _times(["group"], "16k", _HAND), 1),
    _least("… against NumPy", _times(["group"], "16k", "NumPy"), 5),
    _least("B = 1,024, elementwise, against `eval` per sample",
           _times(_ELEMENTWISE, "1k", _TEXT), 5000),
    _least("B = 1,024, ragged and group, against `eval` per sample",
           _times(_SHAPED, "1k", _TEXT), 500),
    _most("score(), B = 64, elementwise: one call", _worst_of("64"), 25, "µs", False),
    _most("score(), B = 1,024, elementwise, against numexpr.evaluate", _against("1k"), 1.5, "×",
          False),
    _most("a trainer's call on 128 completions, against its bare primitives", _call, 2, "×", False),
    _least("B = 1M, all threads, against numba by hand",
           _times((*_ELEMENTWISE, *_SHAPED), "1M-threads", _HAND), 1),
    _least("… against torch.compile",
           _times((*_ELEMENTWISE, *_SHAPED), "1M-threads", "torch.compile"), 1),
    _most("new formula, text to 1,024 rewards, warm process",
          _of("kernels-new-formula", "derl-dsl", 1e3), 1.5, "ms", False),
    _least("… against numba njit of the same",
           _between("kernels-new-formula", "numba njit", "derl-dsl"), 100, tiers=False),
    _most("fresh process to first reward, against importing NumPy and lark",
          _between("kernels-fresh-process", "derl-dsl", "import NumPy, lark"), 1.3, "×", False),
    _most("hot tier: build, p50", _of("kernels-hot-build", "derl-dsl native", 1e3), 15, "ms",
          False),
    _least("score_many with IR in hand, B = 1,024",
           _of("kernels-score-many", "derl_dsl.score_many", 1), 50_000, "rewards/s", False),
)  # fmt: skip


def judge(records: Iterable[Record]) -> list[dict[str, Any]]:
    """Each line with its figures (hot tier and virtual machine), and whether it holds."""
    results = Results(records)
    return [_judged(target, results) for target in TARGETS]


def _judged(target: Target, results: Results) -> dict[str, Any]:
    row: dict[str, Any] = {
        "line": target.text,
        "limit": target.limit,
        "at_most": target.at_most,
        "unit": target.unit,
    }
    for key, tier in (("figure", _NATIVE), *((("vm", _VM),) if target.tiers else ())):
        try:
            row[key] = target.figure(results, tier)
        except Missing as missing:
            row[key] = None
            row["missing"] = str(missing.args[0])
    row["holds"] = None if row["figure"] is None else target.holds(row["figure"])
    return row


def table(judged: list[dict[str, Any]]) -> str:
    """The lines as Markdown."""
    lines = [
        "### What must be reached",
        "",
        "Ratios are of medians from one interleaved run, the worst of the shapes named.",
        "",
        "| line | limit | hot tier | holds | virtual machine |",
        "|---|---:|---:|---|---:|",
    ]
    for row in judged:
        sign = "≤" if row["at_most"] else "≥"
        limit = f"{sign} {row['limit']:,g} {row['unit']}"
        holds = {True: "yes", False: "**no**", None: "not measured"}[row["holds"]]
        figure = _shown(row["figure"], row["unit"])
        vm = _shown(row["vm"], row["unit"]) if "vm" in row else ""
        lines.append(f"| {row['line']} | {limit} | {figure} | {holds} | {vm} |")
    return "\n".join([*lines, ""])


def _shown(value: float | None, unit: str) -> str:
    if value is None:
        return "–"
    return f"{value:,.0f} {unit}" if value >= 100 else f"{value:.3g} {unit}"
