"""What a primitive is: a typed, documented function over whole columns, and the suites of them."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import field, replace
from typing import Any, Literal

from derl_grammar.records import record
from derl_grammar.types import Type, parse_type
from derl_primitives.extras import Extra
from derl_primitives.measured import MEASURED, Measured

Cost = str
COSTS: tuple[Cost, ...] = ("constant", "scan", "parse", "process")


@record
class Parameter:
    """One argument of a primitive.

    `literal`, when set, means that the program must write the argument out; the function returns
    what is wrong with a value, or None. `either` says that a column may stand there as well.
    """

    name: str
    type: Type
    literal: Callable[[str], str | None] | None = field(default=None, compare=False)
    either: bool = field(default=False, compare=False)


Explains = Callable[..., list[tuple[str, str]]]
"""Says of one row how its value came about, as pairs of a label and words."""


@record
class Primitive:
    """An atomic score of a rollout, computed for a whole column at once.

    `fn` takes one sequence of B values per parameter (text: `list[str]`; numbers: float64 arrays;
    a literal argument arrives as the plain value) and returns B values of type `returns`.
    `cost` is `constant` (per text), `scan` (one pass), `parse` or `process` (a worker).
    `beside` maps columns that may be named to the column that is read in their place: a program
    writes `tokens(completion)`, and `fn` gets `completion_ids`, which trainers pass beside it.
    `sandboxed` says that `fn` runs programs and takes the sandbox to do so as a keyword argument.
    `default` is the value of rows that fail; None: they are not applicable.
    `fills` says that `fn` is also called for rows in which optional arguments are missing: as None.
    Lints ask whether a better rollout scores higher (`good`), whether all values are whole numbers
    (`whole`), and what a word of text adds to a measure of length (`per_word`; 0: it is none).
    A verdict carries its `measured` error, and `explains` says of one row how it came about.
    `circling` is what a primitive of steps comes to when the same steps are gone through again and
    end where they began: its values `cancels` (sum to 0), or each is 0, as it holds `once`.
    """

    name: str
    params: tuple[Parameter, ...]
    returns: Type
    doc: str
    cost: Cost
    source: str
    fn: Callable[..., Any] = field(compare=False, repr=False)
    beside: Mapping[str, Parameter] = field(default_factory=dict, compare=False)
    default: float | None = None
    sandboxed: bool = field(default=False, compare=False)
    fills: bool = field(default=False, compare=False)
    good: bool = field(default=False, compare=False)
    whole: bool = field(default=False, compare=False)
    per_word: float = field(default=0.0, compare=False)
    measured: Measured | None = field(default=None, compare=False)
    explains: Explains | None = field(default=None, compare=False, repr=False)
    circling: str = field(default="", compare=False)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Compute the scores of whole columns."""
        return self.fn(*args, **kwargs)

    @property
    def signature(self) -> str:
        """The declaration as text, such as `exact(completion: text, answer: text) -> bool`."""
        params = ", ".join(f"{p.name}: {p.type}" for p in self.params)
        return f"{self.name}({params}) -> {self.returns}"

    def reading(self, companion: Parameter) -> Primitive:
        """The primitive with its first parameter read from a companion column."""
        return replace(self, params=(companion, *self.params[1:]), beside={})


_SIGNATURE = re.compile(r"\s*\((?P<params>.*)\)\s*->\s*(?P<returns>.+)\s*", re.S)


def _parameters(text: str) -> tuple[Parameter, ...]:
    parts = re.findall(r"([A-Za-z_]\w*)\s*:\s*([^:]+?)\s*(?:,\s*(?=[A-Za-z_]\w*\s*:)|$)", text)
    return tuple(Parameter(name, parse_type(kind)) for name, kind in parts)


def primitive(
    signature: str,
    *,
    cost: Cost = "scan",
    source: str = "",
    literals: Mapping[str, Callable[[str], str | None]] | None = None,
    either: Mapping[str, Callable[[str], str | None]] | None = None,
    beside: Mapping[str, str] | None = None,
    good: bool = False,
    whole: bool = False,
    per_word: float = 0.0,
    circling: Literal["", "cancels", "once"] = "",
    explains: Explains | None = None,
) -> Callable[[Callable[..., Any]], Primitive]:
    """Declare a primitive: `@primitive("(completion: text) -> number[0, inf]")`.

    The name and the documentation are the function's own. `literals` names the parameters that a
    program must write out, with a function that says what is wrong with a value; `either` those
    that it may write out, or name a column for. `beside` maps a column that may be named first to
    the one read in its place: `{"completion": "completion_ids: list[number]"}`. `good`, `whole`
    `per_word` and `circling` are what proofs and lints should know of it, `explains` says of one
    row how its value came about. The measured error of a verdict stands in `measured`.
    Raises ValueError when the signature, the parameter names or the cost do not fit.
    """
    match = _SIGNATURE.fullmatch(signature)
    if match is None:
        raise ValueError(f"cannot read signature {signature!r}; write '(completion: text) -> bool'")
    checks, free = {**(literals or {}), **(either or {})}, either or {}
    params = tuple(
        replace(p, literal=checks.get(p.name), either=p.name in free)
        for p in _parameters(match["params"])
    )
    returns = parse_type(match["returns"])
    companions = {name: _parameters(text)[0] for name, text in (beside or {}).items()}
    if cost not in COSTS:
        raise ValueError(f"unknown cost {cost!r}; one of {', '.join(COSTS)}")

    def declare(fn: Callable[..., Any]) -> Primitive:
        taken = inspect.signature(fn).parameters.values()
        names = tuple(p.name for p in taken if p.kind is not p.KEYWORD_ONLY)
        if names != tuple(p.name for p in params):
            raise ValueError(
                f"{fn.__name__}: the function takes {names}, its signature {signature}"
            )
        doc = inspect.getdoc(fn) or ""
        return Primitive(
            fn.__name__, params, returns, doc, cost, source, fn, companions,
            good=good, whole=whole, per_word=per_word, circling=circling,
            sandboxed=len(names) < len(taken), explains=explains,
            measured=MEASURED.get(fn.__name__),
        )  # fmt: skip

    return declare


@record
class Binding:
    """A name of a suite that stands for a primitive applied to columns (`g1` of `derl-math`)."""

    primitive: Primitive
    columns: tuple[str, ...]


@record
class Suite:
    """What a program may name: columns with types, primitives to call, bound names, the outcome.

    `outcome` is source text of the expression that says a rollout was right; a program that does
    not use it and uses one of `outcomes` has that one. `extra` is the optional package without
    which the primitives do not run.
    """

    name: str
    doc: str
    columns: Mapping[str, Type]
    primitives: Mapping[str, Primitive]
    bindings: Mapping[str, Binding] = field(default_factory=dict)
    outcome: str | None = None
    extra: Extra | None = None
    outcomes: tuple[str, ...] = ()


def table(primitives: Sequence[Primitive]) -> dict[str, Primitive]:
    """The primitives by name."""
    return {p.name: p for p in primitives}
