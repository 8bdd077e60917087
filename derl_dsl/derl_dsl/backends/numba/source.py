"""From a plan to Python source that numba compiles: loops as one would write them by hand.

A program without group functions is one loop over rows; with them it is a loop over groups, in
which each stage of the plan is a loop over the group's rows and a group function is called between
them (`backends/plan.py` has the account of stages, levels and walks). The source stands for itself:
it imports numba and NumPy, and its helpers are those of `helpers.py`, word for word.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Sequence

from derl_dsl.backends.numba import helpers
from derl_dsl.backends.plan import Plan, Walk
from derl_dsl.graph import scalars
from derl_dsl.graph.ir import Graph, Param
from derl_dsl.graph.ops import GROUP, SLICES

# Operations on single numbers as expressions; a name before a bracket is a helper. The rest are
# the functions of `graph/scalars.py`, word for word, computed in float64.
OPS = {
    "neg": "-{0}", "add": "{0} + {1}", "sub": "{0} - {1}", "mul": "{0} * {1}",
    "mod": "mod({0}, {1})", "pow": "power({0}, {1})", "abs": "abs({0})",
    "exp": "real(c_exp({0}))", "log": "real(c_log({0}))", "sqrt": "np.sqrt({0})",
    "tanh": "real(c_tanh({0}))", "sigmoid": "sigmoid({0})", "cos": "real(c_cos({0}))",
    "floor": "np.floor({0})", "round": "np.rint({0})", "lt": "{0} < {1}", "le": "{0} <= {1}",
    "eq": "{0} == {1}", "ne": "{0} != {1}", "and": "{0} and {1}", "or": "{0} or {1}",
    "not": "not {0}", "num": "real({0})", "select": "{1} if {0} else {2}",
}  # fmt: skip
# Reductions: the state before, how a step `x` changes it (`first`: it is the first one), the end.
# {0}, {1}, {2} are the state, {n} is how many steps there are.
REDUCTIONS: dict[str, tuple[tuple[str, ...], tuple[str, ...], str]] = {
    "list_sum": (("0.0",), ("{0} + x",), "{0}"),
    "list_mean": (("0.0", "0.0", "0.0"),
                  ("{0} + x", "x if first or x < {1} else {1}", "x if first or {2} < x else {2}"),
                  "list_mean({0}, {1}, {2}, {n})"),
    "list_min": (("0.0",), ("x if first or x < {0} or x != x else {0}",), "{0}"),
    "list_max": (("0.0",), ("x if first or {0} < x or x != x else {0}",), "{0}"),
    "list_first": (("0.0",), ("x if first else {0}",), "{0}"),
    "list_last": (("0.0",), ("x",), "{0}"),
    "list_count": ((), (), "float({n})"),
    "list_any": (("False",), ("{0} or x",), "{0}"),
    "list_all": (("True",), ("{0} and x",), "{0}"),
}  # fmt: skip
_NEEDS = {"mod": ("c_fmod",), "power": ("c_pow",), "sigmoid": ("c_exp",), "list_mean": ("held",),
          "group_mean": ("held",), "group_rank": ("place",)}  # fmt: skip
_TAKES = {"c_pow": 2, "c_fmod": 2}


class Source:
    """Writes the function `rewards` of a graph for some outputs."""

    def __init__(self, graph: Graph, roots: Sequence[int], dtype: str) -> None:
        self.plan, self.graph, self.dtype = Plan.of(graph, tuple(roots)), graph, dtype
        self.lines: list[str] = []
        self.depth = 1
        self.names: dict[int, str] = {}
        self.used: set[str] = set()

    def put(self, line: str) -> None:
        """One line of the function."""
        self.lines.append("    " * self.depth + line)

    def arguments(self) -> list[str]:
        """The function's arguments after the range, the groups and which rows count."""
        lists = {i for i in self.plan.inputs if self.graph.nodes[i].is_list}
        return [n for i in self.plan.inputs for n in (f"c{i}", *([f"o{i}"] if i in lists else []))]

    def text(self) -> str:
        """The whole source."""
        plan, grouped = self.plan, self.plan.grouped
        last = max((plan.stages[i] for i in plan.order), default=0)
        if grouped:
            self.put("for g in range(start, stop):")
            self.depth += 1
            self.put("a, b = groups[g], groups[g + 1]")
            self._here("a", "b")
            for i, k in plan.kept.items():
                if self.graph.nodes[i].op not in GROUP:
                    self.put(f"k{k} = np.empty(b - a)")
        else:
            self._here("start", "stop")
        for stage in range(last + 1):
            for i in plan.groups(stage):
                self._group(i)
            self._stage(stage)
        body = "\n".join(self.lines)
        given = ", ".join(["start", "stop", "groups", "live", *self.arguments(), "out"])
        told = {"input": "", "valid": "whether there is "}
        comments = [
            f"# c{i}: {told[self.graph.nodes[i].op]}{self.graph.source(i)}" for i in plan.inputs
        ]
        head = ["@njit(error_model='numpy', nogil=True)", f"def rewards({given}):"]
        return "\n".join([*self._prelude(), *comments, *head, body, ""])

    def _prelude(self) -> list[str]:
        """Imports and the helpers in use, each after those that it calls."""
        order: dict[str, None] = {}

        def need(name: str) -> None:
            for below in _NEEDS.get(name, ()):
                need(below)
            order.setdefault(name)

        for name in sorted(self.used):
            need(name)
        numbers = f"real, NAN, INF = np.{self.dtype}, np.float64(math.nan), math.inf"
        lines = ["import ctypes", "import math", "", "import numpy as np", "from numba import njit",
                 "", numbers, ""]  # fmt: skip
        functions = [name for name in order if name.startswith("c_")]
        if functions:
            lines += [_plain(helpers.libm)]
            lines += [f"{n} = libm({n[2:]!r}, {_TAKES.get(n, 1)})" for n in functions]
        for name in order:
            if name not in functions:
                function = getattr(helpers, name, None) or getattr(scalars, name)
                lines += ["", "@njit(error_model='numpy')", _plain(function)]
        return [*lines, ""]

    def _here(self, start: str, stop: str) -> None:
        """Views of what the loops over rows read and write, from their first row on.

        Their rows count from 0, which numba knows to be no index from the end.
        """
        for i in self.plan.inputs:
            if self.graph.nodes[i].is_list:
                self.put(f"e{i} = o{i}[{start}:{stop} + 1]")
            else:
                self.put(f"h{i} = c{i}[{start}:{stop}]")
        for k in range(len(self.plan.roots)):
            self.put(f"w{k} = out[{k}, {start}:{stop}]")

    def _stage(self, stage: int) -> None:
        plan = self.plan
        here = [i for i in plan.kept if plan.stages[i] == stage]
        written = [i for i in here if self.graph.nodes[i].op not in GROUP]
        outs = [k for k, root in enumerate(plan.roots) if plan.stages[root] == stage]
        if not written and not outs:
            return
        self.names = {}
        self.put(f"for r in range({'b - a' if plan.grouped else 'stop - start'}):")
        self.depth += 1
        deepest = max((plan.levels[i] for i in plan.order), default=0)
        for level in range(deepest + 1):
            for number, walk in enumerate(plan.walks(stage, level)):
                self._walk(walk, f"{stage}_{level}_{number}")
            for i in plan.singles(stage, level):
                node = self.graph.nodes[i]
                always = plan.always(i)
                told = self._apply(i, [self._value(a) for a in node.args])
                self._name(i, told if always is None else str(always))
        for i in written:
            self.put(f"k{plan.kept[i]}[r] = {self._value(i)}")
        for k in outs:
            self.put(f"w{k}[r] = {self._value(plan.roots[k])}")
        self.depth -= 1

    def _name(self, i: int, value: str) -> None:
        self.put(f"v{i} = {value}")
        self.names[i] = f"v{i}"

    def _apply(self, i: int, args: list[str]) -> str:
        op = self.graph.nodes[i].op
        if op in OPS:
            self._use(OPS[op])
            return OPS[op].format(*args)
        name = scalars.OPS[op].__name__
        self.used.add(name)
        if self.dtype == "float64":
            return f"{name}({', '.join(args)})"
        return f"real({name}({', '.join(f'np.float64({a})' for a in args)}))"

    def _use(self, form: str) -> None:
        for part in form.replace("real(", "").replace("np.", "").split("(")[:-1]:
            name = part.split()[-1] if part.split() else part
            if hasattr(helpers, name):
                self.used.add(name)

    def _value(self, i: int) -> str:
        """A single value of the row: computed before, kept, read from its column, or a constant."""
        if i in self.names:
            return self.names[i]
        node = self.graph.nodes[i]
        if node.op in ("const", "param"):
            payload = node.payload
            value = payload.value if isinstance(payload, Param) else payload
            assert isinstance(value, float)
            return self._literal(value)
        kept = i in self.plan.kept and i not in self.plan.inputs
        place = f"k{self.plan.kept[i]}[r]" if kept else f"h{i}[r]"
        if node.is_bool:
            self._name(i, f"{place} != 0")
        else:
            self._name(i, f"real({place})" if kept else place)
        return self.names[i]

    def _literal(self, value: float) -> str:
        if math.isnan(value):
            return "real(NAN)"
        told = repr(value) if math.isfinite(value) else f"{'-' if value < 0 else ''}math.inf"
        return f"({told})" if self.dtype == "float64" else f"real({told})"

    def _walk(self, walk: Walk, tag: str) -> None:
        """One inner loop over steps, for all reductions of them."""
        first, count = f"s{tag}", f"n{tag}"
        base = f"e{walk.base}"
        self.put(f"{first}, {count} = 0, {base}[r + 1] - {base}[r]")
        for op, node in walk.cuts:
            literals = ", ".join(map(repr, self._payload(node)))
            self.used.add(op)
            self.put(f"p, q = {op}({literals}, {count})")
            self.put(f"{first}, {count} = {first} + p, q - p")
        for i in walk.reductions:
            for a in self._singles(self.graph.nodes[i].args[0]):
                self._value(a)
        states = {}
        for i in walk.reductions:
            before = REDUCTIONS[self.graph.nodes[i].op][0]
            states[i] = [f"t{i}_{k}" for k in range(len(before))]
            for name, value in zip(states[i], before, strict=True):
                self.put(f"{name} = {value}")
        outside = dict(self.names)
        self.put(f"for j in range({first}, {first} + {count}):")
        self.depth += 1
        self.put(f"first = j == {first}")
        for i in walk.reductions:
            reduced = self.graph.nodes[i]
            steps = REDUCTIONS[reduced.op][1]
            if steps:
                wide = "" if self.graph.nodes[reduced.args[0]].is_bool else "np.float64"
                self.put(f"x = {wide}({self._step(reduced.args[0])})")
                new = ", ".join(step.format(*states[i]) for step in steps)
                self.put(f"{', '.join(states[i])} = {new}")
        self.depth -= 1
        self.names = outside
        for i in walk.reductions:
            end = REDUCTIONS[self.graph.nodes[i].op][2]
            self._use(end)
            value = end.format(*states[i], n=count)
            self._name(i, value if self.graph.nodes[i].is_bool else f"real({value})")

    def _step(self, i: int) -> str:
        """The value of a list at step `j`, or of the row."""
        node = self.graph.nodes[i]
        if not node.is_list:
            return self._value(i)
        if i not in self.names:
            if node.op == "input":
                place = f"c{i}[e{i}[r] + j]"
                self._name(i, f"{place} != 0" if node.is_bool else place)
            elif node.op in SLICES:
                self.names[i] = self._step(node.args[0])
            else:
                self._name(i, self._apply(i, [self._step(a) for a in node.args]))
        return self.names[i]

    def _singles(self, root: int) -> list[int]:
        """The single values that a list is made with."""
        found: list[int] = []
        stack = [root]
        while stack:
            for a in self.graph.nodes[stack.pop()].args:
                (stack if self.graph.nodes[a].is_list else found).append(a)
        return found

    def _payload(self, node: int) -> tuple[float, ...]:
        payload = self.graph.nodes[node].payload
        assert isinstance(payload, tuple)
        return payload

    def _group(self, i: int) -> None:
        """A group function over the rows of the group."""
        node = self.graph.nodes[i]
        *values, where = node.args
        literal = self._payload(i)[0] if node.payload is not None else 0.0
        self.used.add(node.op)
        use = "live[a:b]"
        if self.plan.always(where) is not True:
            use += f" & ({self._rows(where)} != 0)"
        x = self._rows(values[0]) if values else "live[a:b]"
        called = f"{node.op}({x}, {use}, {float(literal)!r})"
        self.put(f"k{self.plan.kept[i]} = {self._narrow(called)}")

    def _narrow(self, value: str) -> str:
        return (
            value if self.dtype == "float64" else f"{value}.astype(np.float32).astype(np.float64)"
        )

    def _rows(self, i: int) -> str:
        """The values of a node in the rows of the group, as float64."""
        if i in self.plan.kept:
            return f"k{self.plan.kept[i]}"
        return f"h{i}" if self.dtype == "float64" else f"h{i}.astype(np.float64)"


def _plain(function: Callable[..., object]) -> str:
    """The source of a helper without its types."""
    source = inspect.getsource(function)
    head, body = source.split("\n", 1)
    names = ", ".join(inspect.signature(function).parameters)
    return f"def {function.__name__}({names}):\n{body}" if head.endswith(":") else source


def write(graph: Graph, roots: Sequence[int], dtype: str = "float64") -> str:
    """The source of `rewards(start, stop, groups, live, columns…, out)`.

    `out` is (K, B), one row a root; the range is of rows, or of groups where some look at them.
    """
    return Source(graph, roots, dtype).text()
