"""The functions of the language: signature, meaning and how each becomes operations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from derl_dsl.graph.ir import Graph
from derl_grammar.nodes import Place
from derl_grammar.records import record

Lower = Callable[[Graph, list[int], Place], int]
Kind = Literal["elementwise", "reduction", "slice", "group", "special"]


@record
class Function:
    """A function of the language.

    `elementwise` functions take numbers, or lists step by step; a `reduction` takes one list, a
    `slice` a list and literals; a `group` function one number per rollout; `special` ones are
    handled where calls are elaborated. A variadic one takes further arguments after `params`.
    """

    name: str
    params: tuple[str, ...]
    doc: str
    example: str
    kind: Kind
    lower: Lower | None = None
    variadic: bool = False
    keywords: tuple[str, ...] = ()

    @property
    def signature(self) -> str:
        """The call as it is written."""
        more = ["…"] if self.variadic else [f"{k}=…" for k in self.keywords]
        return f"{self.name}({', '.join([*self.params, *more])})"


FUNCTIONS: dict[str, Function] = {}


def _define(function: Function) -> None:
    FUNCTIONS[function.name] = function


def _elementwise(
    name: str, params: str, doc: str, example: str, lower: Lower, variadic: bool = False
) -> None:
    _define(Function(name, tuple(params.split()), doc, example, "elementwise", lower, variadic))


def _op(op: str) -> Lower:
    return lambda graph, args, place: graph.add(op, tuple(args), place)


def _fold(op: str) -> Lower:
    def lower(graph: Graph, args: list[int], place: Place) -> int:
        result = args[0]
        for arg in args[1:]:
            result = graph.add(op, (result, arg), place)
        return result

    return lower


def _clip(graph: Graph, args: list[int], place: Place) -> int:
    x, lo, hi = args
    return graph.add("min", (graph.add("max", (x, lo), place), hi), place)


def _ramp(graph: Graph, args: list[int], place: Place) -> int:
    x, lo, hi = args
    above = graph.add("sub", (x, lo), place)
    width = graph.add("sub", (hi, lo), place)
    share = graph.add("div", (above, width), place)
    return _clip(graph, [share, graph.const(0.0, place), graph.const(1.0, place)], place)


_elementwise(
    "min",
    "x y",
    "The smallest of its arguments; of one list, its smallest value.",
    "min(g1, g2)",
    _fold("min"),
    variadic=True,
)
_elementwise(
    "max",
    "x y",
    "The largest of its arguments; of one list, its largest value.",
    "max(g1, g2)",
    _fold("max"),
    variadic=True,
)
_elementwise("abs", "x", "x without its sign.", "abs(g1 - g2)", _op("abs"))
_elementwise(
    "clip", "x lo hi", "x held between lo and hi: min(max(x, lo), hi).", "clip(g1, 0, 1)", _clip
)
_elementwise("exp", "x", "e to the power x.", "exp(-g1)", _op("exp"))
_elementwise("log", "x", "The natural logarithm; x must be above 0.", "log(1 + g1)", _op("log"))
_elementwise("sqrt", "x", "The square root; x must be 0 or more.", "sqrt(g1)", _op("sqrt"))
_elementwise("tanh", "x", "The hyperbolic tangent, between -1 and 1.", "tanh(g1)", _op("tanh"))
_elementwise("sigmoid", "x", "1 / (1 + exp(-x)), between 0 and 1.", "sigmoid(g1)", _op("sigmoid"))
_elementwise("cos", "x", "The cosine of x in radians.", "cos(g1)", _op("cos"))
_elementwise("floor", "x", "The largest whole number not above x.", "floor(2 * g1)", _op("floor"))
_elementwise(
    "round", "x", "The nearest whole number, halves to even.", "round(2 * g1)", _op("round")
)
_elementwise("sign", "x", "-1, 0 or 1.", "sign(g1 - g2)", _op("sign"))
_elementwise(
    "ramp",
    "x lo hi",
    "0 up to lo, 1 from hi on, linear between: clip((x - lo) / (hi - lo), 0, 1).",
    "ramp(g1, 0.2, 0.8)",
    _ramp,
)
_elementwise(
    "guard",
    "x default",
    "x where it is finite, else default; the way to end a quotient that may divide by zero.",
    "guard(g1 / (g1 - g2), 0)",
    _op("guard"),
)

for _name, _doc in {
    "count": "The number of steps of a list.",
    "sum": "The sum of a list's values; 0 of an empty list.",
    "mean": "The mean of a list's values; 0 of an empty list.",
    "first": "The first value of a list; 0 of an empty list.",
    "last": "The last value of a list; 0 of an empty list.",
    "any": "Whether a condition holds at any step; false of an empty list.",
    "all": "Whether a condition holds at every step; true of an empty list.",
}.items():
    _define(Function(_name, ("xs",), _doc, f"{_name}(step_scores)", "reduction"))

_define(
    Function(
        "third",
        ("xs", "k"),
        "The k-th third of a list, k = 1, 2 or 3: steps[(k-1)*n // 3 : k*n // 3].",
        "mean(third(step_scores, 1))",
        "slice",
    )
)
_define(
    Function(
        "part",
        ("xs", "start", "end"),
        "The steps from share start to share end: steps[floor(n*start) : floor(n*end)].",
        "mean(part(step_scores, 0.2, 0.6))",
        "slice",
    )
)

for _name, _params, _doc in (
    ("group_mean", ("x",), "The mean of x over the group."),
    ("group_std", ("x",), "The standard deviation of x over the group (divisor n)."),
    ("group_min", ("x",), "The smallest x of the group."),
    ("group_max", ("x",), "The largest x of the group."),
    (
        "group_rank",
        ("x",),
        "The share of the group's other rollouts with a smaller x, ties counted half; "
        "0.5 without others.",
    ),
    ("group_quantile", ("x", "q"), "The q-quantile of x over the group, linear between values."),
    ("group_size", (), "The number of rollouts of the group."),
):
    _example = f"{_name}({', '.join(('words(completion)', '0.9')[: len(_params)])})"
    _define(Function(_name, _params, _doc, _example, "group", keywords=("where",)))

_define(
    Function(
        "default",
        ("x", "value"),
        "x where it is applicable, else value: ends an optional.",
        "default(group_mean(words(completion), where=exact(completion, answer)), 0)",
        "special",
    )
)
_define(
    Function(
        "param",
        ("value",),
        "A tunable number with its range; a part that is a param bears its name.",
        "param(0.1, min=0, max=0.5)",
        "special",
        keywords=("min", "max"),
    )
)
