"""Expressions and equations: equal for all values, decided at points; else math-verify is asked."""

from __future__ import annotations

from itertools import pairwise

from derl_grammar.records import record
from derl_primitives.patterns import pattern
from derl_primitives.verdict import values
from derl_primitives.verdict.clean import squeezed
from derl_primitives.verdict.elements import formula_of
from derl_primitives.verdict.formula import Node
from derl_primitives.verdict.kinds.kind import Kind
from derl_primitives.verdict.split import at_top
from derl_primitives.verdict.statement import views
from derl_primitives.verdict.words import OR_WORDS

_MATH = pattern(
    r"[\\=^_+*/<>\u2264\u2265\u221a\u03c0!|\u00b1\u00d7\u00b7]|\d"
    r"|(?<![A-Za-z])[a-zA-Z](?![A-Za-z])|-"
)
_WORDS = pattern(
    r"(?<![\\A-Za-z])(?!sin|cos|tan|sec|csc|cot|log|exp|sqrt|arc|sinh|cosh|pi|abs|theta"
    r"|alpha|beta|mod)[A-Za-z]{4,}"
)
_FUNCTION = pattern(r"^[A-Za-z]'{0,2}\s*\(\s*[a-z](?:\s*,\s*[a-z])*\s*\)$")


@record
class Sides:
    """The sides of an equation, or one expression; None for a side nobody here can read."""

    text: str
    sides: tuple[Node | None, ...]
    name: str | None

    @property
    def last(self) -> Node | None:
        """The expression, or the right side of an equation."""
        return self.sides[-1]


def read(text: str, comma: bool = False) -> Sides | None:
    """An expression or an equation, or None where nothing mathematical stands."""
    text = text.strip(" .;")
    if not text or len(text) > 1000 or not _MATH().search(text) or _WORDS().search(text):
        return None
    parts = [p.strip() for p in at_top(text.replace("==", "="), "=\u2248")]
    if not 1 <= len(parts) <= 4 or not all(parts):
        return None
    name = parts[0] if len(parts) > 1 else None
    sides = []
    for k, part in enumerate(parts):
        defined = k == 0 and len(parts) > 1 and _FUNCTION().match(part)
        sides.append(("sym", part) if defined else formula_of(part, comma))
    return Sides(squeezed(text), tuple(sides), name)


def _gold(text: str) -> Sides | None:
    found = read(text)
    return None if found is not None and None in found.sides and "\\" not in text else found


def _given(text: str, gold: Sides, comma: bool) -> Sides | None:
    del gold
    return read(text, comma)


def _is_name(node: Node | None, name: str | None) -> bool:
    return node is not None and node[0] in ("sym", "const") and name is not None


def _same(given: Sides, gold: Sides) -> bool | None:
    if given.text == gold.text:
        return True
    if len(given.sides) == 1 and len(gold.sides) == 1:
        return _equal(given.last, gold.last)
    if len(given.sides) >= 2 and len(gold.sides) == 2:
        return _same_equation(given, gold)
    if len(gold.sides) == 1:
        return _chain(given, gold)
    if len(given.sides) == 1:
        named = _is_name(gold.sides[0], gold.name)
        return _equal(given.last, gold.last) if named else False
    return _equal(given.last, gold.last)


def _equal(a: Node | None, b: Node | None) -> bool | None:
    return None if a is None or b is None else values.equal(a, b)


def _chain(given: Sides, gold: Sides) -> bool | None:
    """`y = 2x + 1` for `2x + 1`, and `a = b = c` when all agree."""
    first = given.sides[0]
    parts = given.sides[1:] if _is_name(first, given.name) else given.sides
    if None in parts:
        return _equal(parts[-1], gold.last)
    for a, b in pairwise(parts):
        if a is None or b is None or not (values.equal(a, b) or "\u2248" in given.text):
            return False
    return any(_equal(part, gold.last) is True for part in parts)


def _same_equation(given: Sides, gold: Sides) -> bool | None:
    if None in given.sides or None in gold.sides:
        return None
    if _is_name(gold.sides[0], gold.name) and given.sides[0] == gold.sides[0]:
        return _chain(
            Sides(given.text, given.sides, given.name), Sides(gold.text, gold.sides[1:], None)
        )
    if len(given.sides) > 2:
        return False
    left = ("add", given.sides[0], ("neg", given.sides[1]))
    right = ("add", gold.sides[0], ("neg", gold.sides[1]))
    sign = values.proportional(left, right)
    return None if sign is None else sign != 0


def _spoken(text: str, gold: Sides, comma: bool) -> Sides | None:
    found = [read(view, comma) for view in views(text)]
    known = [f for f in found if f is not None and None not in f.sides]
    if known:
        whole = [f for f in known if len(f.sides) > 1] if len(gold.sides) > 1 else []
        if len(gold.sides) > 1 and not whole:
            equations = [p for p in pieces(text) if "=" in p.strip(" =")]
            last = read(equations[-1], comma) if equations else None
            whole = [last] if last is not None and None not in last.sides else []
        return (whole or known)[0]
    operating = [p for p in pieces(text) if _OPERATES().search(p)]
    if len({squeezed(p) for p in operating}) > 1 and OR_WORDS().search(text.lower()):
        return None
    return read(operating[-1], comma) if operating else None


def pieces(text: str) -> list[str]:
    """The runs of a sentence that look like formulas."""
    return _FORMULA().findall(text)


_OPERATES = pattern(r"[\d\\^+=*/\u221a\u03c0]")
_FORMULA = pattern(
    r"(?:\\[A-Za-z]+|(?<![A-Za-z])[A-Za-z](?![A-Za-z])|[\d\\^_{}()+*/=.!|\u221a\u03c0\u00b7\u00d7-]"
    r"|(?:sin|cos|tan|ln|log|exp|sqrt|pi)(?![a-z])| (?=[\d\\+=*/(^\u03c0\u221a-]"
    r"|[A-Za-z](?![A-Za-z])|sqrt|pi))+"
)

KIND = Kind("expression or equation", _gold, _given, _same, _spoken, layer="at points")
