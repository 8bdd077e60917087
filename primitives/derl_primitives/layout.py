r"""Primitives of a completion's layout: think blocks, tagged blocks, code fences, JSON.

Tags are literal and case counts: `<think>`, not `<Think>` or `<think >`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

from derl_primitives.arrays import LONGEST_READ, bools, floats, per_row
from derl_primitives.patterns import pattern
from derl_primitives.primitive import primitive

if TYPE_CHECKING:
    from derl_primitives.arrays import Bools, Floats

Texts = Sequence[str] | str
_LONGEST_INTEGER = 19
_TAG = pattern(r"[A-Za-z_][A-Za-z0-9_-]{0,31}")
_FENCE = pattern(r"^ {0,3}(`{3,}+(?=[^`\n]*$)|~{3,}+)([^\n]*)$", re.M)
_LANGUAGE = pattern(r"[A-Za-z0-9+#._-]{1,32}")
_SAME_LANGUAGE = {
    "py": "python",
    "python3": "python",
    "py3": "python",
    "c++": "cpp",
    "js": "javascript",
}


def tag_name(value: str) -> str | None:
    """What is wrong with a tag's name, or None.

    >>> tag_name("answer"), tag_name("<answer>")
    (None, 'write the name alone: letters, digits, _ and -, at most 32')
    """
    if _TAG().fullmatch(value):
        return None
    return "write the name alone: letters, digits, _ and -, at most 32"


@primitive(
    "(completion: text) -> bool",
    cost="scan",
    source="think_format_reward of TRL; DeepSeek-R1 (arXiv 2501.12948)",
    good=True,
)
def think_format(completion: Texts) -> Bools:
    r"""Whether the completion is one think block and then an answer.

    It starts with `<think>` (white space may stand before it), holds `<think>` and `</think>` once
    each, and something other than white space follows `</think>`.

    >>> think_format(["<think>2+2</think>4", "<think>2+2</think> ", "4"]).tolist()
    [True, False, False]
    """
    (completion,) = per_row(completion)
    return bools(map(_thinks_first, completion), len(completion))


@primitive(
    "(completion: text) -> bool",
    cost="scan",
    source="think_format, where the prompt ends in <think>",
    good=True,
)
def think_closed(completion: Texts) -> Bools:
    r"""Whether the completion closes one think block and then answers, whoever opened the block.

    `</think>` stands in it once, something other than white space follows, and `<think>` stands in
    it nowhere or once, at its start: the opening tag may stand in the prompt.

    >>> think_closed(["2+2</think>4", "<think>2+2</think>4", "2+2</think> ", "4"]).tolist()
    [True, True, False, False]
    """
    (completion,) = per_row(completion)
    return bools(map(_closes_thought, completion), len(completion))


def _closes_thought(text: str) -> bool:
    return _thinks_first(text if "<think>" in text else f"<think>{text}")


def _thinks_first(text: str) -> bool:
    once = text.count("<think>") == 1 and text.count("</think>") == 1
    if not once or not text.lstrip().startswith("<think>"):
        return False
    return bool(text.partition("</think>")[2].strip())


@primitive(
    "(completion: text, tag: text) -> bool",
    cost="scan",
    source="tag rewards of open-r1",
    literals={"tag": tag_name},
    good=True,
)
def has_block(completion: Texts, tag: str) -> Bools:
    """Whether `<tag>` and, after it, `</tag>` occur exactly once, with something between them.

    White space alone is nothing.

    >>> has_block(["<answer>4</answer>", "<answer> </answer>", "</answer>4<answer>"], "answer"
    ...           ).tolist()
    [True, False, False]
    """
    (completion,) = per_row(completion)
    start, end = f"<{tag}>", f"</{tag}>"
    return bools((_one_block(text, start, end) for text in completion), len(completion))


def _one_block(text: str, start: str, end: str) -> bool:
    if text.count(start) != 1 or text.count(end) != 1:
        return False
    inner, closed, _ = text.partition(start)[2].partition(end)
    return bool(closed) and bool(inner.strip())


@primitive(
    "(completion: text) -> number[0, 1e9]",
    cost="scan",
    source="fenced code blocks of CommonMark",
    whole=True,
)
def code_blocks(completion: Texts) -> Floats:
    r"""The number of closed code blocks: a line of three backticks or tildes up to a bare one.

    Of a text the first 8,192 such lines count.

    >>> code_blocks(["```python\nx = 1\n```\n", "```\nnever closed", ""]).tolist()
    [1.0, 0.0, 0.0]
    """
    (completion,) = per_row(completion)
    return floats((sum(b.closed for b in _blocks(text)) for text in completion), len(completion))


def language_name(value: str) -> str | None:
    """What is wrong with the name of a language, or None.

    >>> language_name("python"), language_name("```python")
    (None, 'write the name that stands after the fence, such as "python"')
    """
    if _LANGUAGE().fullmatch(value):
        return None
    return 'write the name that stands after the fence, such as "python"'


@primitive("(completion: text) -> text", cost="scan", source="fenced code blocks of CommonMark")
def last_code(completion: Texts) -> list[str]:
    r"""The text of the last code block that holds something; empty when there is none.

    A block starts at a line of three or more backticks or tildes and ends at one of at least as
    many; one that is never closed, as in a completion that was cut off, goes to the end.

    >>> last_code(["```python\nx = 1\n```\nSo it is.", "~~~\nx = 2", "x = 1"])
    ['x = 1\n', 'x = 2', '']
    """
    (completion,) = per_row(completion)
    return [_last(text, _blocks(text)) for text in completion]


@primitive(
    "(completion: text, language: text) -> text",
    cost="scan",
    source="fenced code blocks of CommonMark",
    literals={"language": language_name},
)
def last_code_in(completion: Texts, language: str) -> list[str]:
    r"""The text of the last code block in a language: an output shown after the code is none.

    The language is the word after the fence, whatever its case (`py` and `python3` are `python`).
    Where no block names it, the last block that names none counts.

    >>> last_code_in(["```python\nprint(1)\n```\nIt prints\n```text\n1\n```", "```\nx\n```"],
    ...              "python")
    ['print(1)\n', 'x\n']
    """
    (completion,) = per_row(completion)
    wanted = _language(language)
    found = []
    for text in completion:
        blocks = _blocks(text)
        named = [b for b in blocks if _language(b.info) == wanted]
        found.append(_last(text, named or [b for b in blocks if not b.info]))
    return found


def _language(info: str) -> str:
    name = info.partition(" ")[0].strip("{}.,:").lower()
    return _SAME_LANGUAGE.get(name, name)


class _Block(NamedTuple):
    """A code block: where its content starts and ends, what its fence says, whether it ends."""

    start: int
    end: int
    info: str
    closed: bool


def _last(text: str, blocks: Sequence[_Block]) -> str:
    whole = (text[b.start : b.end] for b in reversed(blocks))
    return next((code for code in whole if code.strip()), "")


MOST_FENCES = 8192
"""Lines that look like fences of which code blocks are made; what follows the last is its block."""


def _blocks(text: str) -> list[_Block]:
    found: list[_Block] = []
    if "```" not in text and "~~~" not in text:
        return found
    start, mark, info = -1, "", ""
    for fence in islice(_FENCE().finditer(text), MOST_FENCES):
        if start < 0:
            start, mark, info = min(fence.end() + 1, len(text)), fence[1], fence[2].strip()
        elif fence[1].startswith(mark) and not fence[2].strip():
            found.append(_Block(start, max(start, fence.start()), info, closed=True))
            start = -1
    if start >= 0:
        found.append(_Block(start, len(text), info, closed=False))
    return found


@primitive("(text: text) -> bool", cost="parse", source="RFC 8259", good=True)
def valid_json(text: Texts) -> Bools:
    """Whether the whole text is one JSON value; NaN and Infinity are none.

    Texts of more than 65,536 characters are not read and count as invalid, as in `json_text`.
    Values nested deeper than Python's parser goes (about a thousand levels) count as invalid.

    >>> valid_json(['{"answer": [1, 2]}', "{'answer': 1}", "NaN"]).tolist()
    [True, False, False]
    """
    (text,) = per_row(text)
    return bools(map(_is_json, text), len(text))


def _refuse(constant: str) -> Any:
    raise ValueError(constant)


def _integer(digits: str) -> int | float:
    """Long integers as floats: reading one as an integer takes quadratic time."""
    return int(digits) if len(digits) < _LONGEST_INTEGER else float(digits)


def read_json(text: str) -> tuple[bool, Any]:
    """Whether a text is one JSON value, and the value; what is too long to be read is none."""
    if len(text) > LONGEST_READ:
        return False, None
    try:
        return True, json.loads(text, parse_int=_integer, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return False, None


def _is_json(text: str) -> bool:
    return read_json(text)[0]
