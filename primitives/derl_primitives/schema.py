"""`fits_schema`: JSON held to a schema that the program writes out."""

from __future__ import annotations

import json
import math
import threading
import time
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from derl_primitives.arrays import bools, per_row
from derl_primitives.extras import JSON, MissingExtra
from derl_primitives.layout import read_json
from derl_primitives.partial import with_failures
from derl_primitives.primitive import primitive

if TYPE_CHECKING:
    from derl_primitives.arrays import Bools
    from derl_primitives.partial import Partial

# No patterns (Python's `re` backtracks), no references (they may recur), nothing quadratic.
_BELOW = frozenset({"properties"})
_LISTS = frozenset({"anyOf", "allOf", "oneOf", "prefixItems"})
_SCHEMAS = frozenset({"items", "additionalProperties", "not"})
_PLAIN = frozenset({
    "type", "required", "enum", "const", "minimum", "maximum", "exclusiveMinimum",
    "exclusiveMaximum", "minLength", "maxLength", "minItems", "maxItems", "minProperties",
    "maxProperties", "title", "description",
})  # fmt: skip


# Seconds of the processor for a batch, and on top for each row of it.
_BATCH, _ROW = 10.0, 0.01
_DEEPEST = 32
_DEEP = f"the schema is nested more than {_DEEPEST} deep"


def _depth(value: Any) -> int:
    """How deep lists and objects lie in each other, counted without recursion."""
    level, depth = [value], 0
    while level := [v for v in level if isinstance(v, list | dict)]:
        depth += 1
        level = [x for v in level for x in (v.values() if isinstance(v, dict) else v)]
    return depth


def schema_problem(text: str) -> str | None:
    """What is wrong with a schema, or None.

    >>> schema_problem('{"type": "object", "required": ["answer"]}')
    >>> schema_problem('{"pattern": "(a+)+"}')
    'a schema may not use "pattern" here'
    """
    try:
        schema = json.loads(text)
    except ValueError as error:
        return f"the schema is no JSON: {error}"
    except RecursionError:
        return _DEEP
    if not isinstance(schema, dict):
        return 'write a schema as an object, such as {"type": "object"}'
    if _depth(schema) > _DEEPEST:
        return _DEEP
    problem = _keywords(schema)
    if problem is not None:
        return problem
    try:
        JSON.require("fits_schema")
    except MissingExtra as error:
        return str(error)
    from jsonschema import Draft202012Validator, SchemaError

    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        return f"not a schema: {error.message}"
    return None


def _keywords(schema: Any) -> str | None:
    """The first keyword that is not known to be cheap on any text."""
    if not isinstance(schema, dict):
        return None
    for keyword, value in schema.items():
        below: list[Any] = []
        if keyword in _BELOW:
            below = list(value.values()) if isinstance(value, dict) else []
        elif keyword in _LISTS:
            below = value if isinstance(value, list) else []
        elif keyword in _SCHEMAS:
            below = [value]
        elif keyword not in _PLAIN:
            return f'a schema may not use "{keyword}" here'
        problem = next(filter(None, map(_keywords, below)), None)
        if problem is not None:
            return problem
    return None


class _Late(Exception):
    """The batch has no time left for the text at hand."""


class _Until(threading.local):
    """When the batch of this thread ends, in seconds of the processor."""

    end = math.inf


_UNTIL = _Until()


@lru_cache(maxsize=1)
def _timed() -> Any:
    """The class of validators that look at the clock at each keyword: one text may take seconds."""
    from jsonschema import Draft202012Validator, validators

    def timed(check: Callable[..., Any]) -> Callable[..., Any]:
        def checked(*given: Any) -> Any:
            if time.thread_time() > _UNTIL.end:
                raise _Late
            return check(*given)

        return checked

    known = Draft202012Validator.VALIDATORS
    return validators.extend(Draft202012Validator, {k: timed(known[k]) for k in known})


@lru_cache(maxsize=64)
def _validator(schema: str) -> Callable[[Any], bool]:
    is_valid: Callable[[Any], bool] = _timed()(json.loads(schema)).is_valid
    return is_valid


@primitive(
    "(text: text, schema: text) -> bool",
    cost="parse",
    source="JSON Schema, draft 2020-12, through jsonschema; needs the extra `json`",
    literals={"schema": schema_problem},
    good=True,
)
def fits_schema(text: Sequence[str] | str, schema: str) -> Bools | Partial:
    r"""Whether the whole text is one JSON value that fits the schema.

    The schema is written out as JSON text. It may use types, properties, required, items,
    prefixItems, enum, const, bounds of numbers, lengths, lists and objects, and anyOf, allOf,
    oneOf, not; no patterns and no references, which take more than linear time. A text of more than
    65,536 characters is not read and fits none. A batch has 10 s of the processor and 10 ms a row,
    short texts first; those left then do not fit, and the fault is reported.

    >>> fits_schema(['{"answer": 4}', '{"answer": "4"}', "4"],
    ...             '{"required": ["answer"], "properties": {"answer": {"type": "number"}}}'
    ...             ).tolist()
    [True, False, True]
    """
    JSON.require("fits_schema")
    (text,) = per_row(text)
    is_valid = _validator(schema)
    fits, late = [False] * len(text), {}
    end = _UNTIL.end = time.thread_time() + _BATCH + _ROW * len(text)
    # Short texts first: what takes long costs what is left when the others are done.
    for row in sorted(range(len(text)), key=lambda k: len(text[k])):
        try:
            if time.thread_time() > end:
                raise _Late
            ok, value = read_json(text[row])
            fits[row] = ok and is_valid(value)
        except _Late:
            late[row] = ("timeout", f"no verdict: the batch has used {_BATCH:g} s")
    return with_failures(fits, {}, late) if late else bools(fits, len(text))
