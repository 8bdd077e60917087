"""How a graph becomes loops: what is computed in which, and what has to be kept between them.

A compiled reward is one loop over rows, if it can be. Two things stand in the way.

Group functions need all rows of a group before any row can go on. They cut the work into stages: a
node's stage is how many group functions lie below it, one after the other. Within a block of rows
stage 0 runs as one loop, then the group functions of stage 1 over the block (the virtual machine's
own instructions), then the loop of stage 1. What a later stage or a group function reads of an
earlier one is kept in a row of scratch (`kept`); everything else lives in registers.

Lists have a loop of their own inside a row. A node's level is how many reductions lie below it: in
a row, the single values of level 0 are computed, then the lists are walked that level 1 needs, and
so on. Lists that go step by step and are cut alike are walked together (`Walk`), each step read
once for all reductions over it. So `mean(xs) + max(xs) - mean(third(xs, 1))` has two walks, and
`sum(xs * (xs > mean(xs)))` two as well, one level after the other.

    g = group_mean(mean(xs)); reward = g * sum(xs) - a

    stage 0   level 1   walk xs: mean, sum          keep mean, sum
    stage 1             group_mean over the block   keep g
              level 1   g * sum - a                 the output

Constants are given, not built in (`literals` says where each lies), so that rewards which differ
in their weights alone share their code: `shape` is what the code depends on, and names it in the
cache.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field

from derl_dsl.backends.pack import Program, key_of
from derl_dsl.backends.sizes import sizes
from derl_dsl.graph.ir import Graph, Param
from derl_dsl.graph.needs import together
from derl_dsl.graph.ops import GROUP, LEAVES, REDUCTIONS, SLICES
from derl_grammar.records import record

Cuts = tuple[tuple[str, int], ...]


@record
class Walk:
    """Reductions that share one inner loop: over list `base`, cut by `cuts` (literals by index)."""

    base: int
    cuts: Cuts
    reductions: tuple[int, ...]


@dataclass(slots=True)
class Plan:
    """The loops of a graph for some outputs.

    A stage is a loop over rows; group functions run between stages. Within a row, values come in
    levels: those of a level are computed, then the lists that the next level needs are walked.
    """

    graph: Graph
    roots: tuple[int, ...]
    order: list[int] = field(default_factory=list)
    inputs: list[int] = field(default_factory=list)
    constants: list[float] = field(default_factory=list)
    stages: dict[int, int] = field(default_factory=dict)
    levels: dict[int, int] = field(default_factory=dict)
    kept: dict[int, int] = field(default_factory=dict)
    literals: dict[int, int] = field(default_factory=dict)
    numbers: frozenset[int] = frozenset()

    @classmethod
    def of(cls, graph: Graph, roots: tuple[int, ...], within: str | None = None) -> Plan:
        """The plan for computing `roots`.

        `within` names the type of numbers where all data is within its declared types: then
        `numbers` are the nodes that are never NaN.
        """
        plan = cls(graph, roots, graph.used(roots))
        if within is not None:
            known = sizes(graph, plan.order, within)
            plan.numbers = frozenset(i for i, size in known.items() if size is not None)
        for i in plan.order:
            plan._place(i)
        plan.kept = plan._keep()
        return plan

    def _place(self, i: int) -> None:
        node = self.graph.nodes[i]
        if node.op in ("input", "valid"):
            self.inputs.append(i)
        values = self._values(node.op, node.payload)
        if values:
            self.literals[i] = len(self.constants)
            self.constants += values
        args = node.args
        self.stages[i] = max((self.stages[a] for a in args), default=0) + (node.op in GROUP)
        below = max((self.levels[a] for a in args), default=0)
        self.levels[i] = below + (node.op in REDUCTIONS)

    def _values(self, op: str, payload: object) -> list[float]:
        if op == "const":
            assert isinstance(payload, float)
            return [payload]
        if isinstance(payload, Param):
            return [payload.value]
        # A cut has two literals wherever one is read; `third` reads the first alone.
        if isinstance(payload, tuple) and op in SLICES | GROUP:
            return [float(v) for v in payload]
        return []

    def _keep(self) -> dict[int, int]:
        """Rows of scratch for what later stages or group functions read."""
        needed: set[int] = set()
        for i in self.order:
            node = self.graph.nodes[i]
            if node.op in GROUP:
                needed.add(i)
                needed.update(a for a in node.args if not self.direct(a))
            elif not node.is_list:
                needed.update(a for a in self._read(i) if self.stages[a] < self.stages[i])
        for root in self.roots:
            needed.update([root] if self.graph.nodes[root].op in GROUP else [])
        kept = sorted(
            i for i in needed if self.graph.nodes[i].op not in LEAVES or self._argument(i)
        )
        return {i: k for k, i in enumerate(kept)}

    def direct(self, i: int) -> bool:
        """Whether a group function can read a node where it lies: a column of numbers."""
        node = self.graph.nodes[i]
        return (node.op == "input" and not node.is_bool) or self.always(i) is True

    def _argument(self, i: int) -> bool:
        return any(
            i in self.graph.nodes[g].args and not self.direct(i)
            for g in self.order
            if self.graph.nodes[g].op in GROUP
        )

    def always(self, i: int) -> bool | None:
        """The value of a condition that is true or false for all rows."""
        node = self.graph.nodes[i]
        if node.op != "lt":
            return None
        a, b = (self.graph.nodes[k] for k in node.args)
        if a.op != "const" or b.op != "const":
            return None
        assert isinstance(a.payload, float)
        assert isinstance(b.payload, float)
        return a.payload < b.payload

    def _read(self, i: int) -> list[int]:
        """The single values that a node reads, through lists that are computed on the way."""
        found: list[int] = []
        stack = list(self.graph.nodes[i].args)
        while stack:
            a = stack.pop()
            if self.graph.nodes[a].is_list:
                stack.extend(self.graph.nodes[a].args)
            else:
                found.append(a)
        return found

    def singles(self, stage: int, level: int) -> list[int]:
        """The operations on single numbers of a stage and level, in order."""
        return [
            i
            for i in self.order
            if self.stages[i] == stage
            and self.levels[i] == level
            and not self.graph.nodes[i].is_list
            and self.graph.nodes[i].op not in LEAVES | REDUCTIONS | GROUP
        ]

    def walks(self, stage: int, level: int) -> list[Walk]:
        """The inner loops whose results are of a level, one for lists that go together."""
        sets = together(self.graph, self.roots)
        found: dict[tuple[object, ...], list[int]] = {}
        where: dict[tuple[object, ...], tuple[int, Cuts]] = {}
        for i in self.order:
            node = self.graph.nodes[i]
            if node.op not in REDUCTIONS or (self.stages[i], self.levels[i]) != (stage, level):
                continue
            base, cuts = self.base(node.args[0])
            values = tuple((op, self._cut_values(k)) for op, k in cuts)
            leader = next((s for s in sets if base in s), (base,))
            key = (leader, values)
            found.setdefault(key, []).append(i)
            where.setdefault(key, (base, cuts))
        return [Walk(*where[key], tuple(members)) for key, members in found.items()]

    def _cut_values(self, node: int) -> tuple[float, ...]:
        payload = self.graph.nodes[node].payload
        assert isinstance(payload, tuple)
        return payload

    def base(self, i: int) -> tuple[int, Cuts]:
        """The input list behind a list, and the cuts (operation, node) it went through."""
        node = self.graph.nodes[i]
        if node.op == "input":
            return i, ()
        first = next(a for a in node.args if self.graph.nodes[a].is_list)
        base, cuts = self.base(first)
        return (base, (*cuts, (node.op, i))) if node.op in SLICES else (base, cuts)

    def groups(self, stage: int) -> list[int]:
        """The group functions that run before a stage."""
        return [
            i for i in self.order if self.graph.nodes[i].op in GROUP and self.stages[i] == stage
        ]

    @property
    def grouped(self) -> bool:
        """Whether there are group functions."""
        return any(self.graph.nodes[i].op in GROUP for i in self.order)

    def program(self) -> Program:
        """What binding data needs to know."""
        inputs = tuple(key_of(self.graph.nodes[i]) for i in self.inputs)
        pool = array("d", self.constants or [0.0]).tobytes()
        grouped = self.grouped
        return Program(b"", 0, pool, inputs, 0, len(self.kept), len(self.roots), grouped, False)

    def shape(self) -> str:
        """What the code depends on: all but the values of constants."""
        at = {i: k for k, i in enumerate(self.order)}
        lines = []
        for i in self.order:
            node = self.graph.nodes[i]
            args = [at[a] for a in node.args]
            # Cuts alike are walked together, so which ones are alike matters; and true and false.
            cut = node.payload if node.op in SLICES else None
            plain = node.op in ("min", "max") and node.args[0] in self.numbers
            always = self.always(i)
            lines.append((node.op, args, node.is_bool, node.is_list, cut, always, plain))
        return repr((lines, [at[r] for r in self.roots]))
