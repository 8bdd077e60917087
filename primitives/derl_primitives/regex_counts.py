"""Which regular expressions can be counted in linear time.

RE2 finds one match in linear time. Counting looks for the next one behind each, so it is quadratic
where a match is known only after a look far beyond its end: of `x*y|x` in a text of x each match is
the one x, and to say so the whole rest is read. That needs a place where the match could already
end and an unbounded repetition that something has to follow: behind the place (`a(?:.*b)?`), or
beside it, in another alternative that begins alike. Such patterns are refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from derl_primitives.regex import parsed, regex_problem

_REPEATS = {"MAX_REPEAT", "MIN_REPEAT"}
_ALL = frozenset(range(129))  # ASCII, and one for all other characters
_OTHER = 128
_CATEGORIES = {
    "CATEGORY_DIGIT": frozenset(map(ord, "0123456789")),
    "CATEGORY_SPACE": frozenset(map(ord, " \t\n\r\f\v")),
    "CATEGORY_WORD": frozenset(c for c in range(128) if chr(c).isalnum() or chr(c) == "_"),
}


def counting_problem(pattern: str) -> str | None:
    r"""What is wrong with a pattern whose matches are counted; or None.

    >>> counting_problem(r"Step [0-9]+:"), counting_problem(r"(?m)^[0-9]+\.|^Step [0-9]+:")
    (None, None)
    >>> counting_problem("x*y|x")
    'counting takes quadratic time: a match may end where x* has to be read to its end; count the alternatives apart, or bound the repetition'
    """  # noqa: E501 - the message
    problem = regex_problem(pattern)
    if problem is not None:
        return problem
    if not _overruns(list(parsed(pattern)), ends=True):
        return None
    told = "counting takes quadratic time: a match may end where x* has to be read to its end"
    return f"{told}; count the alternatives apart, or bound the repetition"


def _overruns(items: Sequence[Any], *, ends: bool) -> bool:
    """Whether some match may end before a repetition that has to be followed by something.

    `ends`: nothing has to follow these items.
    """
    for at, (op, argument) in enumerate(items):
        last = ends and _nullable(items[at + 1 :])
        name = str(op)
        if name in _REPEATS:
            least, most, inner = argument
            # It may be left out, or end after a round, while the next one is under way.
            if last and int(most) > int(least) and _pending(list(inner), followed=False):
                return True
            if _overruns(list(inner), ends=last):
                return True
            # Left out, what follows may end where a round is under way.
            if least == 0 and _compete([list(inner), []], list(items[at + 1 :])):
                return True
        elif name == "SUBPATTERN":
            if _overruns(list(argument[-1]), ends=last):
                return True
        elif name == "BRANCH":
            branches = [list(b) for b in argument[1]]
            rest = list(items[at + 1 :])
            if any(_overruns(b, ends=last) for b in branches) or _compete(branches, rest):
                return True
    return False


def _compete(branches: list[list[Any]], rest: list[Any]) -> bool:
    """Whether one alternative is still being read where another one has ended."""
    for k, one in enumerate(branches):
        if not _pending([*one, *rest], followed=False):
            continue
        for other in branches[:k] + branches[k + 1 :]:
            behind = [*other, *rest]
            if _nullable(behind) or _alike([*one, *rest], behind):
                return True
    return False


def _alike(one: Sequence[Any], other: Sequence[Any]) -> bool:
    """Whether some text can begin both: no character of their fixed beginnings keeps them apart."""
    if not _first(one) & _first(other):
        return False
    return all(a & b for a, b in zip(_beginning(one), _beginning(other), strict=False))


def _beginning(items: Sequence[Any]) -> list[frozenset[int]]:
    """The characters of each place up to the first item that is not one character long."""
    places: list[frozenset[int]] = []
    for op, argument in items:
        if str(op) == "SUBPATTERN" and not places:
            return _beginning([*argument[-1], *items[1:]])
        if str(op) not in ("LITERAL", "IN", "NOT_LITERAL", "ANY"):
            break
        places.append(_first([(op, argument)]))
    return places


def _pending(items: Sequence[Any], *, followed: bool) -> bool:
    """Whether there is an unbounded repetition that something has to follow."""
    for at, (op, argument) in enumerate(items):
        name = str(op)
        after = followed or not _nullable(items[at + 1 :])
        if name in _REPEATS:
            _, most, inner = argument
            if (str(most) == "MAXREPEAT" and after) or _pending(list(inner), followed=after):
                return True
        elif name == "SUBPATTERN":
            if _pending(list(argument[-1]), followed=after):
                return True
        elif name == "BRANCH" and any(_pending(list(b), followed=after) for b in argument[1]):
            return True
    return False


def _nullable(items: Sequence[Any]) -> bool:
    """Whether the items can match nothing."""
    return all(_empty(str(op), argument) for op, argument in items)


def _empty(name: str, argument: Any) -> bool:
    if name in _REPEATS:
        return int(argument[0]) == 0 or _nullable(list(argument[2]))
    if name == "SUBPATTERN":
        return _nullable(list(argument[-1]))
    if name == "BRANCH":
        return any(_nullable(list(b)) for b in argument[1])
    return name == "AT"


def _first(items: Sequence[Any]) -> frozenset[int]:
    """The characters that a match can begin with; more where it is hard to say."""
    found: frozenset[int] = frozenset()
    for op, argument in items:
        name = str(op)
        if name == "LITERAL":
            code = min(argument, _OTHER)
            # Of either case: a flag may say that case does not count.
            both = {code, *(ord(c) for c in (chr(code).lower(), chr(code).upper()) if len(c) == 1)}
            found |= frozenset(min(c, _OTHER) for c in both)
        elif name in _REPEATS:
            found |= _first(list(argument[2]))
        elif name == "SUBPATTERN":
            found |= _first(list(argument[-1]))
        elif name == "BRANCH":
            found = found.union(*(_first(list(b)) for b in argument[1]))
        elif name == "IN":
            found |= _class(argument)
        elif name != "AT":
            found |= _ALL
        if not _empty(name, argument):
            return found
    return found


def _class(argument: Sequence[Any]) -> frozenset[int]:
    codes: set[int] = set()
    for op, value in argument:
        match str(op), value:
            case "LITERAL", int(code):
                codes.add(min(code, _OTHER))
            case "RANGE", (low, high):
                codes |= set(range(min(low, _OTHER), min(high, _OTHER) + 1))
            case "CATEGORY", category if str(category) in _CATEGORIES:
                codes |= _CATEGORIES[str(category)]
            case _:
                return _ALL  # negated
    letters = {ord(chr(c).swapcase()) for c in codes if c < _OTHER and chr(c).isalpha()}
    return frozenset(codes | letters)
