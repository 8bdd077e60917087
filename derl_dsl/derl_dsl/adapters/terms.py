"""A reward as a weighted sum: the terms that trainers can take as functions of their own."""

from __future__ import annotations

from derl_dsl.graph.ir import Graph, Param
from derl_dsl.score.kernels import Kernels
from derl_dsl.score.reward import Reward
from derl_grammar.records import record

_MOST = 32
_LONGEST_NAME = 40


@record
class Term:
    """One term of a reward: `weight` times the value of a node of its graph."""

    name: str
    weight: float
    node: int


def terms_of(reward: Reward) -> tuple[tuple[Term, ...], float]:
    """The terms whose weighted sum is the reward, and the constant left over.

    A reward that is no sum is one term of weight 1. Terms are named like the parts they are, or by
    their text.

    >>> from derl_dsl import compile
    >>> columns = {"a": "number[0, 1]", "b": "bool"}
    >>> text = "fit = max(a, 0.5)\\nreward = (fit - 3*b)/2 + 1"
    >>> terms, constant = terms_of(compile(text, columns=columns))
    >>> [(t.name, t.weight) for t in terms], constant
    ([('fit', 0.5), ('b', -1.5)], 1.0)
    """
    graph = reward.graph
    root = graph.outputs["reward"]
    # A part is a term, whatever it is made of: its author gave it a name.
    named = {i for name, i in graph.outputs.items() if name not in reward.params}
    weights: dict[int, float] = {}
    constant = 0.0
    todo = [(root, 1.0)]
    while todo:
        at, weight = todo.pop()
        node = graph.nodes[at]
        known = [_constant(graph, a) for a in node.args]
        if at in named and at != root:
            weights[at] = weights.get(at, 0.0) + weight
        elif _constant(graph, at) is not None:
            constant += weight * (_constant(graph, at) or 0.0)
        elif node.op in ("add", "sub"):
            a, b = node.args
            todo += [(b, weight if node.op == "add" else -weight), (a, weight)]
        elif node.op == "neg":
            todo.append((node.args[0], -weight))
        elif node.op == "mul" and known[0] is not None:
            todo.append((node.args[1], weight * known[0]))
        elif node.op in ("mul", "div") and known[1] is not None and (node.op == "mul" or known[1]):
            todo.append(
                (node.args[0], weight * known[1] if node.op == "mul" else weight / known[1])
            )
        else:
            weights[at] = weights.get(at, 0.0) + weight
    if not weights or len(weights) > _MOST:
        weights, constant = {root: 1.0}, 0.0
    names = _names(reward, list(weights))
    return tuple(Term(names[at], weight, at) for at, weight in weights.items()), constant


def _constant(graph: Graph, at: int) -> float | None:
    payload = graph.nodes[at].payload
    if isinstance(payload, Param):
        return payload.value
    return payload if isinstance(payload, float) else None


def _names(reward: Reward, nodes: list[int]) -> dict[int, str]:
    graph = reward.graph
    parts = {at: name for name, at in graph.outputs.items() if name != "reward"}
    found: dict[int, str] = {}
    for at in nodes:
        # A condition that counts as a number is a node above the condition's own.
        inner = graph.nodes[at].args[0] if graph.nodes[at].op == "num" else at
        name = parts.get(at) or parts.get(inner)
        if name is None and at == graph.outputs["reward"]:
            name = "reward"
        elif name is None and graph.nodes[inner].op == "input":
            name = str(graph.source(inner))
        elif name is None:
            place = graph.places[at]
            name = " ".join(reward.text[place[0] : place[1]].split())
        name = name if len(name) <= _LONGEST_NAME else name[: _LONGEST_NAME - 1] + "…"
        found[at] = f"{name} #{at}" if name in found.values() else name
    return found


def with_terms(reward: Reward, terms: tuple[Term, ...]) -> Reward:
    """The same reward whose parts are the terms, called `~0`, `~1`, … in order."""
    own = reward.with_groups(reward.groups)
    own.graph = _with_outputs(own.graph, {f"~{k}": t.node for k, t in enumerate(terms)})
    own.kernels = Kernels(own.graph, own.kernels.backend, own.kernels.dtype)
    own.faults = reward.faults
    return own


def _with_outputs(graph: Graph, more: dict[str, int]) -> Graph:
    valids = {"reward": graph.valids["reward"]} if "reward" in graph.valids else {}
    outputs = {"reward": graph.outputs["reward"], **more}
    return Graph(graph.nodes, graph.places, outputs, valids)
