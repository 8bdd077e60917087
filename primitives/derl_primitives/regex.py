r"""Which regular expressions a reward may use: RE2's, linear-time, bounded in size.

RE2 (through pyarrow) runs in linear time, but large counted repetitions multiply: a pattern of 30
characters can cost 100 s on one batch. So counted repetitions go to 32 at most, nested ones to a
product of 64, a pattern has at most 128 characters, or 256 where its repetitions written out are no
more than that, and there are no back-references and no look-around.

The dialect is RE2's: `\p{Han}`, `\x{4e00}`, `[[:alpha:]]`, `\z` and `\Q…\E` are known, and what
Python alone knows is refused with what to write instead. Structure is read by Python's own parser,
which is shown a stand-in for each of these. `dialect_notes` tells where a pattern that both know
means something else in Python.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from functools import lru_cache
from importlib import import_module
from typing import Any

from derl_primitives.arrays import arrow

LONGEST = 128
LONGEST_PLAIN = 256
LARGEST_COUNT = 32
LARGEST_PRODUCT = 64

_PLAIN = {"LITERAL", "NOT_LITERAL", "ANY", "IN", "AT", "RANGE", "CATEGORY"}
_REPEATS = {"MAX_REPEAT", "MIN_REPEAT"}
# Nodes of Python's parser that RE2 has not: what is wrong; what to write.
_LOOK = "use before(), between(), after_last(), or two conditions"
_REFUSED = {
    "GROUPREF": "a back-reference is not linear; compare two extract(…) with ==",
    "GROUPREF_EXISTS": "a conditional group (?(1)…) is not linear; write both cases with |",
    "ASSERT": f"look-around (?=…), (?<=…) is not linear; {_LOOK}",
    "ASSERT_NOT": f"look-around (?!…), (?<!…) is not linear; {_LOOK}",
    "POSSESSIVE_REPEAT": "a possessive repetition a++ is not known to RE2; write a+",
    "ATOMIC_GROUP": "an atomic group (?>…) is not known to RE2; write (?:…)",
}
# One element of a pattern: what only RE2 has, what only Python has, and the rest.
_ELEMENT = re.compile(
    r"""(?P<classes> \\[pP](?:\{\^?\w+\}|\w) | \[:\^?[a-z]+:\])
    | (?P<hex> \\x\{(?P<digits>[0-9A-Fa-f]{1,6})\})
    | (?P<end> \\z)
    | \\Q(?P<quoted>.*?)(?:\\E|\Z)
    | (?P<foreign> \\[ZuUN] | \{,(?=[0-9]+\}) | \(\?\# | \(\?<(?![=!]) | \(\?P[=>]
        | \(\?[imsU-]*[aLux][imsaLuxU-]*[:)])
    | \\. | .""",
    re.X | re.S,
)
_REPLACED = {
    "\\Z": "\\Z is Python's; write \\z for the end of the text",
    "\\u": "\\u is Python's; write \\x{4e00}, or the character itself",
    "\\U": "\\U is Python's; write \\x{1F600}, or the character itself",
    "\\N": "\\N{…} is Python's; write the character itself",
    "{,": "{,n} is Python's; write {0,n}",
    "(?#": "a comment (?#…) is not known to RE2; leave it out",
    "(?<": "(?<name>…) is written (?P<name>…)",
    "(?P=": "a back-reference (?P=name) is not linear; compare two extract(…) with ==",
    "(?P>": "a recursive group is not linear; write it out",
    "[\\b]": "[\\b] is not known to RE2; write \\x08 for a backspace",
}


def regex_problem(pattern: str) -> str | None:
    r"""What is wrong with a pattern and, after a semicolon, what to write; or None.

    >>> regex_problem(r"^<think>.*</think>$"), regex_problem(r"\p{Han}+\x{3002}\z")
    (None, None)
    >>> regex_problem(r"(a{30}){30}")
    'nested repetitions multiply to 900, 64 are allowed; repeat less, or use + and *'
    >>> regex_problem(r"a\Z")
    "\\Z is Python's; write \\z for the end of the text"
    """
    for element, in_class in _elements(pattern):
        if element["foreign"] and (not in_class or element[0].startswith("\\")):
            return _foreign(element["foreign"])
        if element[0] == r"\b" and in_class:
            return _REPLACED[r"[\b]"]
    if len(pattern) > LONGEST_PLAIN:
        return f"the pattern has {len(pattern)} characters, {LONGEST_PLAIN} are allowed; split it"
    try:
        tree = parsed(pattern)
    except (re.error, OverflowError, RecursionError, ValueError) as error:
        return f"not a regular expression: {error}"
    problem = _walk(tree, 1)
    if problem is None and len(pattern) > LONGEST and (size := _size(tree)) > LONGEST_PLAIN:
        problem = f"the pattern is as long as {size} characters with its repetitions written out"
        problem += f", {LONGEST_PLAIN} are allowed; split it, or use + and *"
    return problem or _refused_by_re2(pattern)


def parsed(pattern: str) -> Any:
    """The structure of a pattern of RE2's, with stand-ins for what Python does not know."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return structure("".join(_stand_in(element) for element, _ in _elements(pattern)))


@lru_cache(maxsize=256)
def structure(pattern: str) -> Any:
    """The structure of a pattern, as Python's parser has it; raises what that raises."""
    # Private, stable since 3.11, and only used to look.
    return import_module("re._parser").parse(pattern)


@lru_cache(maxsize=256)
def _refused_by_re2(pattern: str) -> str | None:
    """What RE2 itself says of a pattern that looks well: it has the last word."""
    import pyarrow.compute as pc

    try:
        pc.match_substring_regex(arrow([""]), pattern)
    except ValueError as error:  # Arrow's, or a pattern that UTF-8 has not
        said = str(error).rpartition("expression: ")[2].splitlines()[0]
        return f"RE2 does not read it: {said}; see the syntax of RE2"
    return None


def _elements(pattern: str) -> Iterator[tuple[re.Match[str], bool]]:
    """The elements of a pattern, and whether each stands inside the brackets of a class."""
    opened = -1  # where the class begins that an element stands in
    for element in _ELEMENT.finditer(pattern):
        yield element, opened >= 0
        if opened < 0 and element[0] == "[":
            opened = element.end() + (pattern[element.end() : element.end() + 1] == "^")
        elif element[0] == "]" and element.start() > opened:
            opened = -1


def _foreign(element: str) -> str:
    if element in _REPLACED:
        return _REPLACED[element]
    flags = "".join(sorted(set(element) & set("aLux")))
    return f"the flag {flags} of {element} is not known to RE2; it has i, m and s"


def _stand_in(element: re.Match[str]) -> str:
    """What Python's parser is shown for an element: something of the same structure."""
    if element["classes"]:
        return r"\w"
    if element["hex"]:
        return "x" if int(element["digits"], 16) <= 0x10FFFF else "\\x"  # an error, as it should be
    if element["end"]:
        return r"\Z"
    return re.escape(element["quoted"]) if element["quoted"] is not None else element[0]


def _size(tree: Any) -> int:
    """The characters and classes that a pattern has once its repetitions are written out."""
    total = 0
    for op, argument in tree:
        name = str(op)
        if name in _REPEATS:
            least, most, inner = argument
            total += _size(inner) * max(1, int(least if str(most) == "MAXREPEAT" else most))
        elif name == "SUBPATTERN":
            total += _size(argument[-1])
        elif name == "BRANCH":
            total += sum(map(_size, argument[1]))
        else:
            total += len(argument) if name == "IN" else 1
    return total


# What a pattern means in RE2, by what it holds, and how to say what Python's would mean.
_NOTES = {
    r"\w": r"\w is [0-9A-Za-z_] alone; write [\p{L}\p{N}_] for the letters of all languages",
    r"\W": r"\W is all but [0-9A-Za-z_]; write [^\p{L}\p{N}_] for the letters of all languages",
    r"\d": r"\d is [0-9] alone; write \p{Nd} for the digits of all languages",
    r"\D": r"\D is all but [0-9]; write \P{Nd} for the digits of all languages",
    r"\s": r"\s is [\t\n\f\r ] alone; write [\s\v\p{Z}] for all white space",
    r"\S": r"\S is all but [\t\n\f\r ]; write [^\s\v\p{Z}] for all white space",
    r"\b": r"\b is beside [0-9A-Za-z_] alone: é, ß and 字 are no letters to it",
    r"\B": r"\B knows [0-9A-Za-z_] alone: é, ß and 字 are no letters to it",
    "$": r"$ is the very end of the text; write \n?$ to allow a last line break, as Python does",
}


def dialect_notes(pattern: str) -> list[str]:
    r"""Where a pattern means something else to RE2 than to Python: what it is; what to write.

    >>> dialect_notes(r"^[0-9]+$"), dialect_notes(r"(?m)^[$]")
    (['$ is the very end of the text; write \\n?$ to allow a last line break, as Python does'], [])
    """
    found: dict[str, None] = {}
    lines = re.search(r"\(\?[a-zA-Z]*m", pattern) is not None
    for element, in_class in _elements(pattern):
        text = element[0]
        if text in _NOTES and not (text == "$" and (in_class or lines)):
            found[text] = None
    return [_NOTES[text] for text in found]


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
        return f"a repetition counts to {count}, {LARGEST_COUNT} are allowed; use + or *"
    product *= max(1, count)
    if product > LARGEST_PRODUCT:
        told = f"nested repetitions multiply to {product}, {LARGEST_PRODUCT} are allowed"
        return f"{told}; repeat less, or use + and *"
    return _walk(inner, product)


def one_group_problem(pattern: str) -> str | None:
    """What is wrong with a pattern that must have one capturing group, or None.

    >>> one_group_problem("ANSWER: ([A-D])"), one_group_problem("ANSWER: [A-D]")
    (None, 'the pattern has 0 groups, one is needed; put brackets round what you want')
    """
    problem = regex_problem(pattern)
    if problem is not None:
        return problem
    groups = sum(m["open"] is not None for m in _GROUP.finditer(pattern))
    if groups == 1:
        return None
    fix = "put brackets round what you want" if not groups else "write the others as (?:…)"
    return f"the pattern has {groups} groups, one is needed; {fix}"


# A quoted stretch, an escaped character, a class, or the bracket of a capturing group.
_GROUP = re.compile(
    r"\\Q.*?(?:\\E|\Z)|\\.|\[\^?\]?(?:\[:\^?[a-z]+:\]|\\.|[^\]\\])*\]"
    r"|(?P<open>\((?:\?P<\w+>|(?!\?)))",
    re.S,
)


def one_group(pattern: str, name: str) -> str:
    r"""The pattern, whose one capturing group bears a name.

    >>> one_group(r"[(](\d+)[)]", "n")
    '[(](?P<n>\\d+)[)]'
    """
    found = next(m for m in _GROUP.finditer(pattern) if m["open"])
    return f"{pattern[: found.start()]}(?P<{name}>{pattern[found.end() :]}"


def non_empty(value: str) -> str | None:
    """Refuses the empty literal, which every text contains."""
    return "the text to look for is empty" if not value else None
