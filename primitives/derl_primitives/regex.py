"""Which regular expressions a reward may use: linear-time ones, bounded in size.

RE2 (through pyarrow) runs in linear time, but large counted repetitions multiply: a pattern of 30
characters can cost 100 s on one batch. So patterns have at most 128 characters, counted
repetitions at most 32, nested ones a product of at most 64, no back-references, no look-around.
"""

from __future__ import annotations

import re
import warnings
from typing import Any

LONGEST = 128
LARGEST_COUNT = 32
LARGEST_PRODUCT = 64

_PLAIN = {"LITERAL", "NOT_LITERAL", "ANY", "IN", "AT", "RANGE", "CATEGORY"}
_REPEATS = {"MAX_REPEAT", "MIN_REPEAT"}
_REFUSED = {
    "GROUPREF": "back-references are not linear",
    "GROUPREF_EXISTS": "conditional groups are not linear",
    "ASSERT": "look-around is not linear; use between() or after_last()",
    "ASSERT_NOT": "look-around is not linear; use between() or after_last()",
    "POSSESSIVE_REPEAT": "possessive repetition is not known to RE2",
    "ATOMIC_GROUP": "atomic groups are not known to RE2",
}
# What Python's syntax has beyond RE2's, or where the two differ.
_FOREIGN = re.compile(r"(?<!\\)(?:\\\\)*(\\[ZuUN]|\{,|\(\?[aiLmsux-]*[aLu])")


def regex_problem(pattern: str) -> str | None:
    """What is wrong with a pattern, or None.

    >>> regex_problem(r"^<think>.*</think>$")
    >>> regex_problem(r"(a{30}){30}")
    'nested repetitions multiply to 900, 64 are allowed'
    """
    # Python's own reader; it is private, stable since 3.11, and only used to look.
    from re import _parser

    if len(pattern) > LONGEST:
        return f"the pattern has {len(pattern)} characters, {LONGEST} are allowed"
    foreign = _FOREIGN.search(pattern)
    if foreign:
        return f"{foreign[1]} is not known to RE2"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = _parser.parse(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        return f"not a regular expression: {error}"
    return _walk(tree, 1)


def _walk(tree: Any, product: int) -> str | None:
    for op, argument in tree:
        name = str(op)
        if name in _REFUSED:
            return _REFUSED[name]
        problem = None
        if name in _REPEATS:
            least, most, inner = argument
            problem = _repeat(least, most, inner, product)
        elif name == "SUBPATTERN":
            problem = _walk(argument[-1], product)
        elif name == "BRANCH":
            problem = next(filter(None, (_walk(b, product) for b in argument[1])), None)
        elif name not in _PLAIN:
            problem = f"{name.lower().replace('_', ' ')} is not supported"
        if problem:
            return problem
    return None


def _repeat(least: int, most: Any, inner: Any, product: int) -> str | None:
    unbounded = str(most) == "MAXREPEAT"
    count = int(least) if unbounded else int(most)
    if count > LARGEST_COUNT:
        return f"a repetition counts to {count}, {LARGEST_COUNT} are allowed"
    product *= max(1, count)
    if product > LARGEST_PRODUCT:
        return f"nested repetitions multiply to {product}, {LARGEST_PRODUCT} are allowed"
    return _walk(inner, product)


def one_group_problem(pattern: str) -> str | None:
    """What is wrong with a pattern that must have one capturing group, or None.

    >>> one_group_problem("ANSWER: ([A-D])"), one_group_problem("ANSWER: [A-D]")
    (None, 'the pattern has 0 groups, one is needed: put brackets round what you want')
    """
    problem = regex_problem(pattern)
    if problem is not None:
        return problem
    groups = re.compile(pattern).groups
    if groups == 1:
        return None
    mend = "put brackets round what you want" if not groups else "write the others as (?:…)"
    return f"the pattern has {groups} groups, one is needed: {mend}"


# An escaped character, a class, or the bracket of a capturing group.
_GROUP = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|(?P<open>\((?:\?P<\w+>|(?!\?)))", re.S)


def one_group(pattern: str, name: str) -> str:
    """The pattern, whose one capturing group bears a name.

    >>> one_group(r"[(](\\d+)[)]", "n")
    '[(](?P<n>\\\\d+)[)]'
    """
    found = next(m for m in _GROUP.finditer(pattern) if m["open"])
    return f"{pattern[: found.start()]}(?P<{name}>{pattern[found.end() :]}"


def any_literal(_: str) -> str | None:
    """Accepts every literal."""
    return None


def non_empty(value: str) -> str | None:
    """Refuses the empty literal, which every text contains."""
    return "the text to look for is empty" if not value else None
