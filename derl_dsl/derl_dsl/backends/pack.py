"""From a graph to the instructions of the virtual machine: microseconds, no compilation.

An instruction is eight 32-bit numbers: function, target, three arguments, the space it runs over,
the space it makes, and nothing (so that instructions lie at powers of two). `0.5 * a + b` becomes

    code       muladd  out:0  input:1  const:0  input:0   0  0  0
    constants  0.5                        (float64, whatever the kernel computes in)
    inputs     (a, b) as keys             (what the data is, not where it lies)

An operand is `index * 8 + kind`. The low three bits are the kind: 0 a register of scratch, 1 a
constant, 2 an input, 4 a row of output. Only constants are odd, so `operand & 1` asks for one, and
those bits of up to three arguments choose the instruction: `add.vk` takes a constant on the right
as it is. What no instruction takes is spread over a register first (`fill`). -8 and -16 stand for
"none" and "given back": shifted they are no index, and they are even.

A register is a row of scratch as long as the largest block. One walk back over the nodes finds who
reads what last; one walk forward gives each operation a target and takes registers back after
their last reader. A target is chosen before that, so it is never an argument: instructions may
assume that what they write does not overlap what they read (`noalias`).

A space is a number of elements: space 0 the rows of a block, space 1 + k the steps of list input k
in it, and after those one for each cut (`third`, `part`), which an instruction makes. A product
with a constant that one sum alone reads goes into it (`muladd`, rounded twice as if apart).
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from derl_dsl.backends.code import FIELDS, INSTRUCTIONS, PATTERNS, Kind
from derl_dsl.graph.ir import Graph, Input, Node
from derl_dsl.graph.ops import GROUP, REDUCTIONS, SLICES

_CONST, _INPUT, _OUT = int(Kind.CONST), int(Kind.INPUT), int(Kind.OUT)
_SPECIAL = REDUCTIONS | GROUP | SLICES
_MULADD = INSTRUCTIONS["muladd"]
# No operand, and no reader: not the place of a constant either.
_NOWHERE, _GIVEN_BACK = -8, -16


def _bits(pattern: str) -> int:
    """The places of constants in a pattern as bits."""
    return sum(1 << k for k, kind in enumerate(pattern) if kind == "k")


# The number of an operation's instruction, by which of its arguments are constants.
_NUMBER = {
    op: {_bits(p): INSTRUCTIONS[f"{op}.{p}"] for p in patterns} for op, patterns in PATTERNS.items()
}


class Program(NamedTuple):
    """Instructions for the virtual machine.

    `inputs` are the keys of the data it reads (see `key_of`), `registers` how many blocks of room
    it needs, `outputs` how many rows it writes; `grouped` and `lists` say which instructions it has
    besides those on single numbers.
    """

    code: bytes
    length: int
    constants: bytes
    inputs: tuple[Key, ...]
    cuts: int
    registers: int
    outputs: int
    grouped: bool
    lists: bool


@dataclass(frozen=True, slots=True, eq=False)
class Key:
    """What names the data of an input in any graph: its kind and its source.

    There is one for each kind and source, so that looking it up compares no sources.
    """

    op: str
    source: Input


_KEYS: dict[tuple[str, Input], Key] = {}


def key(op: str, source: Input) -> Key:
    """The key of an input."""
    found = _KEYS.get((op, source))
    return _KEYS.setdefault((op, source), Key(op, source)) if found is None else found


def key_of(node: Node) -> Key:
    """The key of an input node."""
    return key(node.op, node.payload)  # type: ignore[arg-type]


def pack(graph: Graph, roots: Sequence[int], valids: Sequence[int | None] = ()) -> Program:
    """The program that computes `roots`, one row of output each.

    Where `valids` names a condition for a root, the row is NaN where it does not hold.
    """
    return _Packer(graph.nodes, roots, valids or (None,) * len(roots)).program()


class _Packer:
    """Turns nodes into instructions in one walk, reusing registers after their last use.

    An operand is `index * 8 + kind`, see Kind. A target is never a register that the instruction
    reads: registers are given back after the target has been chosen.
    """

    __slots__ = ("code", "cuts", "filled", "free", "grouped", "inputs", "last", "nodes",
                 "operands", "pool", "registers", "roots", "shared", "spaces", "targets",
                 "valids")  # fmt: skip

    def __init__(
        self, nodes: list[Node], roots: Sequence[int], valids: Sequence[int | None]
    ) -> None:
        self.nodes, self.roots, self.valids = nodes, roots, valids
        self.code: list[int] = []
        self.pool: list[float] = []
        self.operands = [_NOWHERE] * len(nodes)
        self.spaces: dict[int, int] = {}
        self.inputs: list[int] = []
        self.cuts: dict[tuple[object, ...], int] = {}
        self.filled: dict[tuple[int, int], int] = {}
        self.free: list[int] = []
        self.registers, self.grouped = 0, False
        # The last reader of each node (_NOWHERE: not needed), and the nodes with several readers.
        self.last = [_NOWHERE] * len(nodes)
        self.shared: set[int] = set()
        self.targets: dict[int, int] = {}
        for k, (root, valid) in enumerate(zip(roots, valids, strict=True)):
            for i in (root,) if valid is None else (root, valid):
                self.last[i] = len(nodes)
                self.shared.add(i)
            if valid is None:
                self.targets.setdefault(root, k)

    def program(self) -> Program:
        """All instructions."""
        lists = self._leaves()
        self._operations()
        for k, (root, valid) in enumerate(zip(self.roots, self.valids, strict=True)):
            self._output(k, root, valid)
        nodes = self.nodes
        return Program(
            array("i", self.code).tobytes(),
            len(self.code) // FIELDS,
            array("d", self.pool).tobytes(),
            tuple([key(nodes[i][0], nodes[i][2]) for i in self.inputs]),  # type: ignore[arg-type]
            len(self.cuts),
            self.registers,
            len(self.roots),
            self.grouped,
            lists,
        )

    def _leaves(self) -> bool:
        """Finds what is needed, from the outputs back; gives inputs and constants their operands.

        Whether any input has lists.
        """
        nodes, last, shared, operands = self.nodes, self.last, self.shared, self.operands
        pool, lists = self.pool, False
        for i in range(len(nodes) - 1, -1, -1):
            if last[i] == _NOWHERE:
                continue
            op, args, payload, _, is_list = nodes[i]
            for a in args:
                if last[a] == _NOWHERE:
                    last[a] = i
                else:
                    shared.add(a)
            if args:
                if op == "lt" and nodes[args[0]][0] == "const" == nodes[args[1]][0]:
                    # How a graph writes true and false.
                    operands[i] = self._constant(float(nodes[args[0]][2] < nodes[args[1]][2]))  # type: ignore[operator]
            elif op == "const":
                pool.append(payload)  # type: ignore[arg-type]
                operands[i] = len(pool) * 8 - 8 + _CONST
            elif op == "param":
                operands[i] = self._constant(payload.value)  # type: ignore[union-attr]
            else:
                operands[i] = len(self.inputs) * 8 + _INPUT
                self.inputs.append(i)
                if is_list:
                    lists = True
                    self.spaces[i] = len(self.inputs)
        return lists

    def _constant(self, value: float) -> int:
        self.pool.append(value)
        return len(self.pool) * 8 - 8 + _CONST

    def _register(self) -> int:
        if self.free:
            return self.free.pop()
        self.registers += 1
        return self.registers * 8 - 8

    def _emit(
        self, number: int, target: int, args: Sequence[int], space: int = 0, made: int = 0
    ) -> None:
        # An argument that is not there points at the target, which always exists.
        a, b, c = (*args, target, target, target)[:3]
        self.code += (number, target, a, b, c, space, made, 0)

    def _operations(self) -> None:
        nodes, last, operands, shared = self.nodes, self.last, self.operands, self.shared
        targets, free = self.targets, self.free
        # Sums that take a product with a constant in: sum -> (the other term, constant, factor).
        fused: dict[int, tuple[int, ...]] = {}
        for i, reader in enumerate(last):
            if reader == _NOWHERE or operands[i] != _NOWHERE:
                continue
            op, args, _, _, is_list = nodes[i]
            if op == "mul" and i not in shared and not is_list:
                found = self._fusable(i, reader) if reader not in fused else None
                if found is not None:
                    fused[reader] = found
                    if last[found[2]] < reader:
                        last[found[2]] = reader
                    continue
            spread: list[int] = []
            space = made = 0
            number = None
            if i in fused:
                args, number = fused[i], _MULADD
                given = [operands[a] for a in args]
            elif not is_list and op not in _SPECIAL:
                # Most of all nodes: single numbers in registers, with constants where they may be.
                given = [operands[a] for a in args]
                bits = given[0] & 1
                if len(given) > 1:
                    bits |= (given[1] & 1) << 1
                    if len(given) > 2:
                        bits |= (given[2] & 1) << 2
                number = _NUMBER[op].get(bits)
            if number is None:
                number, given, space, made = self._rare(i, nodes[i], spread)
            k = targets.get(i)
            if k is not None:
                target = k * 8 + _OUT
            elif free:
                target = free.pop()
            else:
                target = self.registers * 8
                self.registers += 1
            a, b, c = (*given, target, target, target)[:3]
            self.code += (number, target, a, b, c, space, made, 0)
            operands[i] = target
            for n in args:
                if last[n] == i and operands[n] & 7 == 0:
                    free.append(operands[n])
                    last[n] = _GIVEN_BACK
            free += spread

    def _fusable(self, m: int, user: int) -> tuple[int, ...] | None:
        """The arguments of `other + constant * factor`, if the sum `user` of the product m is."""
        op, terms, _, _, is_list = self.nodes[user]
        if op != "add" or is_list:
            return None
        operands = self.operands
        other = terms[0] if terms[1] == m else terms[1]
        x, y = self.nodes[m][1]
        fixed = operands[x] & 1
        if fixed == (operands[y] & 1) or operands[other] & 1:
            return None
        return (other, x, y) if fixed else (other, y, x)

    def _rare(self, i: int, node: Node, spread: list[int]) -> tuple[int, list[int], int, int]:
        """Instruction, arguments and spaces where lists, groups or many constants take part."""
        op, args, _, _, is_list = node
        if op in _SPECIAL:
            return self._special(i, node)
        operands = self.operands
        given = [operands[a] for a in args]
        space = 0
        if is_list:
            space = next(self.spaces[a] for a in args if self.nodes[a].is_list)
            self.spaces[i] = space
            for k, a in enumerate(args):
                if not self.nodes[a].is_list and given[k] & 1 == 0:
                    register = self._register()
                    self._emit(INSTRUCTIONS["spread"], register, [given[k]], space)
                    given[k] = register
                    spread.append(register)
        bits = 0
        for k, operand in enumerate(given):
            if operand & 1:
                bits |= 1 << k
        numbers = _NUMBER[op]
        if bits not in numbers:
            bits = self._materialise(given, bits, numbers, space)
        return numbers[bits], given, space, 0

    def _materialise(self, given: list[int], bits: int, numbers: dict[int, int], space: int) -> int:
        """Spreads constants over registers, as few as the operation's instructions allow."""
        kept = max((b for b in numbers if b & ~bits == 0), key=int.bit_count)
        for k, operand in enumerate(given):
            if (bits & ~kept) >> k & 1:
                given[k] = self._filled(operand, space)
        return kept

    def _filled(self, constant: int, space: int) -> int:
        key = (constant, space)
        if key not in self.filled:
            self.registers += 1
            self.filled[key] = self.registers * 8 - 8
            self._emit(INSTRUCTIONS["fill"], self.filled[key], [constant], space)
        return self.filled[key]

    def _special(self, i: int, node: Node) -> tuple[int, list[int], int, int]:
        """Instruction, arguments, and spaces of operations on lists and groups."""
        op, args, payload, _, _ = node
        literals = [self._constant(float(v)) for v in payload] if isinstance(payload, tuple) else []
        if op in GROUP:
            number, given = self._group(op, args, literals)
            return number, given, 0, 0
        source = self.spaces[args[0]]
        number, operand = INSTRUCTIONS[op], self.operands[args[0]]
        if op in REDUCTIONS:
            return number, [operand], source, 0
        cut = self.cuts.setdefault((source, op, payload), len(self.cuts))
        self.spaces[i] = 1 + len(self.inputs) + cut
        return number, [operand, literals[0], literals[-1]], source, self.spaces[i]

    def _group(self, op: str, args: tuple[int, ...], literals: list[int]) -> tuple[int, list[int]]:
        *values, where = (self.operands[a] for a in args)
        everyone = where & 1 and self.pool[where >> 3] == 1.0
        self.grouped = True
        x = values[0] if values else where
        x = self._filled(x, 0) if x & 1 else x
        # Of everyone, the condition is not looked at.
        given = [x, x if everyone else self._filled(where, 0) if where & 1 else where]
        return INSTRUCTIONS[op if everyone else f"{op}.where"], [*given, *literals]

    def _output(self, k: int, root: int, valid: int | None) -> None:
        target, operand = k * 8 + _OUT, self.operands[root]
        if valid is not None:
            given = [self.operands[valid], operand]
            given = [self._filled(v, 0) if v & 1 else v for v in given]
            nan = self._constant(math.nan)
            self._emit(INSTRUCTIONS["select.vvk"], target, [*given, nan])
        elif operand & 1:
            self._emit(INSTRUCTIONS["fill"], target, [operand])
        elif operand != target:
            name = "not_zero" if self.nodes[root].is_bool else "copy"
            self._emit(INSTRUCTIONS[name], target, [operand])
