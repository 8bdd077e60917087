"""compile: a checked program with its kernel; scores batches and speaks the TRL protocol."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from derl_dsl.backends import BACKENDS, DTYPES
from derl_dsl.backends.kernel import Offsets
from derl_dsl.checker import linted, prove_source
from derl_dsl.elaborate.custom import Origin, origins_of
from derl_dsl.elaborate.header import scope_of
from derl_dsl.graph.ir import Param
from derl_dsl.graph.needs import Needs
from derl_dsl.prove.certificate import Certificate
from derl_dsl.prove.checked import Checked
from derl_dsl.prove.single import finite_in_float32
from derl_dsl.score.binding import UNGROUPED, Reading, group_offsets, grouped, read_inputs
from derl_dsl.score.direct import Direct
from derl_dsl.score.groups import Groups, Trainer, gather_groups, trainer_of
from derl_dsl.score.kernels import BoundReward, Kernels
from derl_dsl.score.observing import Observer, observe
from derl_dsl.score.outputs import compute
from derl_dsl.score.scores import Array, Scores, without_faults
from derl_dsl.score.steps import Steps, step_rewards
from derl_grammar.diagnostics import Diagnostic, render
from derl_grammar.limits import MODEL, Limits
from derl_grammar.spans import Source
from derl_grammar.types import Type
from derl_runtime.batch import Batch
from derl_runtime.conversations import filled
from derl_runtime.faults import Fault, FaultLog
from derl_runtime.reading import ColumnError
from derl_runtime.sources import Column, parts_of, primitives_of

if TYPE_CHECKING:
    import torch

    from derl_dsl.score.tensors import TorchReward

# The name of a reward that was given none.
NAME = "reward"


class RewardError(ValueError):
    """A program with errors; `diagnostics` has them all."""

    def __init__(self, diagnostics: tuple[Diagnostic, ...], source: Source) -> None:
        self.diagnostics = diagnostics
        self.source = source
        super().__init__("\n" + render(diagnostics, source))

    def __reduce__(self) -> tuple[Any, ...]:
        return (RewardError, (self.diagnostics, self.source))


class Reward:
    """A compiled reward; build it with `compile`.

    `faults` counts what went wrong in all batches so far, by input and class; `str(reward.faults)`
    is the summary of a run. A primitive that failed `faults.limit` times is not called again.
    """

    def __init__(
        self,
        checked: Checked,
        backend: str,
        dtype: str,
        arguments: tuple[Any, ...],
        name: str = NAME,
    ) -> None:
        assert checked.graph is not None
        assert checked.certificate is not None
        self.text = checked.source.text
        self.backend = backend
        self.graph = checked.graph
        self.certificate: Certificate = checked.certificate
        self._checked = checked
        self.kernels = Kernels(self.graph, backend, dtype)
        self.arguments = arguments
        self._straight: tuple[Kernels, Direct] | None = None
        self.faults = FaultLog()
        self.groups: Groups = None
        self.observers: list[Observer] = []  # told of the calls that a trainer makes
        self.__name__ = name

    def __reduce__(self) -> tuple[Any, ...]:
        sources = map(self.graph.source, self._needs.inputs)
        used = [p for source in sources for p in primitives_of(source)]
        arguments = (origins_of(used), self.faults.limit, self.arguments)
        return (_compile_with, arguments, {"groups": self.groups})

    def __repr__(self) -> str:
        return f"<Reward {self.text!r:.60} key={self.key}>"

    @cached_property
    def diagnostics(self) -> tuple[Diagnostic, ...]:
        """What `check` says about the program: warnings of its proofs and lints."""
        return linted(self._checked).diagnostics

    @cached_property
    def key(self) -> str:
        """The equivalence key; equal keys train alike under group-normalised GRPO."""
        from derl_dsl.key import key  # exact arithmetic, which scoring has no use for

        return key(self.graph, self.graph.outputs["reward"])

    @cached_property
    def _needs(self) -> Needs:
        return Needs.of(self.graph)

    @property
    def _direct(self) -> Direct:
        """The straight way for the kernels in use."""
        if self._straight is None or self._straight[0] is not self.kernels:
            self._straight = self.kernels, Direct(self._needs, self.kernels)
        return self._straight[1]

    @cached_property
    def _own_needs(self) -> Needs:
        """What the reward needs without the parts that it does not read."""
        return Needs.of(self.graph.only(["reward"]))

    @property
    def params(self) -> dict[str, float]:
        """The values of the program's parameters, by name."""
        payloads = (node.payload for node in self.graph.nodes)
        return {p.name: p.value for p in payloads if isinstance(p, Param)}

    @property
    def suite(self) -> str | None:
        """The suite whose names the program may use, as it was given or as its header says."""
        return self._checked.scope.suite

    @property
    def outcome(self) -> str | None:
        """The input that says a rollout was right, when one is known and the reward reads it."""
        node = self._checked.outcome
        return None if node is None or node not in self.inputs else str(self.graph.source(node))

    @property
    def known_outcome(self) -> str | None:
        """The expression that says a rollout was right, of the header or suite; read or not."""
        return self._checked.scope.outcome

    @property
    def uses_groups(self) -> bool:
        """Whether the reward of a rollout depends on the others of its group."""
        return self._needs.grouped

    def torch(
        self, dtype: torch.dtype | None = None, device: Any = None, compile: bool = False
    ) -> TorchReward:
        """The reward as a torch module: tensors in and out, on any device, with gradients.

        `dtype` is torch.float64 or torch.float32; `compile` runs it through torch.compile. Raises
        ModuleNotFoundError without PyTorch.
        """
        from derl_dsl.score.tensors import TorchReward

        return TorchReward(self, dtype, device, compile)

    def score(
        self,
        columns: Mapping[str, Any],
        group_size: int | None = None,
        group: str | Sequence[Any] | None = None,
        uneven: bool = False,
    ) -> Scores:
        """Score a batch: `columns` maps names to B values each (texts, numbers, lists of steps).

        An Arrow table, a frame of pandas or polars and a list of rows are columns as well.

        Groups are `group_size` consecutive rollouts, or the rows with equal values of `group` (a
        column's name, or B keys; 1, 1.0 and True are one). Groups of different sizes are an error
        unless `uneven` says that they are meant, as in logged data. A number stands for a column of
        equal values.
        Rows with a missing or out-of-range input score NaN and are listed in the faults.
        Raises ColumnError when a column is missing or has the wrong type, or when the program has
        group functions and the groups are not known.
        """
        if group is None and (group_size is not None or not self.uses_groups):
            plain = self._direct.columns(columns, group_size)
            if plain is not None:
                values = self._direct.outputs(plain, group_size)
                if values is not None:
                    return without_faults(values, self._direct.inputs(plain), len(plain[0]))
        batch = Batch(columns, log=self.faults)
        if group is not None:
            uneven = uneven or not self._needs.grouped
            found = grouped(batch.columns, batch.rows, group, group_size, uneven)
            return self.score_batch(batch, *found)
        if self._needs.grouped and group_size is None:
            raise ColumnError(UNGROUPED)
        return self.score_batch(batch, group_offsets(batch.rows, group_size), size=group_size)

    def bind(self, columns: Mapping[str, Any], group_size: int | None = None) -> BoundReward:
        """The reward on columns that are kept, to be called often; microseconds a call.

        A column that is a contiguous array of the reward's type is read where it lies, so changing
        it changes the next call's result; others are copied, and primitives are computed here.
        Values are held to their types here, not at the calls: what is written later must keep to
        them.
        Raises ColumnError as `score` does.

        >>> r = compile("0.5 * a", columns={"a": "number[0, 1]"})
        >>> again = r.bind({"a": [0.0, 1.0]})
        >>> again().tolist()
        [0.0, 0.5]
        """
        if self._needs.grouped and group_size is None:
            raise ColumnError(UNGROUPED)
        batch = Batch(columns, log=self.faults)
        groups = group_offsets(batch.rows, group_size)
        bound, lost, faults = read_inputs(self._own_needs, batch, groups).alone("reward")
        self.count([*batch.faults, *faults])
        return self.kernels.alone("reward").bind(bound, lost if lost.any() else None)

    def score_batch(
        self, batch: Batch, groups: Offsets, order: Any = None, size: int | None = None
    ) -> Scores:
        """Score a batch whose groups start at `groups`, once its rows are put in `order`.

        `size` is that of all groups, where they lie as neighbours.
        """
        reading = read_inputs(self._needs, batch, groups)
        if not batch.faults and not reading.broken and (size is not None or not self.uses_groups):
            plain = self._direct.outputs([*reading.arrays.values()], size)
            if plain is not None:
                return without_faults(plain, self._read(reading), reading.rows)
        found = compute(self.kernels, reading, self.graph.outputs, order)
        faults = [*batch.faults, *found.faults]
        steps = None
        if self.graph.steps is not None:
            steps, more = self._steps(reading, order)
            faults += [f for f in more if f not in faults]
        self.count(faults)
        parts = dict(found.values)
        reward = parts.pop("reward")
        return Scores(reward, parts, self._read(reading), faults, found.failed, steps)

    def _read(self, reading: Reading) -> dict[str, Array]:
        """The numbers and conditions that were read, by what the program calls them."""
        return {
            str(self.graph.source(i)): _with_gaps(array, reading.broken.get(i))
            for i, array in reading.arrays.items()
            if isinstance(array, np.ndarray) and self.graph.nodes[i].op == "input"
        }

    def _steps(self, reading: Reading, order: Any) -> tuple[Steps, list[Fault]]:
        """The step rewards in the order of the rows as they were given, and what went wrong."""
        bound, lost, unequal = reading.alone("steps")
        if order is None:
            found, faults = step_rewards(self.graph, bound, [lost])
            return found, [*unequal, *faults]
        found, faults = step_rewards(self.graph, bound.permuted(order), [lost[order]])
        back = np.argsort(order).tolist()
        rows = [replace(f, rows=tuple(sorted(int(order[r]) for r in f.rows))) for f in faults]
        return [found[k] for k in back], [*unequal, *rows]

    def reward_alone(self, batch: Batch, groups: Offsets) -> Array:
        """The reward of a batch without its parts, (B,): columns that only they read may lack."""
        reading = read_inputs(self._own_needs, batch, groups)
        found = compute(self.kernels.alone("reward"), reading, ["reward"], None)
        self.count([*batch.faults, *found.faults])
        return found.values["reward"]

    def count(self, faults: Sequence[Fault]) -> None:
        """Add those faults of a batch to the log that concern this reward."""
        if faults:
            self.faults.add(f for f in faults if self.concerns(f))

    def concerns(self, fault: Fault) -> bool:
        """Whether a fault is of what this reward reads or computes."""
        return fault.name in self._names

    @property
    def inputs(self) -> Sequence[int]:
        """The nodes of the graph that the program reads, in order."""
        return self._needs.inputs

    @cached_property
    def _names(self) -> frozenset[str]:
        """What faults of this reward are named after: inputs, what they are made of, lists."""
        source = self.graph.source
        parts = [p for i in self._needs.inputs for p in parts_of(source(i))]
        meeting = self._needs.meeting.values()
        lists = [" and ".join(str(source(i)) for i in m) for sets in meeting for m in sets]
        return frozenset(["reward", "steps", *map(str, parts), *lists])

    def __call__(
        self,
        prompts: Sequence[Any] | None = None,
        completions: Sequence[Any] | None = None,
        completion_ids: Sequence[Any] | None = None,
        *,
        trainer_state: Any = None,
        log_extra: Any = None,
        log_metric: Any = None,
        environments: Any = None,
        **columns: Any,
    ) -> list[float | None]:
        """Score completions as a TRL reward function; None stands for not applicable.

        `prompts` and `completions` become the columns `prompt` and `completion`; of messages, what
        the assistant said last. Groups are what the trainer says, or `with_groups`; where a group
        straddles processes their rows are gathered. `progress` is read from the trainer's state.
        Named parts are logged through `log_metric` as `parts/PART`, or `parts/NAME/PART` where the
        reward has a name of its own. Raises ColumnError when groups are not known.
        """
        given = trl_columns(prompts, completions, completion_ids, trainer_state, columns)
        trainer = trainer_of(log_metric)
        scores = self.score_call(given, trainer)
        if self.observers:
            told = (given, scores, self.groups, trainer, trainer_state, log_metric)
            observe(self.observers, *told)
        if log_metric is not None:
            own = "" if self.__name__ == NAME else f"{self.__name__}/"
            for name, mean in scores.part_means().items():
                log_metric(f"parts/{own}{name}", mean)
        return [None if v != v else v for v in scores.values.tolist()]

    def with_groups(self, groups: Groups) -> Reward:
        """The same reward, told once what a group is where it is called by a trainer.

        A number: so many neighbours. A name: the rows with equal values of that column. `"*"`: all
        rows of a call. None: what the trainer says, which TRL's GRPO and RLOO do.
        """
        if isinstance(groups, int) and groups < 1:
            raise ValueError(f"a group has 1 rollout or more, not {groups}")
        compute, arguments, *_ = self.__reduce__()
        again: Reward = compute(*arguments)
        again.groups = groups
        return again

    def score_call(self, columns: Mapping[str, Any], trainer: Trainer | None = None) -> Scores:
        """Score the batch of one call of a trainer, whole groups where they matter."""
        if not self.uses_groups:
            return self.score(columns)
        rows = Batch(columns, log=self.faults).rows
        names = list(columns_of(self))
        columns = filled(columns, names)
        whole = gather_groups(self.groups, trainer, columns, names, rows)
        if whole.ids is None:
            scores = self.score(whole.columns, group_size=whole.size)
        else:
            sizes = sorted(set(Counter(whole.ids).values()))
            if len(sizes) > 1:
                raise ColumnError(
                    f"{self.groups!r} makes groups of different sizes ({sizes}): a group was cut, "
                    "and its statistics would be wrong; make batches of whole groups"
                )
            scores = self.score(whole.columns, group=whole.ids)
        return scores if whole.own == slice(0, len(scores.values)) else scores.of(whole.own)


def columns_of(reward: Reward) -> dict[str, Column]:
    """The columns that a reward reads, by name."""
    found: dict[str, Column] = {}
    for i in reward.graph.inputs([*reward.graph.roots(), *reward.graph.step_roots()]):
        for part in parts_of(reward.graph.source(i)):
            if isinstance(part, Column):
                found.setdefault(part.name, part)
    return found


def trl_columns(
    prompts: Sequence[Any] | None,
    completions: Sequence[Any] | None,
    completion_ids: Sequence[Any] | None,
    trainer_state: Any,
    columns: Mapping[str, Any],
) -> dict[str, Any]:
    """The columns of a TRL call: texts or messages, token ids, progress, the dataset's columns."""
    given = dict(columns)
    if trainer_state is not None and "progress" not in given:
        given["progress"] = trainer_state.global_step / max(1, trainer_state.max_steps)
    for name, texts in (("prompt", prompts), ("completion", completions)):
        if texts is not None:
            given[name] = list(texts)
    if completion_ids is not None:
        given["completion_ids"] = completion_ids
    return given


def _with_gaps(array: Array, broken: Any) -> Array:
    return array if broken is None else np.where(broken, np.nan, array)


def compile(
    text: str,
    suite: str | None = None,
    columns: Mapping[str, str | Type] | None = None,
    outcome: str | None = None,
    backend: str = "auto",
    limits: Limits = MODEL,
    dtype: str = "float64",
    name: str = NAME,
) -> Reward:
    """Compile a reward program.

    `suite`, `columns` and `outcome` say what the program may name, as in `check`; what is not given
    is read from its header. `name` is what trainers log it as, `__name__`. `backend` is
    `auto` (the virtual machine, then compiled code for a reward that is much used), `vm`, `native`,
    `numba`, `torch` or `reference`; `dtype`, float64 or float32, is what kernels compute in. Raises
    RewardError with all diagnostics when the program has errors, ValueError for an unknown suite,
    type or backend; warns where float32 has no proof.

    >>> r = compile("0.6*g1 + 0.4*g2", columns={"g1": "number[0,1]", "g2": "bool"}, outcome="g1")
    >>> r.score({"g1": [1.0, 0.5], "g2": [False, True]}).values.tolist()
    [0.6, 0.7]
    >>> r.certificate.outcome_monotone
    True
    """
    if backend not in BACKENDS:
        raise ValueError(f"unknown backend {backend!r}; one of {', '.join(BACKENDS)}")
    if dtype not in DTYPES:
        raise ValueError(f"unknown dtype {dtype!r}; one of {', '.join(DTYPES)}")
    checked = prove_source(Source(text), scope_of(text, suite, columns, outcome), limits)
    if not checked.ok:
        raise RewardError(checked.diagnostics, checked.source)
    if dtype == "float32":
        _warn_of_float32(checked)
    arguments = (text, suite, columns, outcome, backend, limits, dtype, name)
    return Reward(checked, backend, dtype, arguments, name)


def _warn_of_float32(checked: Checked) -> None:
    assert checked.graph is not None
    if not finite_in_float32(checked.graph, checked.graph.outputs["reward"]):
        message = (
            "the proof is of float64, and in float32 the reward may be infinite or NaN "
            "(values below 1e-45 are 0, values above 3e38 infinite): such rows score NaN and are "
            "counted as faults"
        )
        warnings.warn(message, RuntimeWarning, stacklevel=3)


def _compile_with(origins: Sequence[Origin], limit: int, arguments: tuple[Any, ...]) -> Reward:
    """A pickled reward, in another process: its custom primitives first."""
    for origin in origins:
        origin.load()
    reward = compile(*arguments)
    reward.faults.limit = limit
    return reward
