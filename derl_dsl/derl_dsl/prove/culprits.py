"""Which operation makes a reward infinite or NaN, and how to say so."""

from __future__ import annotations

import math

from derl_dsl.graph.ir import Graph
from derl_dsl.graph.ops import OPERATIONS
from derl_dsl.graph.ranges import Range
from derl_dsl.prove import codes
from derl_dsl.prove.analyse import Analysis
from derl_dsl.prove.witness import Witness, leaf_name
from derl_grammar.diagnostics import Code, Report

_GUARD = "give it a default: guard(…, 0)"


class Culprits:
    """Reports the operations that first turn finite numbers into what is none."""

    def __init__(
        self, graph: Graph, root: int, witness: Witness, analysis: Analysis | None, report: Report
    ) -> None:
        self.graph, self.root, self.report = graph, root, report
        self.witness, self.analysis = witness, analysis

    def report_all(self) -> None:
        """Report each culprit at its place, with an example where one is known."""
        if self.analysis is None:
            self._by_enumeration()
        else:
            self._by_intervals(self.analysis)

    def _by_enumeration(self) -> None:
        values = self.witness.values
        bad = [k for k, v in enumerate(values[self.root]) if not math.isfinite(v)]
        for i in self.graph.used([self.root]):
            args = self.graph.nodes[i].args
            for k in bad:
                if math.isfinite(values[i][k]) or not all(
                    math.isfinite(values[a][k]) for a in args
                ):
                    continue
                pairs = zip(self.witness.leaves, self.witness.rows[k], strict=True)
                row = ", ".join(f"{leaf_name(self.graph, leaf)} = {v:.9g}" for leaf, v in pairs)
                self._report(i, f"for example at {row}")
                break

    def _by_intervals(self, analysis: Analysis) -> None:
        stack, seen = [self.root], set()
        while stack:
            i = stack.pop()
            if i in seen or analysis[i].finite:
                continue
            seen.add(i)
            node = self.graph.nodes[i]
            args = node.args[1:] if node.op in ("guard", "select") else node.args
            below = [a for a in args if not analysis[a].finite]
            if node.op == "select" and analysis[node.args[0]].nan:
                below.append(node.args[0])
            if below:
                stack.extend(below)
            else:
                self._report(i)

    def _report(self, i: int, *more: str) -> None:
        node = self.graph.nodes[i]
        code, message, hint = self._tiny(i) or self._explain(node.op, node.args)
        self.report.add(code, self.graph.places[i], message, hint, *more)

    def _tiny(self, i: int) -> tuple[Code, str, str] | None:
        """A divisor that its condition keeps from 0, but not from the smallest numbers."""
        node = self.graph.nodes[i]
        below = self.analysis.open.get(i) if self.analysis is not None else None
        if node.op != "div" or below is None or below[1].nan or below[1].lo <= 0 <= below[1].hi:
            return None
        lo, hi, _ = below[1]
        divisor, least = node.args[1], lo if lo > 0 else hi
        if self.graph.nodes[divisor].op == "input":
            shown, bound = leaf_name(self.graph, divisor), f"{math.copysign(1e-3, least):g}"
            hint = f"write {shown} {'>=' if lo > 0 else '<='} {bound}, or {_GUARD}"
        else:
            shown = "the divisor"
            hint = f"compare it with a number that it may reach, such as 1e-3, or {_GUARD}"
        message = f"{shown} can be as small as {least:.6g} here, and the quotient infinite"
        return codes.DIVISION, message, hint

    def _explain(self, op: str, args: tuple[int, ...]) -> tuple[Code, str, str]:
        ranges = [f"[{b.lo:.6g}, {b.hi:.6g}]" for b in map(self._bounds, args)]
        if OPERATIONS[op].divides:
            divisor = self._bounds(args[1])
            if divisor.lo <= 0 <= divisor.hi:
                what = "this division" if op == "div" else "this remainder"
                message = f"{what} can divide by zero: the divisor lies in {ranges[1]}"
                return codes.DIVISION, message, _GUARD + ", or keep the divisor away from 0"
        if OPERATIONS[op].partial:
            shown = " and ".join(ranges)
            message = f"{op} is not defined, or infinite, on all of its arguments: {shown}"
            return codes.DOMAIN, message, _GUARD + ", or max(…, a bound)"
        message = f"this can overflow: its arguments lie in {' and '.join(ranges)}"
        return codes.OVERFLOW, message, "hold it with clip(…), or declare the inputs' ranges"

    def _bounds(self, i: int) -> Range:
        if self.analysis is not None:
            return self.analysis[i]
        values = [v for v in self.witness.values[i] if not math.isnan(v)]
        return Range(min(values, default=-math.inf), max(values, default=math.inf))
