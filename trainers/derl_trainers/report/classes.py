"""Structure classes: what kind of reward a formula is, from its certificate and its graph."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from derl_dsl.graph.ir import Graph, Node

INVERTED, VETO, CONDITIONAL, LINEAR, OTHER, UNKNOWN = (
    "inverted", "veto product", "conditional", "linear or normalised", "other", "unknown",
)  # fmt: skip
# In the order in which they are asked for: a formula has the first class that fits.
CLASSES = {
    INVERTED: "falls somewhere when the outcome rises",
    VETO: "an input at one of its values switches the outcome off",
    CONDITIONAL: "has a condition or a comparison",
    LINEAR: "a weighted sum of inputs, perhaps bounded, or over a constant or a group's spread",
    OTHER: "anything else: products and quotients of inputs, curves, extremes",
    UNKNOWN: "its names are not known any more, so that its graph cannot be built",
}
_CONDITIONS = frozenset({"select", "lt", "le", "eq", "ne", "and", "or", "not"})
_CARRIED = frozenset({"neg", "num", "guard", "group_mean", "third", "part", "list_sum",
                      "list_mean", "list_first", "list_last"})  # fmt: skip
_SPREAD = frozenset({"group_std", "group_min", "group_max"})
_BOUNDED = frozenset({"tanh", "sigmoid"})


def structure_class(graph: Graph | None, certificate: Mapping[str, Any]) -> str:
    """The class of a formula; `graph` is None when it does not compile any more.

    >>> import derl_dsl
    >>> def name(text):
    ...     reward = derl_dsl.compile(text, suite="derl-math")
    ...     return structure_class(reward.graph, reward.certificate.to_json())
    >>> name("(g1 + 0.5 * g3) / 2"), name("g1 * g2"), name("g2 - g1"), name("g1 / (1 + g2)")
    ('linear or normalised', 'veto product', 'inverted', 'other')
    """
    if certificate["outcome_monotone"] is False:
        return INVERTED
    if certificate["vetoes"]:
        return VETO
    if graph is None:
        return UNKNOWN
    kinds: dict[int, str] = {}
    used = graph.used([graph.outputs["reward"]])
    for i in used:
        node = graph.nodes[i]
        kinds[i] = _kind(node, [kinds[a] for a in node.args])
        # A group function without `where` has a constant condition.
        if node.op in _CONDITIONS and kinds[i] != "constant":
            return CONDITIONAL
    return LINEAR if kinds[graph.outputs["reward"]] in ("constant", "sum") else OTHER


def _kind(node: Node, args: list[str]) -> str:
    """constant, sum (of weighted inputs, maybe bounded), spread (of a group), or neither: free."""
    if node.op == "input":
        return "sum"
    if not args or all(kind == "constant" for kind in args):
        return "constant"
    if "free" in args:
        return "free"
    if node.op in _CARRIED or node.op in _BOUNDED:
        return args[0]
    if node.op in _SPREAD:
        return "spread"
    if node.op in ("add", "sub"):
        # A constant added to a spread keeps it from being 0.
        return "spread" if set(args) == {"spread", "constant"} else "sum"
    if node.op in ("mul", "min", "max") and "constant" in args:
        return next(kind for kind in args if kind != "constant")
    if node.op == "div" and args[0] == "sum" and args[1] in ("constant", "spread"):
        return "sum"
    return "free"
