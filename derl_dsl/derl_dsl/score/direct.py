"""The straight way to a score: columns of numbers, as arrays, of which nothing is wrong.

Most calls have no faults to tell, and their columns are arrays already. Then everything but the
rewards is known before: which columns are read and of what types, the code, its blocks and its
records (`backends/prepared.py`). What is not plain (a list, a text, a value outside its type, a
reward that is no number) goes the general way from the start, which says what is wrong and where.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from derl_dsl.backends.kernel import Array
from derl_dsl.backends.pack import Key, key_of
from derl_dsl.backends.prepared import Prepared
from derl_dsl.graph.needs import Needs
from derl_dsl.score.kernels import Kernels
from derl_grammar.types import Bool, Number, Type
from derl_runtime.sources import is_optional, plain

_FLOAT = np.dtype(np.float64)
# Shapes of batches that are kept ready; a trainer has one or two.
_SHAPES = 8


class Direct:
    """A reward on columns of numbers. Threads may share it."""

    def __init__(self, needs: Needs, kernels: Kernels) -> None:
        graph = needs.graph
        self.needs, self._kernels = needs, kernels
        sources = [graph.source(i) for i in needs.inputs]
        self._names = [s.name or "" for s in sources]
        self._labels = [str(s) for s in sources]
        nodes = [graph.nodes[i] for i in needs.inputs]
        self._kinds: list[Type] = [
            Bool() if node.op == "valid" else plain(s)
            for node, s in zip(nodes, sources, strict=True)
        ]
        self._keys: list[Key] = [key_of(graph.nodes[i]) for i in needs.inputs]
        self._order = [*graph.outputs, *(f"?{name}" for name in graph.valids)]
        # The row of the output whose values are to be finite; where some do not apply they are
        # looked at here.
        self._looked_at = None if "reward" in graph.valids else self._order.index("reward")
        self.possible = (
            kernels.dtype == "float64"
            and kernels.coded
            and bool(sources)
            and graph.steps is None
            and all(isinstance(kind, Number | Bool) for kind in self._kinds)
        )
        self._plain = self.possible and all(
            name and node.op == "input" and not is_optional(source)
            for name, node, source in zip(self._names, nodes, sources, strict=True)
        )
        self._ready: dict[tuple[int, int | None], list[Prepared]] = {}

    def columns(self, given: Mapping[str, Any], size: int | None) -> list[Array] | None:
        """The columns that the reward reads; None where they are not plain."""
        if not self._plain or not isinstance(given, dict):
            return None
        found: list[Array] = []
        for name in self._names:
            column = given.get(name)
            if type(column) is not np.ndarray or column.ndim != 1:
                return None
            if column.dtype is not _FLOAT and column.dtype.kind not in "biuf":
                return None
            found.append(column)
        rows = len(found[0])
        if not rows or (size is not None and (size < 1 or rows % size)):
            return None
        for column in given.values():
            try:
                if len(column) != rows:
                    return None
            except TypeError:  # one number for all rows
                if getattr(column, "ndim", 0):
                    return None
        return found

    def outputs(self, columns: Sequence[Any], size: int | None) -> dict[str, Array] | None:
        """All outputs by name, NaN where not applicable; None where there may be a fault to tell.

        `columns` are the inputs as the graph needs them.
        """
        if not self.possible:
            return None
        rows = len(columns[0])
        if not rows or self._kernels.first(rows * len(columns)):
            return None
        code, shape = self._kernels.code(rows), (rows, size)
        ready = self._ready.get(shape)
        if ready is None:
            if len(self._ready) >= _SHAPES:
                self._ready.clear()
            ready = self._ready.setdefault(shape, [])
        try:
            prepared = ready.pop()  # one that no other thread has
        except IndexError:
            prepared = None
        if prepared is None or prepared.code is not code:
            prepared = Prepared(code, self._keys, self._kinds, rows, size, self._looked_at)
        out = prepared(columns)
        ready.append(prepared)
        if out is None:
            return None
        found = dict(zip(self._order, out, strict=True))
        for name in self.needs.graph.valids:
            applies = found.pop(f"?{name}")
            found[name][applies == 0] = np.nan
            if name == "reward" and not np.isfinite(found[name][applies != 0]).all():
                return None
        return found

    def inputs(self, columns: Sequence[Array]) -> dict[str, Array]:
        """The columns by what the program calls them."""
        pairs = zip(self._labels, columns, strict=True)
        return {k: v if v.dtype is _FLOAT else v.astype(_FLOAT) for k, v in pairs}
