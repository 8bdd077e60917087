"""Conversations: what trainers and logs hold as lists of messages, read as columns.

A message is a mapping or an object with a role and a content; a content is a text, None, or a list
of parts, as OpenAI's, Anthropic's and TRL's libraries write them. What a policy said is the text of
its last message that has any: a tool's text is nobody's answer, and is never paid.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

import numpy as np

from derl_grammar.records import record
from derl_runtime import arrow

# Where the messages lie, the first that is there.
SOURCES = ("completion", "messages")
_TOOLS = ("tool", "function")
_CUT = ("length", "max_tokens", "max_output_tokens", "model_length")
_GOLDS = (str, int, float, np.number)
_PLAIN_PARTS = ("text", "output_text", "input_text")
_THOUGHTS = ("thinking", "reasoning")


@record
class Message:
    """One message: who says it, its text, what was thought before, the tools it calls (as JSON
    with `arguments` and `name`), the tools' results it holds, and whether it was cut off."""

    role: str
    text: str
    reasoning: str
    calls: tuple[str, ...]
    results: tuple[str, ...]
    truncated: bool | None


def is_message(value: Any) -> bool:
    """Whether a value is a message: a mapping or an object with a role or a content."""
    if isinstance(value, Mapping):
        return "role" in value or "content" in value
    return hasattr(value, "role") and hasattr(value, "content")


def is_conversation(value: Any) -> bool:
    """Whether a value is a list of messages, or one message."""
    if isinstance(value, list | tuple | np.ndarray):
        return len(value) > 0 and all(map(is_message, value))
    return is_message(value)


def messages_of(value: Any) -> list[Message]:
    """The messages of a conversation; a plain text is what an assistant said."""
    if isinstance(value, str):
        return [Message("assistant", value, "", (), (), None)]
    return [_message(m) for m in (value if isinstance(value, Sequence | np.ndarray) else [value])]


def _get(value: Any, name: str) -> Any:
    return value.get(name) if isinstance(value, Mapping) else getattr(value, name, None)


def _message(value: Any) -> Message:
    role = str(_get(value, "role") or "assistant")
    text, thoughts, calls, results = _content(_get(value, "content"))
    for name in ("reasoning_content", "reasoning", "thinking"):
        told = _get(value, name)
        thoughts += [told] if isinstance(told, str) else []
    calls += [_call(c) for c in _items(_get(value, "tool_calls"))]
    legacy = _get(value, "function_call")
    calls += [] if legacy is None else [_call(legacy)]
    if role in _TOOLS:
        results = [text, *results]
    ended = _get(value, "finish_reason") or _get(value, "stop_reason")
    truncated = ended in _CUT if isinstance(ended, str) else None
    return Message(role, text, "".join(thoughts), tuple(calls), tuple(results), truncated)


def _items(value: Any) -> Sequence[Any]:
    return list(value) if isinstance(value, list | tuple | np.ndarray) else ()


def _content(content: Any) -> tuple[str, list[str], list[str], list[str]]:
    """The text of a content, its thoughts, its calls of tools, and results of tools."""
    texts: list[str] = []
    thoughts: list[str] = []
    calls: list[str] = []
    results: list[str] = []
    parts = content if isinstance(content, list | tuple | np.ndarray) else [content]
    for part in parts:
        kind = None if isinstance(part, str) or part is None else _get(part, "type")
        if isinstance(part, str):
            texts.append(part)
        elif kind in _THOUGHTS:
            thoughts.append(str(_get(part, "thinking") or _get(part, "text") or ""))
        elif kind == "tool_use":
            calls.append(_call(part))
        elif kind == "tool_result":
            inner = _get(part, "content")
            flat = [p for p in _items(inner) if _get(p, "type") != kind]  # results hold no results
            results.append(inner if isinstance(inner, str) else _content(flat)[0])
        elif kind in _PLAIN_PARTS or (part is not None and kind is None):
            texts.append(str(_get(part, "text") or ""))
    return "".join(texts), thoughts, calls, results


def _call(value: Any) -> str:
    """A call as JSON with its arguments and its name, in one form whoever wrote it."""
    inner = _get(value, "function") or value
    given: Any = next(
        (a for a in (_get(inner, name) for name in ("arguments", "input", "parameters"))
         if a is not None), {},
    )  # fmt: skip
    if isinstance(given, str):
        with suppress(ValueError, RecursionError):  # else it stays the text that the model wrote
            given = json.loads(given)
    return written({"arguments": given, "name": str(_get(inner, "name") or "")})


def written(value: Any) -> str:
    """A value as JSON without spaces, its names in order; what JSON has no place for as text."""
    try:
        return json.dumps(
            value, ensure_ascii=False, separators=(",", ":"), sort_keys=True, default=str
        )
    except (ValueError, RecursionError, TypeError):
        return str(type(value).__name__)


# Columns


def completion(messages: Sequence[Message]) -> str:
    """The last text that the assistant said; the empty one when it said nothing."""
    said = (m.text for m in reversed(messages) if m.role not in (*_TOOLS, "user", "system"))
    return next((text for text in said if text.strip()), "")


def _of_call(name: str) -> Callable[[Sequence[Message]], list[str]]:
    def column(messages: Sequence[Message]) -> list[str]:
        calls = [json.loads(call)[name] for m in messages for call in m.calls]
        return [c if isinstance(c, str) else written(c) for c in calls]

    return column


def _truncated(messages: Sequence[Message]) -> bool | None:
    told = [m.truncated for m in messages if m.truncated is not None]
    return told[-1] if told else None


# What a conversation gives, by the name of the column.
COLUMNS: dict[str, Callable[[Sequence[Message]], Any]] = {
    "completion": completion,
    "roles": lambda messages: [m.role for m in messages],
    "contents": lambda messages: [m.text for m in messages],
    "reasoning": lambda messages: "".join(m.reasoning for m in messages),
    "tool_calls": lambda messages: [call for m in messages for call in m.calls],
    "tool_names": _of_call("name"),
    "tool_arguments": _of_call("arguments"),
    "tool_results": lambda messages: [r for m in messages for r in m.results],
    "truncated": _truncated,
}


def column(name: str, columns: Mapping[str, Any], sources: Sequence[str] = ()) -> list[Any] | None:
    """A column that is not in the data, out of the conversations that are; None without any.

    `sources` are the columns that are known to hold conversations, if these rows do not say.
    """
    if name == "truncated" and "eos_token_id" in columns and "completion_ids" in columns:
        return _cut_off(columns["completion_ids"], columns["eos_token_id"])
    there = [s for s in SOURCES if s in columns and s != name]
    if name not in COLUMNS or not there:
        return None
    # A trainer that passes the completion as text may pass the messages beside it.
    known = (s for s in there if s in sources or any(map(is_conversation, _rows(columns[s]))))
    source = next(known, there[0])
    read = COLUMNS[name]
    rows = [None if v is None else read(messages_of(v)) for v in _rows(columns[source])]
    return None if name == "truncated" and all(r is None for r in rows) else rows


def filled(columns: Mapping[str, Any], names: Iterable[str]) -> Mapping[str, Any]:
    """The columns with those of `names` added that their conversations give."""
    missing = [n for n in names if n not in columns and n in COLUMNS]
    found = {name: column(name, columns) for name in missing}
    more = {name: values for name, values in found.items() if values is not None}
    return {**columns, **more} if more else columns


def told(
    columns: Mapping[str, Any], sources: Sequence[str], names: Iterable[str], text: bool
) -> dict[str, Any]:
    """The columns of a log with those of `names` that its conversations give; with `text` its
    completion becomes a text. `sources` are the columns that hold conversations in any row."""
    source = "completion" if "completion" in columns else sources[0]
    found = dict(columns)
    for name in names:
        given = column(name, columns, sources)
        found[name] = [None] * len(columns[source]) if given is None else given
    if text:
        found["completion"] = [
            None if v is None else text_of("completion", v) for v in columns[source]
        ]
    return found


def _rows(data: Any) -> Sequence[Any]:
    rows: Sequence[Any] = arrow.listed(data) if hasattr(data, "to_pylist") else list(data)
    return rows


def _cut_off(ids: Any, ends: Any) -> list[bool]:
    """Whether token ids lack an end token; `ends` is one id, several, or those of each row."""
    rows = _rows(ids)
    plain = ends.tolist() if hasattr(ends, "tolist") else ends
    by_row = plain if isinstance(plain, list | tuple) and len(plain) == len(rows) else None
    found = []
    for k, row in enumerate(rows):
        known = plain if by_row is None else by_row[k]
        known = known if isinstance(known, list | tuple) else [known]
        found.append(len(row) == 0 or int(row[-1]) not in known)
    return found


# Values of a column of texts


def text_of(name: str, value: Any) -> str | None:
    """A value of a column of texts as a text; None for what is none and cannot be read as one.

    Numbers are written out, one text in a list is that text, a conversation is what the assistant
    said last (in a column `prompt`: the last message), a content's parts are their text.
    """
    if isinstance(value, str):
        return value
    if isinstance(value, bool | np.bool_ | int | np.integer):
        return str(value)
    if isinstance(value, float | np.floating):
        number = float(value)
        whole = number.is_integer() and abs(number) < 1e15
        return str(int(number)) if whole else None if math.isnan(number) else repr(number)
    if isinstance(value, list | tuple | np.ndarray) and len(value) == 0:
        return "" if name in SOURCES else None
    if is_conversation(value):
        messages = messages_of(value)
        return messages[-1].text if name == "prompt" else completion(messages)
    if isinstance(value, list | tuple | np.ndarray):
        if all(isinstance(v, Mapping) and "type" in v for v in value):
            return _content(value)[0]
        return text_of(name, value[0]) if len(value) == 1 else None
    return None


def golds_of(name: str, data: Sequence[Any]) -> dict[int, list[str]]:
    """The rows that hold several texts or numbers, of which any is right, each as texts.

    A list in a column of what was said is a conversation, and none of those.
    """
    if name in (*SOURCES, "prompt") or all(type(v) is str for v in data):
        return {}
    found = {}
    for row, value in enumerate(data):
        if isinstance(value, list | tuple | np.ndarray) and len(value) > 1:
            texts = [text_of(name, v) if isinstance(v, _GOLDS) else None for v in value]
            if all(text is not None for text in texts):
                found[row] = [text for text in texts if text is not None]
    return found


def texts_of(name: str, value: Any) -> list[str] | None:
    """A value of a column of lists of texts; a single text or number is a list of one."""
    if isinstance(value, list | tuple | np.ndarray):
        found = [text_of(name, v) for v in value]
        return [v for v in found if v is not None] if None not in found else None
    single = text_of(name, value)
    return None if single is None else [single]
