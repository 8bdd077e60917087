"""OpenAI graders (JSON) as rewards: string_check, text_similarity, and multi with its formula.

`{{sample.output_text}}` is the column `completion`, `{{item.NAME}}` the column NAME. What has no
equal here is refused by name; what has only a near one says so, in the reward and to the caller.
"""

from __future__ import annotations

import ast
import keyword
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from derl_dsl.elaborate.functions import FUNCTIONS
from derl_dsl.elaborate.scope import build_scope

_SUITE = "chat+similarity"
_TEMPLATE = re.compile(r"\{\{\s*(sample\.output_text|item\.[A-Za-z_]\w*)\s*\}\}")
# The similarity of each metric here; only `rouge_l` is defined as there.
_NEAR = {
    "fuzzy_match": "edit_similarity",
    "rouge_l": "rouge_l",
    "rouge_1": "word_f1",
    "cosine": "word_overlap",
}
_FUNCTIONS = {"min", "max", "abs", "floor", "exp", "sqrt", "log"}
_OPERATORS: dict[type, str] = {
    ast.Add: "+",
    ast.Sub: "-",
    ast.Mult: "*",
    ast.Div: "/",
    ast.BitXor: "**",
    ast.Pow: "**",
}


class GraderError(ValueError):
    """A grader that has no equal as a reward; the message names it and says why."""


@dataclass(slots=True)
class Converted:
    """The text of a reward, and what a reader should know of it."""

    text: str = ""
    notes: list[str] = field(default_factory=list)


def convert(grader: Mapping[str, Any]) -> Converted:
    """A grader as the text of a reward; GraderError for what has no equal.

    >>> check = {"type": "string_check", "name": "same", "operation": "ilike",
    ...          "input": "{{sample.output_text}}", "reference": "{{item.answer}}"}
    >>> print(convert(check).text)
    # suite: chat+similarity
    # column: answer: text
    same = contains(lower(completion), lower(answer))
    reward = same
    """
    out = Converted()
    columns: dict[str, None] = {}
    parts = (
        _parts(grader) if grader.get("type") == "multi" else {grader.get("name") or "grade": grader}
    )
    found = {str(name): _one(name, part, columns, out) for name, part in parts.items()}
    known = _names(list(found), columns)
    lines = [f"{known[name]} = {text}" for name, text in found.items()]
    formula = known[next(iter(known))]
    if grader.get("type") == "multi":
        formula = _formula(str(grader.get("calculate_output", "")), known)
    head = [f"# suite: {_SUITE}", *(f"# column: {c}: text" for c in columns)]
    out.notes = [ascii(note)[1:-1] if not note.isprintable() else note for note in out.notes]
    notes = [f"# {note}" for note in out.notes]
    out.text = "\n".join([*head, *notes, *lines, f"reward = {formula}"])
    return out


def _parts(grader: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """The graders of a multi grader by name."""
    given = grader.get("graders")
    listed = isinstance(given, list) and all(isinstance(part, Mapping) for part in given)
    parts = {part.get("name"): part for part in given or ()} if listed else given
    if not isinstance(parts, Mapping) or not all(isinstance(p, Mapping) for p in parts.values()):
        raise GraderError("graders is no mapping of names to graders")
    if not parts or (listed and len(parts) < len(given or ())):
        raise GraderError("graders holds none, or two of one name")
    return dict(parts)


def _names(parts: Sequence[str], columns: Collection[str]) -> dict[str, str]:
    """A name of the language for each part, each its own."""
    scope = build_scope(_SUITE)
    taken = {"reward", *columns, *scope.names, *scope.primitives, *FUNCTIONS}
    found: dict[str, str] = {}
    for part in parts:
        name = _name(part)
        while name in taken:
            name += "_"
        taken.add(name)
        found[part] = name
    return found


def _one(name: Any, grader: Mapping[str, Any], columns: dict[str, None], out: Converted) -> str:
    kind = grader.get("type")
    if "pass_threshold" in grader:
        out.notes.append(f"{name}: its pass_threshold is left out, the score itself is the reward")
    if kind == "string_check":
        a, b = (_text(name, grader, side, columns) for side in ("input", "reference"))
        same = f"starts_with({a}, {b}) and chars({a}) == chars({b})"
        found = {
            "eq": same,
            "ne": f"not ({same})",
            "like": f"contains({a}, {b})",
            "ilike": f"contains(lower({a}), lower({b}))",
        }.get(str(grader.get("operation")))
        if found is None:
            raise GraderError(f"grader {name!r}: unknown operation {grader.get('operation')!r}")
        return found
    if kind == "text_similarity":
        a, b = (_text(name, grader, side, columns) for side in ("input", "reference"))
        metric = str(grader.get("evaluation_metric"))
        if metric not in _NEAR:
            raise GraderError(
                f"grader {name!r}: {metric} has no equal here; near ones: {', '.join(_NEAR)}"
            )
        if metric != _NEAR[metric]:
            out.notes.append(f"{name}: {_NEAR[metric]} is near {metric}, its numbers differ")
        return f"{_NEAR[metric]}({a}, {b})"
    raise GraderError(
        f"grader {name!r}: {kind!r} has no equal as a reward; a primitive of your own can do it"
    )


def _name(name: Any) -> str:
    made = re.sub(r"\W+", "_", str(name), flags=re.ASCII).strip("_").lower() or "grade"
    made = f"g_{made}" if made[0].isdigit() else made
    return f"{made}_" if keyword.iskeyword(made) else made


def _text(name: Any, grader: Mapping[str, Any], side: str, columns: dict[str, None]) -> str:
    value = grader.get(side)
    if not isinstance(value, str):
        raise GraderError(f"grader {name!r}: {side} is no text")
    found = _TEMPLATE.fullmatch(value.strip())
    if found is None:
        if "{{" in value:
            raise GraderError(f"grader {name!r}: {side} mixes text and templates: {value!r}")
        if not value.isascii() and any("\ud800" <= c <= "\udfff" for c in value):
            raise GraderError(f"grader {name!r}: {side} is no text of UTF-8: {value!a}")
        return f'"{"".join(map(_written, value))}"'
    if found[1].startswith("sample."):
        return "completion"
    column = found[1].removeprefix("item.")
    if keyword.iskeyword(column) or column in ("completion", "reward", "progress"):
        raise GraderError(
            f"grader {name!r}: {column!r} is no name of a column here; rename item.{column} and "
            "the data's column"
        )
    columns.setdefault(column)
    return column


def _written(char: str) -> str:
    """A character in a literal of the language."""
    if char in '"\\':
        return f"\\{char}"
    if char.isprintable():
        return char
    code = ord(char)
    known = {10: "\\n", 13: "\\r", 9: "\\t"}
    return known.get(code) or (f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}")


def _is_number(value: float) -> bool:
    """Whether a constant is a number of the language."""
    return not isinstance(value, bool) and abs(value) < 1e300


def _formula(text: str, known: Mapping[str, str]) -> str:
    try:
        tree = ast.parse(text, mode="eval")
    except (SyntaxError, ValueError, RecursionError):
        raise GraderError(f"calculate_output is no formula: {text!r}") from None

    def written(node: ast.expr) -> str:
        match node:
            case ast.Constant(value=int() | float() as value) if _is_number(value):
                return repr(float(value)) if abs(value) > 1e15 else repr(value)
            case ast.Name(id=name) if name in known:
                return known[name]
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return f"-({written(operand)})"
            case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
                return f"({written(left)} {_OPERATORS[type(op)]} {written(right)})"
            case ast.Call(func=ast.Name(id=name), args=args, keywords=[]) if args:
                inner = ", ".join(map(written, args))
                if name in _FUNCTIONS:
                    return f"{name}({inner})"
                if name == "ceil":
                    return f"(-floor(-({inner})))"
        raise GraderError(f"calculate_output: {ast.unparse(node)!r} has no equal in a reward")

    return written(tree.body)
