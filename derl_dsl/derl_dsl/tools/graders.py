"""OpenAI graders (JSON) as rewards: string_check, text_similarity, and multi with its formula.

`{{sample.output_text}}` is the column `completion`, `{{item.NAME}}` the column NAME. What has no
equal here is refused by name; what has only a near one says so, in the reward and to the caller.
"""

from __future__ import annotations

import ast
import json
import keyword
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

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
    kind = grader.get("type")
    if kind == "multi":
        parts = grader.get("graders") or {}
        named = parts if isinstance(parts, Mapping) else {g.get("name"): g for g in parts}
        lines = [f"{_name(k)} = {_one(k, g, columns, out)}" for k, g in named.items()]
        known = {str(k): _name(k) for k in named}
        formula = _formula(str(grader.get("calculate_output", "")), known)
    else:
        name = _name(grader.get("name", "grade"))
        lines = [f"{name} = {_one(name, grader, columns, out)}"]
        formula = name
    head = ["# suite: chat+similarity", *(f"# column: {c}: text" for c in columns)]
    notes = [f"# {note}" for note in out.notes]
    out.text = "\n".join([*head, *notes, *lines, f"reward = {formula}"])
    return out


def _one(name: Any, grader: Mapping[str, Any], columns: dict[str, None], out: Converted) -> str:
    kind = grader.get("type")
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
    return f"{made}_" if keyword.iskeyword(made) or made in ("reward", "completion") else made


def _text(name: Any, grader: Mapping[str, Any], side: str, columns: dict[str, None]) -> str:
    value = grader.get(side)
    if not isinstance(value, str):
        raise GraderError(f"grader {name!r}: {side} is no text")
    found = _TEMPLATE.fullmatch(value.strip())
    if found is None:
        if "{{" in value:
            raise GraderError(f"grader {name!r}: {side} mixes text and templates: {value!r}")
        return json.dumps(value, ensure_ascii=False)
    if found[1].startswith("sample."):
        return "completion"
    column = found[1].removeprefix("item.")
    columns.setdefault(column)
    return column


def _formula(text: str, known: Mapping[str, str]) -> str:
    try:
        tree = ast.parse(text, mode="eval")
    except (SyntaxError, ValueError, RecursionError):
        raise GraderError(f"calculate_output is no formula: {text!r}") from None

    def written(node: ast.expr) -> str:
        match node:
            case ast.Constant(value=int() | float() as value) if not isinstance(value, bool):
                return repr(value)
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
