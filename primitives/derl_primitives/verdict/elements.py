"""One value against another: what sets, tuples and matrices compare their entries with."""

from __future__ import annotations

from collections.abc import Sequence

from derl_primitives.patterns import pattern
from derl_primitives.verdict import values
from derl_primitives.verdict.clean import squeezed
from derl_primitives.verdict.formula import read_formula, repeating
from derl_primitives.verdict.quantity import joined, read_quantity, same_quantity

_NAMED = pattern(
    r"^\s*(?:\\?[A-Za-z\u0391-\u03c9]{1,7}(?:_\{?\w{1,4}\}?)?(?:\(\s*\w{1,4}\s*\))?)'?\s*=\s*(?!=)"
)


def unnamed(text: str) -> str:
    """An item without the name it is given: `x_1 = 4` is `4`."""
    return _NAMED().sub("", text, count=1)


def name_of(text: str) -> str | None:
    """The name that an item is given, or None."""
    match = _NAMED().match(text)
    return match.group().split("=")[0].strip() if match else None


def formula_of(text: str, comma: bool = False) -> tuple[object, ...] | None:
    """The tree of a formula written with grouped digits and repeating decimals."""
    return read_formula(repeating(joined(text, comma)))


def same_value(given: str, gold: str, comma: bool = False) -> bool | None:
    """Whether two entries are the same amount, formula or word; None: nobody here can tell.

    >>> same_value("0.5", r"\\frac12"), same_value("x+1", "1+x"), same_value("a", "b")
    (True, True, False)
    """
    if squeezed(given) == squeezed(gold):
        return True
    left, right = read_quantity(given, comma), read_quantity(gold)
    if left is not None and right is not None:
        return same_quantity(left, right)
    one, other = formula_of(given, comma), formula_of(gold)
    if one is not None and other is not None:
        return values.equal(one, other)
    if one is None and other is None and "\\" not in given and "\\" not in gold:
        return given.strip().casefold() == gold.strip().casefold()
    return None if "\\" in given or "\\" in gold else False


def same_row(given: Sequence[str], gold: Sequence[str], comma: bool = False) -> bool | None:
    """Whether two rows have the same entries in the same places."""
    if len(given) != len(gold):
        return False
    unsure = False
    for one, other in zip(given, gold, strict=True):
        same = same_value(unnamed(one).strip(), unnamed(other).strip(), comma)
        if same is False:
            return False
        unsure = unsure or same is None
    return None if unsure else True


def same_items(given: Sequence[str], gold: Sequence[str], comma: bool = False) -> bool | None:
    """Whether two collections have the same entries in any order."""
    if len(given) != len(gold) or len(given) > 64:
        return False
    left = list(gold)
    for one in given:
        for k, other in enumerate(left):
            if same_value(unnamed(one).strip(), unnamed(other).strip(), comma):
                del left[k]
                break
        else:
            return False
    return True
