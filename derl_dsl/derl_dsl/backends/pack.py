"""From a graph to the instructions of the virtual machine: microseconds, no compilation."""

from __future__ import annotations

import math
from array import array
from collections.abc import Hashable, Sequence
from typing import NamedTuple

from derl_dsl.backends.llvm.code import FIELDS, INSTRUCTIONS, PATTERNS, Kind
from derl_dsl.ir import GROUP, REDUCTIONS, SLICES, Graph, Node, Param

_LEAVES = frozenset({"input", "valid"})
_SCRATCH, _INPUT, _CONST, _OUT = (int(k) for k in Kind)
_NUMBER = {op: {p: INSTRUCTIONS[f"{op}.{p}"] for p in ps} for op, ps in PATTERNS.items()}


class Program(NamedTuple):
    """Instructions for the virtual machine.

    `inputs` are the keys of the data it reads (see `key_of`), `registers` how many blocks of room
    it needs, `outputs` how many rows it writes.
    """

    code: bytes
    length: int
    constants: bytes
    inputs: tuple[Hashable, ...]
    cuts: int
    registers: int
    outputs: int
    grouped: bool


def key_of(node: Node) -> Hashable:
    """What names the data of an input node in any graph: its kind and its source."""
    return (node.op, node.payload)


def pack(graph: Graph, roots: Sequence[int], valids: Sequence[int | None] | None = None) -> Program:
    """The program that computes `roots`, one row of output each.

    Where `valids` names a condition for a root, the row is NaN where it does not hold.
    """
    return _Packer(graph, roots, valids or [None] * len(roots)).program()


class _Packer:
    """Turns nodes into instructions in one walk, reusing registers after their last use."""

    def __init__(
        self, graph: Graph, roots: Sequence[int], valids: Sequence[int | None]
    ) -> None:
        self.nodes = graph.nodes
        self.roots, self.valids = roots, valids
        wanted = [*roots, *(v for v in valids if v is not None)]
        self.order = graph.used(wanted)
        self.code: list[int] = []
        self.pool: dict[tuple[float, float], int] = {}
        self.operands: dict[int, int] = {}
        self.spaces: dict[int, int] = {}
        self.inputs: list[int] = []
        self.cuts: dict[tuple[object, ...], int] = {}
        self.filled: dict[tuple[int, int], int] = {}
        self.free: list[int] = []
        self.registers = 0
        self.grouped = False
        self.fused: dict[int, tuple[int, int, int]] = {}
        self.skipped: set[int] = set()
        self.last: dict[int, int] = {}
        self.uses: dict[int, int] = {}
        last, uses = self.last, self.uses
        for i in self.order:
            for a in self.nodes[i].args:
                last[a] = i
                uses[a] = uses.get(a, 0) + 1
        # What an output needs at the end stays to the end.
        for i in wanted:
            last[i] = len(self.nodes)
        self.targets = {root: k for k, root in reversed(list(enumerate(roots)))}
        for k, valid in enumerate(valids):
            if valid is not None and self.targets.get(roots[k]) == k:
                del self.targets[roots[k]]

    def program(self) -> Program:
        """All instructions."""
        self._leaves()
        self._fuse()
        for i in self.order:
            if i not in self.operands and i not in self.skipped:
                self._node(i, self.nodes[i])
        for k, (root, valid) in enumerate(zip(self.roots, self.valids, strict=True)):
            self._output(k, root, valid)
        return Program(
            array("i", self.code).tobytes(),
            len(self.code) // FIELDS,
            array("d", [value for value, _ in self.pool]).tobytes(),
            tuple([key_of(self.nodes[i]) for i in self.inputs]),
            len(self.cuts),
            self.registers,
            len(self.roots),
            self.grouped,
        )

    def _leaves(self) -> None:
        for i in self.order:
            op, args, payload, _, is_list = self.nodes[i]
            if op in _LEAVES:
                if is_list:
                    self.spaces[i] = len(self.inputs) + 1
                self.operands[i] = len(self.inputs) * 4 + _INPUT
                self.inputs.append(i)
            elif op == "const":
                assert isinstance(payload, float)
                self.operands[i] = self._constant(payload)
            elif op == "param":
                assert isinstance(payload, Param)
                self.operands[i] = self._constant(payload.value)
            elif op == "lt" and self.nodes[args[0]].op == "const" == self.nodes[args[1]].op:
                # How a graph writes true and false.
                a, b = (self.nodes[k].payload for k in args)
                assert isinstance(a, float)
                assert isinstance(b, float)
                self.operands[i] = self._constant(float(a < b))

    def _constant(self, value: float) -> int:
        key = (value, math.copysign(1.0, value))
        return self.pool.setdefault(key, len(self.pool)) * 4 + _CONST

    def _register(self) -> int:
        if self.free:
            return self.free.pop()
        self.registers += 1
        return (self.registers - 1) * 4 + _SCRATCH

    def _target(self, i: int) -> int:
        k = self.targets.get(i)
        return self._register() if k is None else k * 4 + _OUT

    def _emit(
        self, number: int, target: int, args: Sequence[int], space: int = 0, made: int = 0
    ) -> None:
        # An argument that is not there points at the target, which always exists.
        a, b, c = (*args, target, target, target)[:3]
        self.code += (number, target, a, b, c, space, made, 0)

    def _fuse(self) -> None:
        """Finds sums of a value and a constant times another: one instruction for both."""
        nodes, uses = self.nodes, self.uses
        for i in self.order:
            node = nodes[i]
            if node.op != "add" or node.is_list:
                continue
            for m, other in (node.args[::-1], node.args):
                if nodes[m].op != "mul" or uses[m] != 1 or self.last[m] != i or self._fixed(other):
                    continue
                x, y = nodes[m].args
                if self._fixed(x) != self._fixed(y):
                    k, v = (x, y) if self._fixed(x) else (y, x)
                    self.fused[i] = (other, k, v)
                    self.skipped.add(m)
                    self.last[v] = max(self.last[v], i)
                    break

    def _fixed(self, i: int) -> bool:
        """Whether a node is a constant."""
        return self.operands.get(i, 0) & 3 == _CONST

    def _node(self, i: int, node: Node) -> None:
        op, args = node.op, node.args
        if i in self.fused:
            args = self.fused[i]
            target = self._target(i)
            self._emit(INSTRUCTIONS["muladd"], target, [self.operands[a] for a in args])
            self.operands[i] = target
        elif op in REDUCTIONS:
            self._reduction(i, node)
        elif op in GROUP:
            self._group(i, node)
        elif op in SLICES:
            self._slice(i, node)
        else:
            self._elementwise(i, node)
        for a in set(args):
            operand = self.operands[a]
            if self.last[a] == i and operand & 3 == _SCRATCH:
                self.free.append(operand)

    def _elementwise(self, i: int, node: Node) -> None:
        space, spread = 0, []
        operands = [self.operands[a] for a in node.args]
        if node.is_list:
            space = next(self.spaces[a] for a in node.args if self.nodes[a].is_list)
            self.spaces[i] = space
            for k, a in enumerate(node.args):
                if not self.nodes[a].is_list and operands[k] & 3 != _CONST:
                    register = self._register()
                    self._emit(INSTRUCTIONS["spread"], register, [operands[k]], space)
                    operands[k] = register
                    spread.append(register)
        pattern = "".join(["k" if o & 3 == _CONST else "v" for o in operands])
        numbers = _NUMBER[node.op]
        if pattern not in numbers:
            operands, pattern = self._materialised(operands, pattern, numbers, space)
        target = self._target(i)
        self._emit(numbers[pattern], target, operands, space)
        self.operands[i] = target
        self.free += spread

    def _materialised(
        self, operands: list[int], pattern: str, numbers: dict[str, int], space: int
    ) -> tuple[list[int], str]:
        """Constants spread over registers, as few as the operation's instructions allow."""
        fits = [p for p in numbers if all(x == "v" or x == y for x, y in zip(p, pattern, strict=True))]
        best = max(fits, key=lambda p: p.count("k"))
        moved = list(operands)
        for k, (have, want) in enumerate(zip(pattern, best, strict=True)):
            if have == "k" and want == "v":
                moved[k] = self._filled(operands[k], space)
        return moved, best

    def _filled(self, constant: int, space: int) -> int:
        key = (constant, space)
        if key not in self.filled:
            self.registers += 1
            self.filled[key] = (self.registers - 1) * 4 + _SCRATCH
            self._emit(INSTRUCTIONS["fill"], self.filled[key], [constant], space)
        return self.filled[key]

    def _slice(self, i: int, node: Node) -> None:
        assert isinstance(node.payload, tuple)
        source = self.spaces[node.args[0]]
        key = (source, node.op, node.payload)
        cut = self.cuts.setdefault(key, len(self.cuts))
        self.spaces[i] = 1 + len(self.inputs) + cut
        literals = [self._constant(float(v)) for v in node.payload]
        target = self._register()
        args = [self.operands[node.args[0]], literals[0], literals[-1]]
        self._emit(INSTRUCTIONS[node.op], target, args, source, self.spaces[i])
        self.operands[i] = target

    def _reduction(self, i: int, node: Node) -> None:
        target = self._target(i)
        operand = self.operands[node.args[0]]
        self._emit(INSTRUCTIONS[node.op], target, [operand], self.spaces[node.args[0]])
        self.operands[i] = target

    def _group(self, i: int, node: Node) -> None:
        self.grouped = True
        *values, where = node.args
        condition = self.operands[where]
        everyone = condition & 3 == _CONST and self._value(condition) == 1.0
        if condition & 3 == _CONST:
            condition = condition if everyone else self._filled(condition, 0)
        x = self.operands[values[0]] if values else None
        if x is not None and x & 3 == _CONST:
            x = self._filled(x, 0)
        literal = self._constant(node.payload[0]) if isinstance(node.payload, tuple) else None
        target = self._target(i)
        args = [target if x is None else x, target if everyone else condition]
        args += [target if literal is None else literal]
        self._emit(INSTRUCTIONS[node.op + ("" if everyone else ".where")], target, args)
        self.operands[i] = target

    def _value(self, constant: int) -> float:
        return next(value for (value, _), k in self.pool.items() if k == constant >> 2)

    def _output(self, k: int, root: int, valid: int | None) -> None:
        target, operand = k * 4 + _OUT, self.operands[root]
        if valid is not None:
            always, nan = self.operands[valid], self._constant(math.nan)
            if always & 3 == _CONST:
                always = self._filled(always, 0)
            if operand & 3 == _CONST:
                operand = self._filled(operand, 0)
            self._emit(INSTRUCTIONS["select.vvk"], target, [always, operand, nan])
        elif operand & 3 == _CONST:
            self._emit(INSTRUCTIONS["fill"], target, [operand])
        elif operand != target:
            name = "not_zero" if self.nodes[root].is_bool else "copy"
            self._emit(INSTRUCTIONS[name], target, [operand])
