"""The functions of the language: signature, meaning and how each becomes operations."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from derl_grammar.nodes import Place

from derl_dsl.ir import Graph

Lower = Callable[[Graph, list[int], Place], int]


@dataclass(frozen=True, slots=True)
class Function:
    """A function over numbers; a variadic one takes further arguments after `params`."""

    name: str
    params: tuple[str, ...]
    doc: str
    example: str
    lower: Lower
    variadic: bool = False

    @property
    def signature(self) -> str:
        """The call as it is written."""
        return f"{self.name}({', '.join(self.params)}{', …' if self.variadic else ''})"


FUNCTIONS: dict[str, Function] = {}


def _define(
    name: str, params: str, doc: str, example: str, lower: Lower, variadic: bool = False
) -> None:
    FUNCTIONS[name] = Function(name, tuple(params.split()), doc, example, lower, variadic)


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


_define("min", "x y", "The smallest of its arguments.", "min(g1, g2)", _fold("min"), variadic=True)
_define("max", "x y", "The largest of its arguments.", "max(g1, g2)", _fold("max"), variadic=True)
_define("abs", "x", "x without its sign.", "abs(g1 - g2)", _op("abs"))
_define(
    "clip", "x lo hi", "x held between lo and hi: min(max(x, lo), hi).", "clip(g1, 0, 1)", _clip
)
_define("exp", "x", "e to the power x.", "exp(-g1)", _op("exp"))
_define("log", "x", "The natural logarithm; x must be above 0.", "log(1 + g1)", _op("log"))
_define("sqrt", "x", "The square root; x must be 0 or more.", "sqrt(g1)", _op("sqrt"))
_define("tanh", "x", "The hyperbolic tangent, between -1 and 1.", "tanh(g1)", _op("tanh"))
_define("sigmoid", "x", "1 / (1 + exp(-x)), between 0 and 1.", "sigmoid(g1)", _op("sigmoid"))
_define("cos", "x", "The cosine of x in radians.", "cos(g1)", _op("cos"))
_define("floor", "x", "The largest whole number not above x.", "floor(2 * g1)", _op("floor"))
_define("round", "x", "The nearest whole number, halves to even.", "round(2 * g1)", _op("round"))
_define("sign", "x", "-1, 0 or 1.", "sign(g1 - g2)", _op("sign"))
_define(
    "ramp",
    "x lo hi",
    "0 up to lo, 1 from hi on, linear between: clip((x - lo) / (hi - lo), 0, 1).",
    "ramp(g1, 0.2, 0.8)",
    _ramp,
)
_define(
    "guard",
    "x default",
    "x where it is finite, else default; the way to end a quotient that may divide by zero.",
    "guard(g1 / (g1 - g2), 0)",
    _op("guard"),
)
