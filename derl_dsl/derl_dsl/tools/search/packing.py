"""Programs of many terms at once: what `backends.pack` does, of numbers alone, in compiled loops.

A search screens a million terms, and packing each in Python would take longer than running it. The
terms share one growing graph; each program is some nodes of it. So nodes lie in arrays, a row
each:

    words   (N, 5)  operation, three arguments (nodes), whether it is a condition
    values  (N,)    the value of a constant
    state   (N, 7)  what is known while one program is written: last reader, operand, row of output,
                    whether several read it; of a sum that takes a product in: the other term, the
                    constant and the factor

`state` is -8 everywhere between programs. A program touches only the nodes it needs, and puts
those rows back when it is done, so writing one costs what it has nodes, however large the graph
is.

Writing goes as in `backends/pack.py`, whose account says what an operand's bits and the fields of
an instruction mean: find what is needed, walk back for the last readers and the leaves, walk
forward for instructions and registers. It knows less: terms have no lists, and of group functions
only the mean and the rank of everyone. `tests/search/test_terms.py` holds the two packers to each
other.

Numba compiles these loops once and keeps them on disk by this file's text. The numbers of
operations and instructions are therefore arguments (`Numbers`, `_TABLE`), not constants: they lie
in other files, and compiled code that had them built in would outlive a change of those.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from derl_dsl.backends.code import ARITY, FIELDS, INSTRUCTIONS, PATTERNS, Kind
from derl_dsl.backends.pack import Key, Program, key_of
from derl_dsl.graph.ir import Graph, Node, Payload
from derl_dsl.graph.ops import BOOLEAN
from derl_grammar.nodes import Place

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

_CONST, _INPUT, _OUT = int(Kind.CONST), int(Kind.INPUT), int(Kind.OUT)
# Of all rollouts of a group: terms have no other group functions.
_GROUPS = ("group_mean", "group_rank")
_OPS = ("const", "input", *ARITY, *_GROUPS)
_NUMBER_OF = {op: k for k, op in enumerate(_OPS)}
# No operand or no reader; needed, but read by no node yet; given back; read when all is done.
_NOWHERE, _UNREAD, _GIVEN_BACK, _LAST = -8, -1, -16, 1 << 40
# Words of a node: its operation, its arguments, and whether it is a condition.
_WORDS = 5
# Nodes of a packer at first.
_ROOM = 4096
# What is known of a node while a program is written: its last reader, its operand, the row of
# output that it is, whether several nodes read it, and of a sum that takes a product with a
# constant in, the other term, the constant and the factor.
_STATE = 7
_READER, _OPERAND, _ROW, _SHARED, _OTHER, _BY, _FACTOR = range(_STATE)


class Numbers(NamedTuple):
    """What the loops know operations and instructions by.

    They are given, not built in: compiled code is kept on disk, and only a change of this file
    makes it anew.
    """

    const: int = _NUMBER_OF["const"]
    input: int = _NUMBER_OF["input"]
    lt: int = _NUMBER_OF["lt"]
    mul: int = _NUMBER_OF["mul"]
    add: int = _NUMBER_OF["add"]
    groups: int = _NUMBER_OF[_GROUPS[0]]
    muladd: int = INSTRUCTIONS["muladd"]
    fill: int = INSTRUCTIONS["fill"]
    copy: int = INSTRUCTIONS["copy"]
    not_zero: int = INSTRUCTIONS["not_zero"]


def _numbers() -> Ints:
    """The instruction of each operation by the places of constants as bits; -1 for none."""
    found = np.full((len(_OPS), 8), -1, np.int64)
    for op, patterns in PATTERNS.items():
        for pattern in patterns:
            bits = sum(1 << k for k, kind in enumerate(pattern) if kind == "k")
            found[_NUMBER_OF[op], bits] = INSTRUCTIONS[f"{op}.{pattern}"]
    for op in _GROUPS:
        found[_NUMBER_OF[op], 0] = INSTRUCTIONS[op]
    return found


_NUMBERS = Numbers()
_TABLE = _numbers()
_NO_ARGUMENTS = ((0, 0, 0), (0, 0), (0,), ())
_ARITY = np.array([0, 0, *ARITY.values(), *(1 for _ in _GROUPS)])


class Packer(Graph):
    """A graph whose nodes become numbers when they are added; its `nodes` stay empty."""

    def __init__(self) -> None:
        super().__init__()
        self.taken = 0
        self.keys: dict[int, Key] = {}
        # Of the nodes since the last program.
        self.new_words: list[int] = []
        self.new_values: list[float] = []
        self.words = np.zeros((_ROOM, _WORDS), np.int64)
        self.values = np.zeros(_ROOM)
        self.state = np.full((_ROOM, _STATE), _NOWHERE, np.int64)

    def add(self, op: str, args: tuple[int, ...], place: Place, payload: Payload = None) -> int:
        """The node for this operation; the condition of a group function is not looked at."""
        # Constants are literals, and none of them is minus zero.
        count = len(self._index)
        at = self._index.setdefault((op, args, payload), count)
        if at == count:
            is_bool = op in BOOLEAN
            if op == "input":
                is_bool, is_list = self._kind(op, args, payload)
                self.keys[at] = key_of(Node(op, args, payload, is_bool, is_list))
            self.new_words += (_NUMBER_OF[op], *args, *_NO_ARGUMENTS[len(args)], is_bool)
            self.new_values.append(payload if op == "const" else 0.0)  # type: ignore[arg-type]
        return at

    def pack(self, roots: Sequence[int]) -> Program:
        """The program that computes `roots`, one row of output each."""
        self._take()
        words, state, wanted = self.words, self.state, np.array(roots)
        # Sorted here: a compiled sort takes longer to compile than all the rest.
        order = np.sort(_reached(words, _ARITY, wanted, state))
        code, pool, inputs, registers, grouped = _write(
            _NUMBERS, words, self.values, _TABLE, _ARITY, wanted, order, state
        )
        keys = tuple([self.keys[i] for i in inputs.tolist()])
        return Program(
            code.tobytes(), len(code), pool.tobytes(), keys, 0, registers, len(roots), grouped,
            False,
        )  # fmt: skip

    def _take(self) -> None:
        """Moves new nodes to the arrays."""
        first, self.taken = self.taken, self.taken + len(self.new_values)
        if self.taken > len(self.values):
            self._grow(2 * self.taken)
        self.words[first : self.taken] = np.array(self.new_words, np.int64).reshape(-1, _WORDS)
        self.values[first : self.taken] = self.new_values
        self.new_words, self.new_values = [], []

    def _grow(self, room: int) -> None:
        self.words = np.resize(self.words, (room, _WORDS))
        self.values = np.resize(self.values, room)
        # Between two programs nothing is known of any node.
        self.state = np.full((room, _STATE), _NOWHERE, np.int64)


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _write(
    of: Numbers,
    words: Ints,
    values: Floats,
    table: Ints,
    arity: Ints,
    roots: Ints,
    order: Ints,
    state: Ints,
) -> Any:  # pragma: no cover - compiled
    """Code, constants, inputs, the number of registers, and whether there are group functions.

    `order` are the nodes that are needed; `state` (N, 7) is again what it was before them.
    """
    pool, inputs = _leaves(of, words, values, arity, order, state)
    # At most an instruction for each node and for each constant that it wants in a register.
    code = np.empty((4 * len(order) + len(roots), FIELDS), np.int32)
    length, registers, grouped = _operations(of, words, table, arity, order, len(pool), state, code)
    for k in range(len(roots)):
        i, target = roots[k], k * 8 + _OUT
        operand = state[i, _OPERAND]
        if operand != target:
            number = of.fill if operand & 1 else of.not_zero if words[i, 4] else of.copy
            _put(code, length, number, target, operand, target, target)
            length += 1
    for i in order:
        for n in range(_STATE):
            state[i, n] = _NOWHERE
    return code[:length], pool, inputs, registers, grouped


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _reached(words: Ints, arity: Ints, roots: Ints, state: Ints) -> Any:  # pragma: no cover
    """The nodes that are needed."""
    found = np.empty(len(words), np.int64)
    count = 0
    for k in range(len(roots)):
        i = roots[k]
        if state[i, _READER] == _NOWHERE:
            state[i, _READER], state[i, _SHARED], state[i, _ROW] = _LAST, 1, k
            found[count] = i
            count += 1
    at = 0
    while at < count:
        i = found[at]
        at += 1
        for n in range(arity[words[i, 0]]):
            a = words[i, 1 + n]
            if state[a, _READER] == _NOWHERE:
                state[a, _READER] = _UNREAD
                found[count] = a
                count += 1
    return found[:count]


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _leaves(
    of: Numbers, words: Ints, values: Floats, arity: Ints, order: Ints, state: Ints
) -> Any:  # pragma: no cover - compiled
    """Finds the readers of all nodes, and gives inputs and constants their operands."""
    pool, constants = np.empty(len(order)), 0
    inputs, read = np.empty(len(order), np.int64), 0
    for k in range(len(order) - 1, -1, -1):
        i = order[k]
        op = words[i, 0]
        for n in range(arity[op]):
            a = words[i, 1 + n]
            if state[a, _READER] == _UNREAD:
                state[a, _READER] = i
            else:
                state[a, _SHARED] = 1
        if op == of.input:
            state[i, _OPERAND] = read * 8 + _INPUT
            inputs[read] = i
            read += 1
            continue
        value = values[i]
        if op == of.lt:
            a, b = words[i, 1], words[i, 2]
            if words[a, 0] != of.const or words[b, 0] != of.const:
                continue
            # How a graph writes true and false.
            value = 1.0 if values[a] < values[b] else 0.0
        elif op != of.const:
            continue
        pool[constants] = value
        state[i, _OPERAND] = constants * 8 + _CONST
        constants += 1
    return pool[:constants], inputs[:read]


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _operations(
    of: Numbers,
    words: Ints,
    table: Ints,
    arity: Ints,
    order: Ints,
    constants: int,
    state: Ints,
    code: Any,
) -> Any:  # pragma: no cover - compiled
    """An instruction for each operation; registers are used again after their last reader."""
    free, spare, registers = np.empty(len(order) + constants, np.int64), 0, 0
    filled = np.full(constants, _NOWHERE, np.int64)
    length, grouped = 0, False
    args, given = np.empty(3, np.int64), np.empty(3, np.int64)
    for i in order:
        if state[i, _OPERAND] != _NOWHERE or _taken_in(of, words, i, state):
            continue
        op = words[i, 0]
        if state[i, _OTHER] != _NOWHERE:
            count, number = 3, of.muladd
            for n in range(3):
                args[n] = state[i, _OTHER + n]
        else:
            count, bits = arity[op], 0
            for n in range(count):
                args[n] = words[i, 1 + n]
                bits |= (state[args[n], _OPERAND] & 1) << n
            kept = _held(table, op, bits)
            number = table[op, kept]
            bits &= ~kept
        for n in range(count):
            given[n] = operand = state[args[n], _OPERAND]
            if number != of.muladd and bits >> n & 1:
                if filled[operand >> 3] == _NOWHERE:
                    filled[operand >> 3] = registers * 8
                    registers += 1
                    target = filled[operand >> 3]
                    _put(code, length, of.fill, target, operand, target, target)
                    length += 1
                given[n] = filled[operand >> 3]
        if state[i, _ROW] != _NOWHERE:
            target = state[i, _ROW] * 8 + _OUT
        elif spare:
            spare -= 1
            target = free[spare]
        else:
            target = registers * 8
            registers += 1
        if op >= of.groups:
            # Of all rollouts: the values stand for the condition, which is not looked at.
            grouped, given[1], count = True, given[0], 2
        for n in range(count, 3):
            given[n] = target
        _put(code, length, number, target, given[0], given[1], given[2])
        length += 1
        state[i, _OPERAND] = target
        for n in range(3 if number == of.muladd else arity[op]):
            a = args[n]
            if state[a, _READER] == i and state[a, _OPERAND] & 7 == 0:
                free[spare] = state[a, _OPERAND]
                spare += 1
                state[a, _READER] = _GIVEN_BACK
    return length, registers, grouped


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _taken_in(of: Numbers, words: Ints, m: int, state: Ints) -> Any:  # pragma: no cover - compiled
    """Whether the product m becomes part of the only sum that reads it, and leaves it there."""
    user = state[m, _READER]
    if words[m, 0] != of.mul or state[m, _SHARED] == 1 or words[user, 0] != of.add:
        return False
    other = words[user, 1] if words[user, 2] == m else words[user, 2]
    x, y = words[m, 1], words[m, 2]
    fixed = state[x, _OPERAND] & 1
    if fixed == state[y, _OPERAND] & 1 or state[other, _OPERAND] & 1:
        return False
    if state[user, _OTHER] != _NOWHERE:
        return False
    by, factor = (x, y) if fixed else (y, x)
    state[user, _OTHER], state[user, _BY], state[user, _FACTOR] = other, by, factor
    state[factor, _READER] = max(state[factor, _READER], user)
    return True


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _held(table: Ints, op: int, bits: int) -> Any:  # pragma: no cover - compiled
    """The most of these constants that an instruction of the operation takes as they are."""
    best, most = 0, -1
    for kept in range(bits + 1):
        if kept & ~bits == 0 and table[op, kept] >= 0:
            size = (kept & 1) + (kept >> 1 & 1) + (kept >> 2 & 1)
            if size >= most:
                best, most = kept, size
    return best


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _put(
    code: Any, at: int, number: int, target: int, a: int, b: int, c: int
) -> None:  # pragma: no cover - compiled
    code[at, 0], code[at, 1], code[at, 2], code[at, 3] = number, target, a, b
    code[at, 4], code[at, 5], code[at, 6], code[at, 7] = c, 0, 0, 0
