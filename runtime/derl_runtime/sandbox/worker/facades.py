"""The builtins and modules that restricted source has: functions by name, never a module itself."""

from __future__ import annotations

import builtins
import collections
import heapq  # noqa: F401 - Counter.most_common imports it when it is called
import json
import math
import re
import string
from types import SimpleNamespace
from typing import Any

from .guards import Guards
from .words import words

_BUILTINS = words(
    "abs all any bool chr dict divmod enumerate filter float frozenset int len list map max min "
    "ord pow range reversed round set sorted sum tuple zip "
    "ArithmeticError AttributeError Exception IndexError KeyError LookupError OverflowError "
    "RecursionError RuntimeError StopIteration TypeError ValueError ZeroDivisionError"
)
_MATH = words(
    "acos asin atan atan2 ceil comb copysign cos cosh degrees dist e erf exp expm1 fabs factorial "
    "floor fmod fsum gcd hypot inf isclose isfinite isinf isnan isqrt lcm log log10 log1p log2 nan "
    "perm pi pow prod radians sin sinh sqrt tan tanh tau trunc"
)
_RE = words("compile search match fullmatch findall finditer sub subn split escape")
_FLAGS = words("I IGNORECASE M MULTILINE S DOTALL X VERBOSE A ASCII")
_STRING = words(
    "ascii_letters ascii_lowercase ascii_uppercase digits hexdigits octdigits punctuation "
    "printable whitespace"
)
NAMES = frozenset([*_BUILTINS, "str", "isinstance", "True", "False", "None"])


def modules(guards: list[Guards]) -> dict[str, SimpleNamespace]:
    """The modules a primitive may import; `guards` holds those of the run."""

    def loads(text: str) -> Any:
        return json.loads(text)

    def dumps(value: Any, *, sort_keys: bool = False) -> str:
        return json.dumps(guards[0].plain(value), sort_keys=bool(sort_keys))

    return {
        "math": SimpleNamespace(**{n: getattr(math, n) for n in _MATH}),
        "re": SimpleNamespace(
            **{n: getattr(re, n) for n in _RE},
            **{n: int(getattr(re, n)) for n in _FLAGS},  # an enum would bring its class along
            error=re.error,
        ),
        "string": SimpleNamespace(**{n: getattr(string, n) for n in _STRING}),
        "json": SimpleNamespace(loads=loads, dumps=dumps, JSONDecodeError=json.JSONDecodeError),
        "collections": SimpleNamespace(
            Counter=collections.Counter, defaultdict=collections.defaultdict
        ),
    }


def builtin_names(guards: Guards) -> dict[str, Any]:
    """The builtins of one run."""
    return {
        **{n: getattr(builtins, n) for n in _BUILTINS},
        "str": guards.text,
        "isinstance": guards.isinstance,
        "__import__": guards.importer,
    }
