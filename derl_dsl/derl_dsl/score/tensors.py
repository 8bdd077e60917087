"""A reward as a torch module: tensors in and out on any device, gradients, torch.compile."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from derl_dsl.backends import torch_segments as parts
from derl_dsl.backends.torch import Lowered, equal_sizes, lower
from derl_dsl.graph.ir import Graph, Param
from derl_dsl.graph.needs import Needs
from derl_dsl.score.binding import group_offsets, read_inputs
from derl_grammar.types import List
from derl_runtime.batch import Batch
from derl_runtime.faults import Fault, FaultLog
from derl_runtime.reading import ColumnError
from derl_runtime.sources import plain
from derl_runtime.values import Ragged

# A column: numbers or conditions (B,), or lists as (values, offsets) or (values, offsets, valid).
Columns = Mapping[str, Any]


class Compiled(Protocol):
    """What the module is made of; a `Reward` has it."""

    graph: Graph
    faults: FaultLog

    def count(self, faults: Sequence[Fault]) -> None:
        """Add the faults of a batch to those of the run."""


class TorchReward(nn.Module):
    """The reward as a module; `Reward.torch` makes it.

    `forward` takes tensors by input name, a column's or a primitive's as the program spells it
    (`exact(completion, answer)`): (B,) numbers or conditions, NaN where one is missing; lists as
    `(values, offsets)`, (N,) and (B + 1,), with a third (B,) of conditions where some rollouts have
    no list. Inputs are held to their declared types as in `Reward.score`: rows where one is not
    become NaN and leave their group. Differentiable in the inputs and in the program's parameters,
    which are the module's; a derivative that is no finite number counts as 0.

    >>> from derl_dsl import compile
    >>> text = "w = param(0.5, min=0, max=1)\\nreward = w * a"
    >>> module = compile(text, columns={"a": "number[0,1]"}).torch()
    >>> values = module({"a": torch.tensor([0.25, 1.0])})
    >>> values.sum().backward()
    >>> values.tolist(), module.params["w"].grad.item()
    ([0.125, 0.5], 1.25)
    """

    constants: Tensor

    def __init__(
        self,
        reward: Compiled,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
        compile: bool = False,
    ) -> None:
        dtype = dtype or torch.float64
        if dtype not in (torch.float64, torch.float32):
            raise ValueError(f"a reward is float64 or float32, not {dtype}")
        super().__init__()
        self.reward = reward
        self.compile_modules = compile
        self._prepare()
        self.params = nn.ParameterDict(
            {
                name: nn.Parameter(torch.tensor(param.value, dtype=dtype, device=device))
                for name, (_, param) in self._bounds.items()
            }
        )
        constants = lower(self.graph, uniform=True, checked=True).constants
        constants_tensor = torch.tensor(constants, dtype=dtype, device=device)
        self.register_buffer("constants", constants_tensor, persistent=False)

    def _prepare(self) -> None:
        """What follows from the program alone."""
        # A module gives rewards and parts: what step rewards alone read, it does not need.
        self.graph = self.reward.graph.only(self.reward.graph.outputs)
        self._needs = Needs.of(self.graph)
        self._lowered: dict[bool, tuple[Lowered, Any]] = {}
        # The nodes of the parameters by name, with their ranges.
        self._bounds = {
            node.payload.name: (i, node.payload)
            for i, node in enumerate(self.graph.nodes)
            if isinstance(node.payload, Param)
        }

    def __getstate__(self) -> dict[str, Any]:
        # A reward is pickled as its text; what follows from it is made again.
        made = ("graph", "_needs", "_lowered", "_bounds")
        return {name: value for name, value in self.__dict__.items() if name not in made}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)  # type: ignore[no-untyped-call]
        self._prepare()

    def forward(
        self,
        columns: Columns,
        group_size: int | Tensor | None = None,
        params: Mapping[str, Tensor] | None = None,
    ) -> Tensor:
        """The rewards, (B,), NaN where not applicable.

        Groups are `group_size` neighbours, or start at the places (G + 1) of a tensor. `params`
        stand for the module's own. Raises ColumnError as `Reward.score` does.
        """
        return self.evaluate(columns, group_size, params)["reward"]

    def evaluate(
        self,
        columns: Columns,
        group_size: int | Tensor | None = None,
        params: Mapping[str, Tensor] | None = None,
    ) -> dict[str, Tensor]:
        """The reward, as `reward`, and all named parts, (B,) each; arguments as in `forward`."""
        return self.bind(columns, group_size)(params)

    def bind(
        self, columns: Columns, group_size: int | Tensor | None = None
    ) -> Callable[..., dict[str, Tensor]]:
        """What `evaluate` does, with the columns looked at once: for many calls on the same ones.

        The function takes `params`, and reads the module's own at every call.
        """
        given = self._inputs(columns)
        rows = self._rows(given, columns)
        given |= {"rows": rows, "constants": self.constants}
        uniform = self._group(given, rows, group_size)
        lowered, run = self._kernel(uniform)
        fixed = {name: given[name] for name in lowered.arguments if name in given}

        def call(params: Mapping[str, Tensor] | None = None) -> dict[str, Tensor]:
            values = {**self.params, **(params or {})}
            unknown = values.keys() - self._bounds.keys()
            if unknown:
                raise ValueError(f"the reward has no parameter {sorted(unknown)[0]!r}")
            own = {f"p{i}": values[name] for name, (i, _) in self._bounds.items()}
            found: dict[str, Tensor] = run(
                **fixed, **{name: value for name, value in own.items() if name in lowered.arguments}
            )
            return found

        return call

    @torch.no_grad()
    def clamp_(self) -> TorchReward:
        """Move the parameters into their declared ranges, where the proofs hold; after a step."""
        for name, (_, param) in self._bounds.items():
            self.params[name].clamp_(param.lo, param.hi)
        return self

    def read(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """The columns of `forward` from raw ones: texts are read and primitives evaluated, once.

        `data` is what `Reward.score` takes; tensors come back on the module's device. Lists that
        meet in any part of the program are fitted to one another; rows where they differ are lost.
        """
        batch = Batch(data, log=self.reward.faults)
        reading = read_inputs(self._needs, batch, group_offsets(batch.rows, None))
        arrays, broken, faults = reading.joined()
        self.reward.count([*batch.faults, *faults])
        found: dict[str, Any] = {}
        # Values before conditions: both stand for one column.
        for i in sorted(self._needs.inputs, key=lambda i: self.graph.nodes[i].op == "valid"):
            source = self.graph.source(i)
            if str(source) in found:
                continue
            values = batch.values(source)
            present = np.ones(batch.rows, dtype=bool) if values.valid is None else values.valid
            if i in broken:
                present = present & ~broken[i]
            if isinstance(plain(source), List):
                lists = arrays[i]
                lists = lists if isinstance(lists, Ragged) else values.ragged()
                device = self.constants.device
                found[str(source)] = (
                    self._numbers(lists.values),
                    torch.as_tensor(lists.offsets, device=device),
                    torch.as_tensor(present, device=device),
                )
            else:
                found[str(source)] = self._numbers(np.where(present, values.data, np.nan))
        return found

    def _kernel(self, uniform: bool) -> tuple[Lowered, Any]:
        if uniform not in self._lowered:
            lowered = lower(self.graph, uniform, checked=True)
            run = torch.compile(lowered.module) if self.compile_modules else lowered.module
            self._lowered[uniform] = (lowered, run)
        return self._lowered[uniform]

    def _numbers(self, values: Any) -> Tensor:
        like = self.constants
        return torch.as_tensor(values, dtype=like.dtype, device=like.device)

    def _inputs(self, columns: Columns) -> dict[str, Any]:
        """The arguments of the inputs, by the first node that reads each."""
        given: dict[str, Any] = {}
        seen: dict[str, int] = {}
        for i in self._needs.inputs:
            source = self.graph.source(i)
            name = str(source)
            if name in seen:
                continue
            seen[name] = i
            if name not in columns:
                have = ", ".join(sorted(columns)) or "none"
                raise ColumnError(f"the column {name!r} is missing; given are: {have}")
            if isinstance(plain(source), List):
                given |= self._list(i, name, columns[name])
            else:
                given[f"x{i}"] = self._numbers(columns[name])
        for members in self._needs.together:
            self._equal_lengths([seen[str(self.graph.source(i))] for i in members], given)
        return given

    def _list(self, i: int, name: str, column: Any) -> dict[str, Any]:
        if not isinstance(column, tuple) or len(column) not in (2, 3):
            raise ColumnError(
                f"the column {name!r} holds lists: give (values, offsets), or "
                f"(values, offsets, valid), not {type(column).__name__}"
            )
        values = self._numbers(column[0])
        offsets = torch.as_tensor(column[1], dtype=torch.int64, device=values.device)
        if (
            len(offsets) == 0
            or int(offsets[0]) != 0
            or int(offsets[-1]) != len(values)
            or bool((offsets.diff() < 0).any())
        ):
            raise ColumnError(
                f"the column {name!r}: offsets rise from 0 to the number of values, {len(values)}"
            )
        valid = None
        if len(column) == 3 and column[2] is not None:
            valid = torch.as_tensor(column[2], dtype=torch.bool, device=values.device)
        owner = parts.owners(offsets, len(values))
        return {f"x{i}": values, f"offsets{i}": offsets, f"owner{i}": owner, f"valid{i}": valid}

    def _equal_lengths(self, members: list[int], given: Mapping[str, Any]) -> None:
        first = given[f"offsets{members[0]}"]
        for i in members[1:]:
            other = given[f"offsets{i}"]
            if other is not first and not torch.equal(first, other):
                names = " and ".join(str(self.graph.source(i)) for i in members)
                raise ColumnError(f"{names} meet step by step, and have different lengths")

    def _rows(self, given: dict[str, Any], columns: Columns) -> int:
        """The number of rollouts; single numbers become columns of equal ones."""
        sizes: dict[str, int] = {}
        for name, value in columns.items():
            if isinstance(value, tuple):
                sizes[name] = len(value[1]) - 1
            elif getattr(value, "ndim", 1) and hasattr(value, "__len__"):
                sizes[name] = len(value)
        if len(set(sizes.values())) > 1:
            shown = ", ".join(f"{name}: {size}" for name, size in sizes.items())
            raise ColumnError(f"the columns have different numbers of rows ({shown})")
        rows = next(iter(sizes.values()), 0)
        for name, x in given.items():
            if name.startswith("x") and x.dim() == 0:
                given[name] = x.expand(rows)
        return rows

    def _group(self, given: dict[str, Any], rows: int, size: int | Tensor | None) -> bool:
        """Adds what says how rollouts are grouped; whether all groups have one size."""
        if not self._needs.grouped:
            return True
        if size is None:
            raise ColumnError("the reward has group functions: say how the rollouts are grouped")
        if isinstance(size, int):
            group_offsets(rows, size)
            given["group_size"] = size
            return True
        offsets = size.to(device=self.constants.device, dtype=torch.int64)
        starts = offsets.cpu().numpy()
        if len(starts) == 0 or starts[0] != 0 or starts[-1] != rows or (np.diff(starts) < 0).any():
            raise ColumnError(f"group offsets rise from 0 to the number of rollouts, {rows}")
        equal = equal_sizes(starts)
        given |= {"group_size": equal, "group_offsets": offsets}
        given["group_owner"] = parts.owners(offsets, rows)
        return equal is not None
