"""The instructions of the virtual machine by number, known without LLVM."""

from __future__ import annotations

from enum import IntEnum

from derl_dsl.graph.ops import GROUP, OPERATIONS, REDUCTIONS

# An instruction is eight 32-bit numbers: function, target, three arguments, the space it runs
# over, the space it makes, and nothing.
FIELDS = 8


class Kind(IntEnum):
    """What an operand, `index * 8 + kind`, is an index of; only constants are odd."""

    SCRATCH = 0
    CONST = 1
    INPUT = 2
    OUT = 4


# How many arguments each operation on single numbers has.
ARITY = {op: len(known.takes) for op, known in OPERATIONS.items() if known.kind == "scalar"}
# Operations that take constants without spreading them over a register first: `v` is a register,
# `k` a constant.
_SCALARS = ("add", "sub", "mul", "div", "min", "max", "lt", "le", "eq", "ne")
PATTERNS: dict[str, tuple[str, ...]] = {
    **{op: ("v" * count,) for op, count in ARITY.items()},
    **dict.fromkeys(_SCALARS, ("vv", "vk", "kv")),
    "guard": ("vv", "vk"),
    "select": ("vvv", "vkv", "vvk", "vkk"),
}
# Instructions by the part they belong to; parts are compiled when they are first needed.
NAMES: dict[str, tuple[str, ...]] = {
    "core": (
        *(f"{op}.{pattern}" for op, patterns in PATTERNS.items() for pattern in patterns),
        *("copy", "not_zero", "fill", "muladd"),
    ),
    "lists": ("spread", "third", "part", *sorted(REDUCTIONS)),
    "groups": tuple(f"{op}{where}" for op in sorted(GROUP) for where in ("", ".where")),
}
INSTRUCTIONS: dict[str, int] = {
    name: number for number, name in enumerate(n for names in NAMES.values() for n in names)
}
# The arguments of one call, the record of one program, what an instruction sees of its block, and a
# call between walls, each an array of 64-bit fields.
ARGS = (
    "table", "programs", "program_count", "blocks", "block_groups", "block_count", "inputs",
    "groups", "live", "group_size", "scratch", "capacity", "rows", "pointers", "offsets", "counts",
    "cuts", "cut_capacity", "sorting", "mask",
)  # fmt: skip
PROGRAM = ("code", "length", "constants", "inputs", "input_count", "cut_count", "out")
BLOCK = ("rows", "groups", "starts", "live", "group_size", "offsets", "counts", "sorting", "mask",
         "row0")  # fmt: skip
CALL = ("inputs", "input_count", "outputs", "output_count", "row0", "rows", "entry", "argument")
