"""Properties on random inputs: every input of the reward drawn from its declared range.

Drawn are the numbers and conditions that the reward reads, columns and primitives alike: a
property over `exact(completion, answer)` needs no texts. Inputs are independent of one another,
as in the checker's proofs.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from derl_dsl.backends import reference
from derl_dsl.backends.kernel import Array, Bound, Ragged
from derl_dsl.elaborate.expressions import Elaborator
from derl_dsl.elaborate.values import Value
from derl_dsl.graph.ir import Graph
from derl_dsl.graph.leaves import domain, source_range
from derl_dsl.prove.checked import Checked
from derl_dsl.tools.testing.cases import Property, TestFileError
from derl_dsl.tools.testing.results import Failure, Result
from derl_grammar.diagnostics import Report
from derl_grammar.limits import WIDE
from derl_grammar.parser import parse
from derl_grammar.spans import Source

_LONGEST = 8
_WIDE = 1000.0
# What rounding may take from a reward that in exact arithmetic does not fall.
_ROUNDING = 1e-9


def check_property(wanted: Property, checked: Checked, path: str) -> Result:
    """Whether a property holds on random inputs; the first row where it does not is shown.

    Raises TestFileError when its text is no condition or no input.
    """
    property_ = _Property(wanted, checked, path)
    failure = property_.holds() if wanted.holds is not None else property_.rises()
    return Result("property", wanted.name, wanted.line, (failure,) if failure else ())


class _Property:
    """A reward's graph with a property's expression added."""

    def __init__(self, wanted: Property, checked: Checked, path: str) -> None:
        self.wanted = wanted
        self.path = path
        self.graph = Graph()
        report = Report(checked.source)
        self.elaborator = Elaborator(checked.scope, report, self.graph)
        assert checked.program is not None
        self.elaborator.program(checked.program)
        reward = self.elaborator.values[id(checked.program.reward)]
        self.elaborator.parts["reward"] = reward
        self.graph.outputs = {"reward": self.graph.outputs["reward"]}
        valid = self.graph.valids.get("reward")
        self.graph.valids = {} if valid is None else {"reward": valid}
        self.rng = np.random.default_rng(wanted.seed)
        groups = max(1, round(wanted.rows / wanted.group))
        self.rows = groups * wanted.group

    def fail(self, message: str) -> TestFileError:
        return TestFileError(self.path, self.wanted.line, message)

    def expression(self, text: str, key: str) -> Value:
        """The value of the property's text over the names of the reward, its parts and `reward`."""
        report = Report(Source(text, key))
        program = parse(text, report, WIDE)
        value = None
        if program is not None and not program.parts:
            self.elaborator.report = self.elaborator.calls.report = report
            value = self.elaborator.expression(program.reward)
        if report.failed or value is None:
            told = report.found[0].message if report.found else "write one expression"
            raise self.fail(f"{key} = {text!r}: {told}")
        return value

    def holds(self) -> Failure | None:
        """The first row where the condition is false; rows to which it does not apply count not."""
        text = self.wanted.holds or ""
        value = self.expression(text, "holds")
        if value.kind != "bool" or value.node is None or value.many:
            raise self.fail(f"holds = {text!r}: write a condition, such as 0 <= reward")
        self.graph.outputs["holds"] = value.node
        if value.valid is not None:
            self.graph.valids["holds"] = value.valid
        inputs = self.draw()
        found = reference.emit(self.graph)(self.bound(inputs))
        broken = found["holds"] == 0
        if "?holds" in found:
            broken &= found["?holds"] != 0
        return self.failure(broken, inputs, found["reward"], "it does not hold")

    def rises(self) -> Failure | None:
        """The first group where raising the input of one rollout lowers its reward."""
        text = self.wanted.rises or ""
        value = self.expression(text, "rises")
        node = value.node
        if node is None or self.graph.nodes[node].op != "input" or value.many:
            raise self.fail(f"rises = {text!r}: name a column or a primitive of columns")
        self.graph.outputs["raised"] = node
        inputs = self.draw()
        first = np.arange(0, self.rows, self.wanted.group)
        low = np.array(inputs[node])
        high = low.copy()
        high[first] = self.one(node, len(first))
        low[first], high[first] = (np.minimum(low, high)[first], np.maximum(low, high)[first])
        kernel = reference.emit(self.graph)
        before = kernel(self.bound({**inputs, node: low}))
        after = kernel(self.bound({**inputs, node: high}))
        scale = np.maximum(1.0, np.abs(before["reward"]))
        fell = after["reward"] < before["reward"] - _ROUNDING * scale
        for found in (before, after):
            if "?reward" in found:
                fell &= found["?reward"] != 0
        fell &= np.isin(np.arange(self.rows), first)
        row = int(np.argmax(fell))
        told = (
            f"raising {text} from {low[row]:.6g} to {high[row]:.6g} lowers the reward from "
            f"{before['reward'][row]:.6g} to {after['reward'][row]:.6g}"
        )
        return self.failure(fell, inputs, after["reward"], told)

    # Random inputs

    def draw(self) -> dict[int, Any]:
        """A value for every input of every row; all lists of a row have one length."""
        lengths = self.rng.integers(0, _LONGEST + 1, self.rows)
        offsets = np.concatenate([[0], np.cumsum(lengths)])
        found: dict[int, Any] = {}
        for i in self.graph.inputs(self.graph.roots()):
            node = self.graph.nodes[i]
            values = self.one(i, int(offsets[-1]) if node.is_list else self.rows)
            found[i] = Ragged(values, offsets) if node.is_list else values
        return found

    def one(self, node: int, size: int) -> Array:
        """Values of one input: of its finite domain, or its ends, the program's constants, others.

        Of a wide range as many orders of magnitude as it has, as whole numbers: such are counts.
        """
        rng = self.rng
        kind = self.graph.nodes[node]
        if kind.op == "valid":
            return (rng.random(size) < 0.9).astype(np.float64)
        if kind.is_bool:
            return (rng.random(size) < 0.5).astype(np.float64)
        source = self.graph.source(node)
        finite = domain(source)
        if finite:
            return rng.choice(np.array(finite), size)
        low, high, _ = source_range(self.graph, node)
        values = _spread(low, high, size, rng)
        constants = [n.payload for n in self.graph.nodes if isinstance(n.payload, float)]
        special = [v for v in (low, high, *constants) if low <= v <= high and abs(v) < 1e9]
        picked = rng.choice(special, size) if special else values
        mixed: Array = np.where(rng.random(size) < 0.3, picked, values)
        return mixed

    def bound(self, inputs: dict[int, Any]) -> Bound:
        starts = np.arange(0, self.rows + 1, self.wanted.group)
        return Bound(inputs, self.rows, starts, np.ones(self.rows, dtype=bool))

    def failure(
        self, broken: NDArray[np.bool_], inputs: dict[int, Any], reward: Array, told: str
    ) -> Failure | None:
        if not broken.any():
            return None
        row = int(np.argmax(broken))
        count = int(broken.sum())
        names = {
            str(self.graph.source(i)): _at(values, row)
            for i, values in inputs.items()
            if self.graph.nodes[i].op == "input"
        }
        shown = ", ".join(f"{name} = {value}" for name, value in names.items())
        message = f"{told} in {count} of {self.rows} random rows; one: {shown}"
        return Failure(message, "reward", None, None, f"{reward[row]:.12g}")


def _spread(low: float, high: float, size: int, rng: np.random.Generator) -> Array:
    if high - low <= _WIDE:
        return rng.uniform(low, high, size)
    top = min(max(abs(low), abs(high)), 1e6)
    sizes = np.rint(np.exp(rng.uniform(0, math.log1p(top), size)) - 1)
    signs = rng.choice([1.0, -1.0], size) if low < 0 < high else (1.0 if high > 0 else -1.0)
    held: Array = np.clip(sizes * signs, low, high)
    return held


def _at(values: Any, row: int) -> str:
    if isinstance(values, Ragged):
        start, end = values.offsets[row : row + 2]
        return "[" + ", ".join(f"{v:.6g}" for v in values.values[start:end]) + "]"
    return f"{values[row]:.6g}"
