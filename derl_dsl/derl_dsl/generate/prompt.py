"""A scope in words: names, types, functions and rules, for the prompt of a language model."""

from __future__ import annotations

from collections.abc import Iterable

from derl_dsl.elaborate.functions import FUNCTIONS
from derl_dsl.elaborate.scope import Scope
from derl_primitives.primitive import Primitive
from derl_primitives.text import TEXT_FUNCTIONS
from derl_runtime.sources import Apply, Column

_EXPRESSION = "Write one expression: the reward, a number. For example: {example}"
_PROGRAM = """\
Write assignments, each name once, then `reward = ...`, which must be a number. For example:
part = {example}
reward = 2 * part + 0.1 * progress"""
_RULES = """\
Operators: + - * / % **, comparisons (a <= b < c), and, or, not, a if condition else b, ( ).
Conditions count as 1 or 0 in arithmetic; a number is no condition without a comparison.
No loops, no indexing, no attributes, no imports, no functions of your own.
It must be finite: do not divide by what can be 0, or write guard(a / b, 0).
It must not be constant, and must not fall when {outcome} rises."""


def prompt_text(scope: Scope, programs: bool = False) -> str:
    """What a program over `scope` may say, compact enough for a prompt.

    `programs` asks for assignments and a reward instead of one expression.
    """
    example = _example(scope)
    outcome = scope.outcome or "a good sign"
    blocks = [
        (_PROGRAM if programs else _EXPRESSION).format(example=example),
        "Names:\n" + _lines(_name(name, source) for name, source in scope.names.items()),
        "Functions of columns:\n" + _lines(map(_primitive, _own(scope))),
        "Functions of texts (literals are written out, as text in quotes):\n" + _texts(scope),
        "Functions:\n" + _lines(_functions(scope)),
        "Rules:\n" + _RULES.format(outcome=outcome),
    ]
    return "\n\n".join(b for b in blocks if not b.endswith(":\n")) + "\n"


def _lines(lines: Iterable[str]) -> str:
    return "\n".join(lines)


def _texts(scope: Scope) -> str:
    """The text functions of every program, where there are texts."""
    if not any("text" in str(source.type) for source in scope.names.values()):
        return ""
    return _lines(p.signature for p in scope.primitives.values() if p not in _own(scope))


def _own(scope: Scope) -> list[Primitive]:
    """The primitives of the suite; the text functions of every program come apart."""
    return [p for name, p in scope.primitives.items() if name not in TEXT_FUNCTIONS]


def _sentence(doc: str) -> str:
    return " ".join(doc.split("\n\n")[0].split(" >>> ")[0].split())


def _name(name: str, source: Column | Apply) -> str:
    doc = source.primitive if isinstance(source, Apply) else None
    told = f"  {_sentence(doc.doc)}" if isinstance(doc, Primitive) else ""
    told = told or ("  The share of training that is done." if name == "progress" else "")
    return f"{name}: {source.type}{told}"


def _primitive(primitive: Primitive) -> str:
    return f"{primitive.signature}  {_sentence(primitive.doc)}"


def _functions(scope: Scope) -> list[str]:
    """The functions of the language; those of lists only where there are lists."""
    lists = any(str(source.type).startswith("list") for source in scope.names.values())
    return [
        f"{f.signature}  {f.doc}"
        for f in FUNCTIONS.values()
        if lists or f.kind not in ("reduction", "slice")
    ]


def _example(scope: Scope) -> str:
    names = sorted(scope.names.items(), key=lambda item: not isinstance(item[1], Apply))
    numbers = [
        name
        for name, source in names
        if str(source.type).startswith(("number", "bool")) and name != "progress"
    ]
    if scope.outcome and scope.outcome not in numbers:
        return f"{scope.outcome} + 0.1 * progress"
    terms = [n for n in numbers if n != scope.outcome]
    if not scope.outcome and not terms and "completion" in scope.names:
        return "1 - 0.2 * min(chars(completion) / 1000, 1)"  # progress alone is one for a group
    first = scope.outcome or (terms.pop(0) if terms else "progress")
    return f"{first} + 0.2 * {terms[0]}" if terms else f"1 + 0.2 * {first}"
