"""The numba backend: fused loops over the rows, compiled on first use.

Between two group functions all operations run in one loop; a list is reduced by an inner loop that
computes its steps on the way. Values that several loops need are kept in arrays.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from derl_dsl.backends.kernel import Array, Bound, Kernel, Ragged
from derl_dsl.backends.numba_helpers import HELPERS
from derl_dsl.ir import GROUP, REDUCTIONS, SLICES, Graph, Param

OPS: dict[str, str] = {
    "neg": "-{0}",
    "add": "{0} + {1}",
    "sub": "{0} - {1}",
    "mul": "{0} * {1}",
    "div": "{0} / {1} if {1} != 0.0 else math.nan",
    "mod": "mod({0}, {1})",
    "pow": "{0} ** {1} if {0} != 0.0 or {1} >= 0.0 else math.nan",
    "min": "{0} if ({0} < {1} or {0} != {0}) else {1}",
    "max": "{0} if ({0} > {1} or {0} != {0}) else {1}",
    "abs": "abs({0})",
    "exp": "math.exp({0})",
    "log": "log({0})",
    "sqrt": "math.sqrt({0})",
    "tanh": "math.tanh({0})",
    "sigmoid": "sigmoid({0})",
    "cos": "math.cos({0})",
    "floor": "np.floor({0})",
    "round": "np.rint({0})",
    "sign": "sign({0})",
    "guard": "{0} if math.isfinite({0}) else {1}",
    "lt": "{0} < {1}",
    "le": "{0} <= {1}",
    "eq": "{0} == {1}",
    "ne": "{0} != {1}",
    "and": "{0} and {1}",
    "or": "{0} or {1}",
    "not": "not {0}",
    "num": "1.0 if {0} else 0.0",
    "select": "{1} if {0} else {2}",
}
# Reductions as (start, step); the value of the step is {x}, its number in the list {k}.
LOOPS: dict[str, tuple[str, str]] = {
    "list_sum": ("0.0", "{r} + {x}"),
    "list_count": ("0.0", "{r} + 1.0"),
    "list_first": ("0.0", "{x} if k == 0 else {r}"),
    "list_last": ("0.0", "{x}"),
    "list_min": ("0.0", "{x} if (k == 0 or {x} < {r}) else {r}"),
    "list_max": ("0.0", "{x} if (k == 0 or {x} > {r}) else {r}"),
    "list_any": ("False", "{r} or {x}"),
    "list_all": ("True", "{r} and {x}"),
}


class Writer:
    """Writes the source of one kernel."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.order = graph.used(graph.roots())
        self.outputs = {**graph.outputs, **{f"?{n}": i for n, i in graph.valids.items()}}
        inputs = graph.inputs(graph.roots())
        self.singles = [i for i in inputs if not graph.nodes[i].is_list]
        self.lists = [i for i in inputs if graph.nodes[i].is_list]
        # Constants live in an array, so that programs which differ in numbers share their code.
        self.constants: list[float] = []
        self.stages = self._stages()
        self.kept = self._kept()

    def _stages(self) -> dict[int, int]:
        """How many group functions lie behind each node: it is computed in that loop."""
        found: dict[int, int] = {}
        for i in self.order:
            node = self.graph.nodes[i]
            found[i] = max((found[a] for a in node.args), default=0) + (node.op in GROUP)
        return found

    def _kept(self) -> dict[int, int]:
        """Rows of the array of values that a later loop or a group function needs."""
        needed: set[int] = set()
        for i in self.order:
            node = self.graph.nodes[i]
            if node.op in GROUP:
                needed.update((i, *node.args))
            elif not node.is_list:
                needed.update(a for a in self._seen_by(i) if self.stages[a] < self.stages[i])
        return {i: k for k, i in enumerate(sorted(needed))}

    def _seen_by(self, i: int) -> list[int]:
        """The single values that node i reads, through list operations that it computes inline."""
        found: list[int] = []
        stack = list(self.graph.nodes[i].args)
        while stack:
            a = stack.pop()
            if self.graph.nodes[a].is_list:
                stack.extend(self.graph.nodes[a].args)
            else:
                found.append(a)
        return found

    def loops(self) -> list[str]:
        """The source of the loop of each stage."""
        return [
            "\n".join(
                [
                    "def loop(x, c, flat, offsets, kept, out):",
                    "    for r in range(out.shape[1]):",
                    *(self._loop(stage) or ["        pass"]),
                ]
            )
            for stage in range(max(self.stages.values(), default=0) + 1)
        ]

    def group_calls(self, stage: int) -> list[tuple[str, list[int], float, int]]:
        """The group functions before a stage: name, rows of their arguments, literal, row out."""
        calls = []
        for i in self.order:
            node = self.graph.nodes[i]
            if node.op in GROUP and self.stages[i] == stage:
                args = [self.kept[a] for a in node.args]
                literal = node.payload[0] if isinstance(node.payload, tuple) else 0.0
                calls.append((node.op, args, float(literal), self.kept[i]))
        return calls

    def _loop(self, stage: int) -> list[str]:
        lines: list[str] = []
        written: set[int] = set()
        for i in self.order:
            node = self.graph.nodes[i]
            if node.is_list:
                continue
            if self.stages[i] < stage or node.op in GROUP:
                if i in self.kept and self.stages[i] <= stage:
                    convert = " != 0.0" if node.is_bool else ""
                    lines.append(f"v{i} = kept[{self.kept[i]}, r]{convert}")
                    written.add(i)
                elif node.op in ("const", "param", "input", "valid") and self.stages[i] < stage:
                    lines.append(f"v{i} = {self._leaf(i)}")
                    written.add(i)
                continue
            if self.stages[i] > stage:
                continue
            lines += self._statement(i)
            written.add(i)
            if i in self.kept:
                lines.append(f"kept[{self.kept[i]}, r] = v{i}")
        for k, i in enumerate(self.outputs.values()):
            if self.stages[i] == stage:
                lines.append(f"out[{k}, r] = v{i}")
        return ["        " + line for line in lines]

    def _leaf(self, i: int) -> str:
        node = self.graph.nodes[i]
        if node.op in ("input", "valid"):
            text = f"x[{self.singles.index(i)}, r]"
            return text + " != 0.0" if node.is_bool else text
        value = node.payload.value if isinstance(node.payload, Param) else node.payload
        assert isinstance(value, float)
        self.constants.append(value)
        return f"c[{len(self.constants) - 1}]"

    def _statement(self, i: int) -> list[str]:
        node = self.graph.nodes[i]
        if node.op in ("input", "valid", "const", "param"):
            return [f"v{i} = {self._leaf(i)}"]
        if node.op in REDUCTIONS:
            return self._reduction(i)
        return [f"v{i} = " + OPS[node.op].format(*(f"v{a}" for a in node.args))]

    def _reduction(self, i: int) -> list[str]:
        """The inner loop over the steps; the list's own operations are computed inside it."""
        node = self.graph.nodes[i]
        base, cuts = self._base(node.args[0])
        lines = [f"a = offsets[{self.lists.index(base)}, r]",
                 f"e = offsets[{self.lists.index(base)}, r + 1]"]  # fmt: skip
        for op, literals in cuts:
            if op == "third":
                k = int(literals[0])
                lines.append(f"a, e = a + {k - 1} * (e - a) // 3, a + {k} * (e - a) // 3")
            else:
                first, last = (f"int(np.floor((e - a) * {v!r}))" for v in literals)
                lines.append(f"a, e = a + {first}, a + {last}")
        inner = [f"j = a - offsets[{self.lists.index(base)}, r] + k"]
        inner += self._steps(node.args[0])
        x, r = f"v{node.args[0]}", f"v{i}"
        if node.op == "list_mean":
            inner += [f"s = s + {x}", f"lo = {x} if (k == 0 or {x} < lo) else lo",
                      f"hi = {x} if (k == 0 or {x} > hi) else hi"]  # fmt: skip
            start, end = ["s = 0.0", "lo = 0.0", "hi = 0.0"], [
                f"{r} = min(max(s / (e - a), lo), hi) if e > a else 0.0"]  # fmt: skip
        else:
            first_value, step = LOOPS[node.op]
            start, end = [f"{r} = {first_value}"], []
            inner.append(f"{r} = " + step.format(r=r, x=x))
        loop = ["for k in range(e - a):", *("    " + line for line in inner)]
        return [*lines, *start, *loop, *end]

    def _base(self, i: int) -> tuple[int, list[tuple[str, tuple[float, ...]]]]:
        """The input list behind a list value, and how it was cut, the first cut first."""
        node = self.graph.nodes[i]
        if node.op == "input":
            return i, []
        lists = [a for a in node.args if self.graph.nodes[a].is_list]
        base, cuts = self._base(lists[0])
        if node.op in SLICES:
            assert isinstance(node.payload, tuple)
            return base, [*cuts, (node.op, node.payload)]
        return base, cuts

    def _steps(self, root: int) -> list[str]:
        """The list operations that make up `root`, on one step."""
        singles = [i for i in self.graph.used([root]) if not self.graph.nodes[i].is_list]
        lines = []
        # What a single value was made of, lists included, was computed before.
        for i in self.graph.used([root], known=frozenset(singles)):
            node = self.graph.nodes[i]
            if not node.is_list:
                continue
            if node.op == "input":
                column = self.lists.index(i)
                text = f"flat[{column}][offsets[{column}, r] + j]"
                lines.append(f"v{i} = {text}" + (" != 0.0" if node.is_bool else ""))
            elif node.op in SLICES:
                lines.append(f"v{i} = v{node.args[0]}")
            else:
                lines.append(f"v{i} = " + OPS[node.op].format(*(f"v{a}" for a in node.args)))
        return lines


_compiled: dict[str, Any] = {}


def _helpers() -> dict[str, Any]:
    """The helper functions, compiled once per process."""
    import numba

    if "helpers" not in _compiled:
        jit = numba.njit(error_model="numpy", fastmath=False)
        _compiled["helpers"] = {helper.__name__: jit(helper) for helper in HELPERS}
    helpers: dict[str, Any] = _compiled["helpers"]
    return helpers


def _compile(text: str) -> Any:
    import numba

    if text not in _compiled:
        names: dict[str, Any] = {"math": math, "np": np, **_helpers()}
        exec(text, names)
        _compiled[text] = numba.njit(error_model="numpy", fastmath=False)(names["loop"])
    return _compiled[text]


def emit(graph: Graph) -> Kernel:
    """A kernel of compiled loops; compiling takes a second or less."""
    writer = Writer(graph)
    loops = [_compile(text) for text in writer.loops()]
    calls = [writer.group_calls(stage) for stage in range(len(loops))]
    constants = np.array(writer.constants or [0.0])
    names = list(writer.outputs)

    def kernel(bound: Bound) -> dict[str, Array]:
        rows = bound.rows
        x = np.empty((max(1, len(writer.singles)), rows))
        for k, i in enumerate(writer.singles):
            x[k] = bound.inputs[i]
        lists = [bound.inputs[i] for i in writer.lists]
        flat = tuple(np.asarray(v.values, np.float64) for v in lists if isinstance(v, Ragged))
        offsets = np.zeros((max(1, len(lists)), rows + 1), dtype=np.int64)
        for k, v in enumerate(lists):
            assert isinstance(v, Ragged)
            offsets[k] = v.offsets
        kept = np.empty((max(1, len(writer.kept)), rows))
        out = np.empty((len(names), rows))
        for loop, grouped in zip(loops, calls, strict=True):
            for name, args, literal, target in grouped:
                first, last = kept[args[0]], kept[args[-1]]
                _helpers()[name](first, last, bound.live, bound.groups, literal, kept[target])
            loop(x, constants, flat or (np.zeros(1),), offsets, kept, out)
        return dict(zip(names, out, strict=True))

    return kernel
