"""The engine on RestrictedPython: its policy and ours, run under exact-type guards."""

from __future__ import annotations

import ast
import gc
import re
import sys
from collections.abc import Iterator, Sequence
from types import CodeType
from typing import Any

from RestrictedPython.compile import compile_restricted_exec
from RestrictedPython.transformer import RestrictingNodeTransformer

from . import facades, walls
from .declare import Declared
from .guards import Forbidden, Guards
from .outcome import Failed

_DEEPEST_CALLS = 300
_FILE = "<primitive>"
_IN_PLACE = {
    ast.Add: "+=", ast.Sub: "-=", ast.Mult: "*=", ast.Div: "/=", ast.Mod: "%=", ast.Pow: "**=",
    ast.LShift: "<<=", ast.RShift: ">>=", ast.BitOr: "|=", ast.BitXor: "^=", ast.BitAnd: "&=",
    ast.FloorDiv: "//=", ast.MatMult: "@=",
}  # fmt: skip


class _Policy(RestrictingNodeTransformer):
    """RestrictedPython's policy, narrower by what a primitive does not need.

    No classes, decorators, global, with, print, bytes or complex numbers; annotations are dropped
    unread; text is made of plain data alone. Two things it allows that RestrictedPython does not:
    annotated assignment, and `counts[word] += 1` through a guard.
    """

    def _no(self, node: ast.AST, what: str) -> ast.AST:
        self.error(node, f"{what} is not available to a primitive")
        return node

    def visit_Constant(self, node: ast.Constant) -> Any:
        if isinstance(node.value, bytes | complex):
            return self._no(node, f"a {type(node.value).__name__} literal")
        return super().visit_Constant(node)

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        return self._no(node, "a class")

    def visit_Global(self, node: ast.Global) -> ast.AST:
        return self._no(node, "global")

    def visit_With(self, node: ast.With) -> ast.AST:
        return self._no(node, "with")

    def visit_MatMult(self, node: ast.MatMult) -> ast.AST:
        return self._no(node, "@")

    def visit_FunctionDef(self, node: ast.FunctionDef) -> Any:
        if node.decorator_list:
            return self._no(node, "a decorator")
        node.returns = None
        _drop_annotations(node.args)
        return super().visit_FunctionDef(node)

    def visit_Lambda(self, node: ast.Lambda) -> Any:
        _drop_annotations(node.args)
        return super().visit_Lambda(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> Any:
        if node.value is None or not isinstance(node.target, ast.Name):
            return self._no(node, "an annotation without a value")
        plain = ast.Assign(targets=[node.target], value=node.value)
        return self.visit_Assign(ast.copy_location(plain, node))

    def visit_AugAssign(self, node: ast.AugAssign) -> Any:
        if not isinstance(node.target, ast.Subscript):
            return super().visit_AugAssign(node)
        name = _IN_PLACE[type(node.op)]
        arguments = [node.target.value, node.target.slice, ast.Constant(name), node.value]
        return self._call("_inplaceitem_", arguments, node, statement=True)

    def visit_BinOp(self, node: ast.BinOp) -> Any:
        if isinstance(node.op, ast.Mod):
            return self._call("_modulo_", [node.left, node.right], node)
        return super().visit_BinOp(node)

    def visit_FormattedValue(self, node: ast.FormattedValue) -> Any:
        visited: Any = super().visit_FormattedValue(node)
        inner = visited.value
        visited.value = ast.copy_location(
            ast.Call(ast.Name("_plain_", ast.Load()), [inner], []), inner
        )
        ast.fix_missing_locations(visited)
        return visited

    def _call(
        self, guard: str, arguments: list[Any], at: ast.AST, *, statement: bool = False
    ) -> ast.AST:
        visited = [self.visit(a) for a in arguments]
        call = ast.Call(ast.Name(guard, ast.Load()), visited, [])
        node: ast.AST = ast.Expr(call) if statement else call
        placed: ast.AST = ast.fix_missing_locations(ast.copy_location(node, at))
        return placed

    def check_name(self, node: Any, name: str | None, allow_magic_methods: bool = False) -> None:
        if name in ("print", "printed"):
            self.error(node, f"{name} is not available to a primitive")
        super().check_name(node, name, False)


def _drop_annotations(arguments: ast.arguments) -> None:
    every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    for argument in [*every, arguments.vararg, arguments.kwarg]:
        if argument is not None:
            argument.annotation = None


def _unknown_names(tree: ast.Module) -> set[str]:
    """Names that are read and that nothing in the source binds."""
    read: set[str] = set()
    bound = set(facades.NAMES)
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            (read if isinstance(node.ctx, ast.Load) else bound).add(node.id)
        elif isinstance(node, ast.FunctionDef):
            bound.add(node.name)
        elif isinstance(node, ast.arg):
            bound.add(node.arg)
        elif isinstance(node, ast.alias):
            bound.add(node.asname or node.name)
        elif isinstance(node, ast.ExceptHandler) and node.name:
            bound.add(node.name)
    return read - bound


def _without_annotations(tree: ast.Module) -> ast.Module:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            node.returns = None
            _drop_annotations(node.args)
        elif isinstance(node, ast.AnnAssign):
            node.annotation = ast.Constant(None)
    return tree


class RestrictedEngine:
    """Compiles and runs source with RestrictedPython."""

    def __init__(self) -> None:
        # Both have caches of their own; a first use here means none is filled in a child.
        compile_restricted_exec("x = [1][0]", policy=_Policy)

    def walls(self, chosen: int, cpu: int, memory: int) -> None:
        """Put up the walls of a worker that only computes."""
        walls.put_up(chosen, cpu, memory)

    def load(self, source: str, functions: Sequence[Declared]) -> _Compiled:
        """Compile the source; raises Failed with class compile_error."""
        del functions
        try:
            code = _compile(source)
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            message = str(error) or "the source nests too deeply"
            raise Failed("compile_error", message) from None
        return _Compiled(code)


def _compile(source: str) -> CodeType:
    tree = _without_annotations(ast.parse(source))
    unknown = sorted(_unknown_names(tree))
    compiled = compile_restricted_exec(tree, filename=_FILE, policy=_Policy)
    errors = [e if isinstance(e, str) else str(e) for e in compiled.errors]
    if not errors and unknown:
        errors = [f"unknown name {unknown[0]!r}; a primitive has the plain builtins alone"]
    if errors:
        raise Failed("compile_error", "; ".join(errors[:3]))
    if compiled.code is None:
        raise Failed("compile_error", "the source does not compile")
    return compiled.code


class _Compiled:
    """Restricted code; every row meets it fresh, so no value can depend on the rows before."""

    def __init__(self, code: CodeType) -> None:
        self.code = code

    def run(self, function: Declared, columns: Sequence[Sequence[Any]], rows: int) -> Iterator[Any]:
        """The value of each row; raises Failed."""
        current: list[Guards] = []
        guards = Guards(facades.modules(current))
        current.append(guards)
        names: dict[str, Any] = {
            "__builtins__": facades.builtin_names(guards),
            "__name__": "primitive",
            "_getattr_": guards.getattr,
            "_getitem_": guards.getitem,
            "_getiter_": guards.getiter,
            "_write_": guards.write,
            "_inplacevar_": guards.inplace,
            "_inplaceitem_": guards.inplace_item,
            "_modulo_": guards.modulo,
            "_apply_": guards.apply,
            "_unpack_sequence_": guards.unpack,
            "_iter_unpack_sequence_": guards.iter_unpack,
            "_plain_": guards.plain,
        }
        sys.setrecursionlimit(_DEEPEST_CALLS)
        for row, values in enumerate(zip(*columns, strict=True)):
            yield self._row(function.name, names, guards, row, values)

    def _row(
        self, name: str, names: dict[str, Any], guards: Guards, row: int, values: Sequence[Any]
    ) -> Any:
        fresh = dict(names)
        value, failed = None, None
        try:
            exec(self.code, fresh)  # restricted by the policy and the guards
            value = fresh[name](*values)
        except BaseException as error:  # noqa: BLE001 - any end of untrusted code is answered
            failed = error
        if guards.refused or isinstance(failed, Forbidden):
            raise Failed("violation", f"row {row}: {guards.refused or failed}")
        if failed is not None:
            _tell(failed, name, row)
        # What a row leaves must neither be found by the next one nor fill its memory.
        fresh.clear()
        re.purge()
        gc.collect()
        return value


def _tell(error: BaseException, name: str, row: int) -> None:
    """Raise what the host is to hear of an exception of untrusted code."""
    if isinstance(error, MemoryError):
        raise Failed("oom", f"{name} reached the memory limit in row {row}")
    line, at = 0, error.__traceback__
    while at is not None:
        if at.tb_frame.f_code.co_filename == _FILE:
            line = at.tb_lineno
        at = at.tb_next
    try:
        said = str(error)
    except Exception:  # noqa: BLE001 - a message that cannot be made is no message
        said = ""
    raise Failed("crash", f"{type(error).__name__} in row {row}, line {line}: {said[:200]}")
