"""The torch backend: a graph becomes a `torch.fx` module of tensor operations.

The module runs on any device, is differentiable in its inputs and parameters, and is what
torch.compile takes. Two faces: `emit`, NumPy in and out like every backend, and `TorchReward` in
`torch_reward`.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial, reduce
from typing import Any

try:
    import torch
except ModuleNotFoundError as error:
    message = "the torch backend needs PyTorch: pip install 'derl-dsl[train]'"
    raise ModuleNotFoundError(message, name="torch") from error

import math

import numpy as np
from torch import Tensor, fx

from derl_dsl.backends import torch_groups as groups
from derl_dsl.backends import torch_segments as parts
from derl_dsl.backends.kernel import Array, Bound, Kernel, Offsets, Ragged
from derl_dsl.backends.torch_ops import OPS
from derl_dsl.graph.ir import Graph, Input, Node, Param
from derl_dsl.graph.leaves import input_range
from derl_dsl.graph.needs import Needs
from derl_dsl.graph.ops import GROUP, REDUCTIONS, SLICES
from derl_grammar.types import Bool, List, Number, Type
from derl_runtime.sources import is_optional, plain

REDUCE: dict[str, Callable[..., Tensor]] = {
    "list_sum": parts.total,
    "list_mean": parts.mean,
    "list_min": parts.smallest,
    "list_max": parts.largest,
    "list_first": parts.first,
    "list_last": parts.last,
    "list_count": parts.count,
    "list_any": parts.some,
    "list_all": parts.every,
}


def _number(x: Tensor, constants: Tensor) -> Tensor:
    return x.to(constants.dtype)


def _truth(x: Tensor) -> Tensor:
    return x != 0


def _column(x: Tensor, rows: int, constants: Tensor) -> Tensor:
    """An output: one number per rollout."""
    return x.to(constants.dtype).expand(rows)


def _row(x: Tensor, rows: int) -> Tensor:
    return x.expand(rows)


def _spread(x: Tensor, part: parts.Segments) -> Tensor:
    """A single value for every step of the lists it stands with."""
    return part.back(x) if x.dim() else x


# Which numbers are no value of their declared type; NaN is none of any.


def _no_truth(x: Tensor) -> Tensor:
    return (x != 0) & (x != 1)


def _not_among(x: Tensor, allowed: Tensor) -> Tensor:
    return ~torch.isin(x, allowed)


def _beyond(x: Tensor, lo: float, hi: float) -> Tensor:
    # What a clamp changes; NaN differs from itself, and infinities from the largest numbers.
    limits = torch.finfo(x.dtype)
    return x != x.clamp(max(lo, limits.min), min(hi, limits.max))


def _absent(bad: Tensor, valid: Tensor | None) -> Tensor:
    return bad if valid is None else bad | ~valid


def _without(live: Tensor, bad: Tensor) -> Tensor:
    return live & ~bad


def _replaced(x: Tensor, bad: Tensor, value: float) -> Tensor:
    return torch.where(bad, value, x)


def _finite(x: Tensor) -> Tensor:
    """An infinite reward never leaves, whatever the proof said."""
    return torch.where(torch.isinf(x), math.nan, x)


def _everyone(rows: int, constants: Tensor) -> Tensor:
    return torch.ones(rows, dtype=torch.bool, device=constants.device)


@dataclass(slots=True)
class Lowered:
    """The module of a graph: `module(**arguments)` gives a dict from output to tensor (B,).

    Arguments: `constants`, a tensor of them in the module's precision; `rows`; `p{node}` for a
    parameter; `x{node}` for an input; for lists also `offsets{node}` and `owner{node}`, and where
    inputs are checked `valid{node}` (which rows have a list, or None); for groups `group_size`, or
    `group_offsets` and `group_owner`; without checks `live`.
    """

    module: fx.GraphModule
    constants: list[float]
    arguments: dict[str, fx.Node]


@dataclass(slots=True)
class Lowering:
    """Writes the module of one graph.

    `uniform` says that all groups have one size. With `checked`, the module holds inputs to their
    declared types, as `Reward.score` does: rows with others become NaN and leave their group.
    """

    graph: Graph
    uniform: bool
    checked: bool
    to: fx.Graph = field(default_factory=fx.Graph)
    constants: list[float] = field(default_factory=list)
    arguments: dict[str, fx.Node] = field(default_factory=dict)
    done: dict[int, fx.Node] = field(default_factory=dict)
    # Nodes above group functions, and their values by the inputs that decide who counts.
    grouped: set[int] = field(default_factory=set)
    lives: dict[tuple[str, ...], fx.Node] = field(default_factory=dict)
    among: dict[tuple[str, ...], dict[int, fx.Node]] = field(default_factory=dict)
    bad: dict[str, fx.Node] = field(default_factory=dict)
    parts: dict[object, fx.Node] = field(default_factory=dict)

    def lower(self) -> Lowered:
        """The module."""
        graph, needs = self.graph, Needs.of(self.graph)
        order = graph.used(graph.roots())
        self._placeholders(order, needs)
        scalars = self._call(torch.unbind, self.arguments["constants"])
        for i in order:
            node = graph.nodes[i]
            if node.op == "const":
                assert isinstance(node.payload, float)
                self.constants.append(node.payload)
                self.done[i] = self._call(operator.getitem, scalars, len(self.constants) - 1)
            elif node.op == "param":
                self.done[i] = self.arguments[f"p{i}"]
            elif node.op in ("input", "valid"):
                self.done[i] = self._checked(i) if self.checked else self._given(i)
        for i in order:
            node = graph.nodes[i]
            if node.op in GROUP or not self.grouped.isdisjoint(node.args):
                self.grouped.add(i)
        self.to.output(self._scored(needs) if self.checked else self._raw())
        self.to.eliminate_dead_code()
        self.to.lint()
        module = fx.GraphModule(torch.nn.Module(), self.to, "TorchKernel")
        return Lowered(module, self.constants or [0.0], self.arguments)

    def _call(self, function: Callable[..., Any], *args: Any) -> fx.Node:
        return self.to.call_function(function, args)

    def _placeholders(self, order: list[int], needs: Needs) -> None:
        """The arguments of the module; an input's conditions come from the same argument."""
        names = ["constants", "rows"]
        names += [f"p{i}" for i in order if self.graph.nodes[i].op == "param"]
        for i in needs.inputs:
            names.append(f"x{self._of(i)}")
            if self._is_list(i):
                names += [f"{part}{self._of(i)}" for part in ("offsets", "owner")]
                names += [f"valid{self._of(i)}"] if self.checked else []
        if needs.grouped:
            names += ["group_size"] if self.uniform else ["group_offsets", "group_owner"]
        names += [] if self.checked else ["live"]
        for name in dict.fromkeys(names):
            self.arguments[name] = self.to.placeholder(name)

    def _of(self, i: int) -> int:
        """The node that names the argument of an input: one for all that read the same source."""
        if not self.checked:
            return i
        inputs = self.graph.inputs(self.graph.roots())
        return next(j for j in inputs if self.graph.source(j) == self.graph.source(i))

    def _is_list(self, i: int) -> bool:
        """Whether the argument of an input is a list; its condition alone is none."""
        if not self.checked and self.graph.nodes[i].op == "valid":
            return False
        return isinstance(plain(self.graph.source(i)), List)

    def _required(self, i: int) -> bool:
        return self.graph.nodes[i].op == "input" and not is_optional(self.graph.source(i))

    def _whole(self, i: int) -> fx.Node:
        """The lists of an input."""
        if ("whole", i) not in self.parts:
            offsets, owner = (self.arguments[f"{name}{i}"] for name in ("offsets", "owner"))
            self.parts["whole", i] = self._call(parts.whole, offsets, owner)
        return self.parts["whole", i]

    def _given(self, i: int) -> fx.Node:
        """An input as it is."""
        x = self.arguments[f"x{i}"]
        boolean = self.graph.nodes[i].is_bool
        return self._call(_truth, x) if boolean else x

    def _checked(self, i: int) -> fx.Node:
        """An input held to its declared type, or the condition that it is applicable."""
        source, at = self.graph.source(i), self._of(i)
        x, name = self.arguments[f"x{at}"], str(source)
        if name not in self.bad:
            self.bad[name] = self._badness(source, at, x)
        if self.graph.nodes[i].op == "valid":
            return self._call(torch.logical_not, self.bad[name])
        # Rows without a required value become NaN and are counted nowhere: theirs may stay.
        if is_optional(source) and not self._is_list(i):
            x = self._call(_replaced, x, self.bad[name], _harmless(source))
        return self._call(_truth, x) if self.graph.nodes[i].is_bool else x

    def _badness(self, source: Input, at: int, x: fx.Node) -> fx.Node:
        """The rows in which an input is none of its declared values."""
        kind = plain(source)
        if not isinstance(kind, List):
            return self._outside(kind, x)
        bad = self._call(parts.some, self._outside(kind.item, x), self._whole(at))
        return self._call(_absent, bad, self.arguments[f"valid{at}"])

    def _outside(self, kind: Type, x: fx.Node) -> fx.Node:
        if isinstance(kind, Bool):
            return self._call(_no_truth, x)
        assert isinstance(kind, Number)
        if kind.values is None:
            return self._call(_beyond, x, float(kind.lo), float(kind.hi))
        first = len(self.constants)
        self.constants += kind.values
        where = slice(first, len(self.constants))
        allowed = self._call(operator.getitem, self.arguments["constants"], where)
        return self._call(_not_among, x, allowed)

    def _part(self, i: int) -> fx.Node:
        """Which values of a list node count: those of its input, as it was cut since."""
        base, slicing = self._base(i), self.graph.slicing(i)
        part = self._whole(base)
        for k, at in enumerate(slicing):
            assert isinstance(at, tuple)
            key = (base, slicing[: k + 1])
            if key not in self.parts:
                self.parts[key] = self._call(parts.cut, *at, part)
            part = self.parts[key]
        return part

    def _base(self, i: int) -> int:
        """The input behind a list node, by the node that names its argument."""
        node = self.graph.nodes[i]
        if node.op == "input":
            return self._of(i)
        return self._base(next(a for a in node.args if self.graph.nodes[a].is_list))

    def _below(self, roots: list[int], needed: tuple[str, ...], live: fx.Node) -> list[fx.Node]:
        """The values of roots where those rollouts count in groups that have all `needed` inputs.

        What stands above no group function is the same for all outputs.
        """
        own = self.among.setdefault(needed, {})
        for i in self.graph.used(roots):
            table = own if i in self.grouped else self.done
            if i not in table:
                node = self.graph.nodes[i]
                args = [own[a] if a in self.grouped else self.done[a] for a in node.args]
                table[i] = self._node(node, i, args, needed, live)
        return [own[r] if r in self.grouped else self.done[r] for r in roots]

    def _live(self, needed: tuple[str, ...]) -> fx.Node:
        """The rollouts that have all `needed` inputs."""
        if needed not in self.lives:
            live = self._call(_everyone, self.arguments["rows"], self.arguments["constants"])
            for name in needed:
                live = self._call(_without, live, self.bad[name])
            self.lives[needed] = live
        return self.lives[needed]

    def _node(
        self, node: Node, i: int, args: list[fx.Node], needed: tuple[str, ...], live: fx.Node
    ) -> fx.Node:
        if node.op in GROUP:
            return self._group(node, args, needed, live)
        if node.op in REDUCTIONS:
            return self._call(REDUCE[node.op], args[0], self._part(node.args[0]))
        if node.op in SLICES:
            # The values stay where they are: what a slice leaves out no longer counts.
            return args[0]
        if node.is_list:
            whole = self._whole(self._base(i))
            args = [x if self.graph.nodes[a].is_list else self._call(_spread, x, whole)
                    for a, x in zip(node.args, args, strict=True)]  # fmt: skip
        if node.op == "num":
            return self._call(_number, args[0], self.arguments["constants"])
        return self._call(OPS[node.op], *args)

    def _group(
        self, node: Node, args: list[fx.Node], needed: tuple[str, ...], live: fx.Node
    ) -> fx.Node:
        *values, where = args
        counted = self._call(torch.logical_and, where, live)
        key = ("group", node.args[-1], needed)
        if key not in self.parts:
            self.parts[key] = (
                self._call(parts.blocks, self.arguments["group_size"], counted)
                if self.uniform
                else self._call(
                    parts.chosen,
                    self.arguments["group_offsets"],
                    self.arguments["group_owner"],
                    counted,
                )
            )
        part = self.parts[key]
        if node.op == "group_size":
            return self._call(groups.GROUPS[node.op], self.arguments["constants"], part)
        x = self._call(_row, values[0], self.arguments["rows"])
        if node.op == "group_quantile":
            assert isinstance(node.payload, tuple)
            return self._call(groups.quantile, x, part, node.payload[0])
        return self._call(groups.GROUPS[node.op], x, part)

    def _output(self, x: fx.Node) -> fx.Node:
        return self._call(_column, x, self.arguments["rows"], self.arguments["constants"])

    def _raw(self) -> dict[str, fx.Node]:
        """Values, and conditions as `?name`."""
        outputs = {**self.graph.outputs, **{f"?{n}": i for n, i in self.graph.valids.items()}}
        found = self._below(list(outputs.values()), (), self.arguments["live"])
        return {name: self._output(x) for name, x in zip(outputs, found, strict=True)}

    def _scored(self, needs: Needs) -> dict[str, fx.Node]:
        """Values, NaN where they are not applicable or an input they need is none of its type."""
        found = {}
        for name in self.graph.outputs:
            required = [j for j in needs.of_output[name] if self._required(j)]
            needed = tuple(dict.fromkeys(str(self.graph.source(j)) for j in required))
            value, *valid = self._below(self.graph.roots_of(name), needed, self._live(needed))
            x = self._output(value)
            gone = [self.bad[source] for source in needed]
            gone += [self._call(torch.logical_not, v) for v in valid]
            if gone:
                either = partial(self._call, torch.logical_or)
                x = self._call(_replaced, x, reduce(either, gone), math.nan)
            found[name] = self._call(_finite, x) if name == "reward" else x
        return found


def _harmless(source: Input) -> float:
    """A value that may run through the kernel in a row that does not count."""
    kind = plain(source)
    if isinstance(kind, Number) and kind.values:
        return kind.values[0]
    lo, hi, _ = input_range(source)
    return min(max(0.0, lo), hi)


def lower(graph: Graph, uniform: bool, checked: bool) -> Lowered:
    """The torch module of a graph, without its step rewards; see `Lowering`."""
    return Lowering(graph.only(graph.outputs), uniform, checked).lower()


def equal_sizes(starts: Offsets) -> int | None:
    """The size of all groups if it is one; None where sizes differ."""
    sizes = np.diff(starts)
    if len(sizes) == 0:
        return 1
    return int(sizes[0]) if sizes[0] > 0 and (sizes == sizes[0]).all() else None


def _tensor(array: Any) -> Tensor:
    # from_numpy shares memory, and warns where that is read-only.
    return torch.from_numpy(np.require(array, requirements=["C", "W"]))


def _arguments(graph: Graph, lowered: Lowered, bound: Bound, dtype: torch.dtype) -> dict[str, Any]:
    """The arguments of an unchecked module for the inputs of one call."""
    given: dict[str, Any] = {
        "constants": torch.tensor(lowered.constants, dtype=dtype),
        "rows": bound.rows,
        "live": _tensor(bound.live),
        "group_size": equal_sizes(bound.groups),
    }
    if "group_offsets" in lowered.arguments:
        given["group_offsets"] = _tensor(bound.groups)
        given["group_owner"] = parts.owners(given["group_offsets"], bound.rows)
    for i, value in bound.inputs.items():
        given[f"x{i}"] = _tensor(value.values if isinstance(value, Ragged) else value).to(dtype)
        if isinstance(value, Ragged):
            given[f"offsets{i}"] = _tensor(value.offsets)
            given[f"owner{i}"] = parts.owners(given[f"offsets{i}"], len(value.values))
    for i, node in enumerate(graph.nodes):
        if isinstance(node.payload, Param):
            given[f"p{i}"] = torch.tensor(node.payload.value, dtype=dtype)
    return {name: given[name] for name in lowered.arguments}


def emit(graph: Graph, dtype: str = "float64") -> Kernel:
    """A kernel of torch operations on the CPU; in float32 all of them are."""
    kind = {"float64": torch.float64, "float32": torch.float32}[dtype]
    lowered: dict[bool, Lowered] = {}

    def kernel(bound: Bound) -> dict[str, Array]:
        uniform = equal_sizes(bound.groups) is not None
        if uniform not in lowered:
            lowered[uniform] = lower(graph, uniform, checked=False)
        with torch.inference_mode():
            found = lowered[uniform].module(**_arguments(graph, lowered[uniform], bound, kind))
        # Copies: an output may be an input itself, or one value for all rows.
        return {name: np.array(x.numpy(), dtype=np.float64) for name, x in found.items()}

    return kernel
