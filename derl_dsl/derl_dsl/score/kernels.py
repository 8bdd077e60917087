"""The kernels of one reward: for all its outputs, or for the reward alone on columns it keeps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from derl_dsl.backends import BACKENDS, native, vm
from derl_dsl.backends.kernel import Array, Bound, Kernel, Ragged
from derl_dsl.backends.loops import loops
from derl_dsl.backends.pack import Key, key_of, pack
from derl_dsl.backends.vm import Code, Session
from derl_dsl.graph.ir import Graph
from derl_dsl.graph.needs import together
from derl_dsl.passes import feeds, lower

Mask = NDArray[np.bool_]
# Binding columns is for calling often: from so many rows on, compiling at once pays.
_COMPILED_ROWS = 16_384


class BoundReward:
    """A reward on columns that are kept: a call computes it again into the same array.

    `values` is (B,), NaN where not applicable. Not safe in threads.
    """

    __slots__ = ("_broken", "_kept", "_run", "values")

    def __init__(
        self,
        run: Callable[[], object],
        values: NDArray[Any],
        broken: Mask | None,
        kept: object = None,
    ) -> None:
        self._run, self.values, self._broken, self._kept = run, values, broken, kept

    def __call__(self) -> NDArray[Any]:
        """The rewards of the columns as they are now, (B,)."""
        self._run()
        if self._broken is not None:
            self.values[self._broken] = np.nan
        return self.values


class Kernels:
    """What a reward is computed with, made when first needed."""

    def __init__(self, graph: Graph, backend: str, dtype: str) -> None:
        self.graph, self.backend, self.dtype = graph, backend, dtype
        self._alone: dict[str, Kernels] = {}

    @cached_property
    def lowered(self) -> Graph:
        """The graph after all passes; as written in float32, for they fold constants in float64."""
        return lower(self.graph) if self.dtype == "float64" else self.graph.only(self.graph.outputs)

    def alone(self, name: str) -> Kernels:
        """The kernels of one output, as if the program had no other."""
        if list(self.graph.outputs) == [name]:
            return self
        if name not in self._alone:
            self._alone[name] = Kernels(self.graph.only([name]), self.backend, self.dtype)
        return self._alone[name]

    @cached_property
    def _feeds(self) -> dict[int, int]:
        return feeds(self.graph, self.lowered)

    @property
    def _as_written(self) -> bool:
        """Whether the kernel of all outputs is made of the graph as it is written.

        For the virtual machine the passes cost more than they save; the bits are the same. In
        float32 every kernel is: the passes fold constants in float64.
        """
        return self.backend in ("auto", "vm") or self.dtype == "float32"

    @cached_property
    def _whole(self) -> Kernel:
        graph = self.graph if self._as_written else self.lowered
        if self.backend == "numba":  # compiled once for both ways to a score
            return vm.kernel_of(graph, self.dtype, self._code)
        return BACKENDS[self.backend]()(graph, self.dtype)

    @property
    def coded(self) -> bool:
        """Whether all outputs have code of the virtual machine or of its compiled tier."""
        return self.interpretable

    def first(self, numbers: int) -> bool:
        """Whether a batch that reads so many numbers comes before the machine is loaded."""
        return self.backend == "auto" and self._whole.first(numbers)  # type: ignore[attr-defined]

    def code(self, rows: int) -> Code:
        """The code of all outputs for a batch of so many rows within their declared types."""
        return self._code(rows)

    @cached_property
    def _code(self) -> Callable[[int], Code]:
        if self.backend == "auto":
            return self._whole.tiers.code  # type: ignore[attr-defined,no-any-return]
        if self.backend == "vm":
            found = vm.coded(self.graph)
        elif self.backend == "numba":
            found = loops().coded(self.lowered, self.dtype)
        else:
            found = native.coded(self.lowered, self.dtype, within=True)
        return lambda rows: found

    def outputs(self, bound: Bound) -> dict[str, Array]:
        """All outputs for inputs by node of the graph as written."""
        if self._as_written:
            return self._whole(bound)
        inputs = {new: bound.inputs[old] for new, old in self._feeds.items()}
        return self._whole(replace(bound, inputs=inputs))

    @property
    def interpretable(self) -> bool:
        """Whether the virtual machine may compute the reward: its bits are this backend's."""
        return self.backend in ("auto", "vm", "native", "numba")

    @cached_property
    def needs(self) -> tuple[Key, ...]:
        """What the reward reads."""
        return tuple(key_of(self.graph.nodes[i]) for i in self.graph.inputs(self._written))

    @cached_property
    def together(self) -> tuple[tuple[Key, ...], ...]:
        """The lists of the reward that go together step by step."""
        nodes = self.graph.nodes
        return tuple(
            tuple(key_of(nodes[i]) for i in m) for m in together(self.graph, self._written)
        )

    @property
    def _written(self) -> list[int]:
        return self.graph.roots_of("reward")

    @cached_property
    def _root(self) -> tuple[int, int | None]:
        return self.lowered.outputs["reward"], self.lowered.valids.get("reward")

    @cached_property
    def program(self) -> Any:
        """The reward alone for the virtual machine, NaN where not applicable."""
        root, valid = self._root
        return pack(self.lowered, (root,), (valid,))

    @cached_property
    def _compiled(self) -> Code:
        root, valid = self._root
        if valid is not None:
            place = self.lowered.places[root]
            nan = self.lowered.const(float("nan"), place)
            root = self.lowered.add("select", (valid, root, nan), place)
        if self.backend == "numba":
            return loops().build(self.lowered, (root,), self.dtype)  # type: ignore[no-any-return]
        return native.build(self.lowered, (root,), self.dtype, within=True)

    def data(self, bound: Bound) -> dict[Key, Array | Ragged]:
        """The inputs by what names them in any graph."""
        return {key_of(self.graph.nodes[i]): value for i, value in bound.inputs.items()}

    def bind(self, bound: Bound, broken: Mask | None) -> BoundReward:
        """The reward on one batch, to be called often."""
        if not self.interpretable:
            values = np.empty(bound.rows)

            def again() -> None:
                found = self.outputs(bound)
                values[:] = found["reward"]
                if "?reward" in found:
                    values[found["?reward"] == 0] = np.nan

            return BoundReward(again, values, broken)
        session = Session(self.data(bound), bound.rows, bound.groups, bound.live, self.dtype)
        hot = self.backend != "vm" and (self.backend != "auto" or bound.rows >= _COMPILED_ROWS)
        run = vm.InParts(self._compiled if hot else vm.Code(self.program), session)
        return BoundReward(run.call, run.out[0], broken, run)
