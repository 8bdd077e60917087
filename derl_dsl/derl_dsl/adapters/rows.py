"""The one function under all adapters: rows of a trainer in, values, parts and faults out.

A file that `derl-dsl export` writes holds a `Scorer` and a few lines in the words of its trainer.
What a fault becomes is a policy that the file names: nothing ever scores 0 because it failed.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, TypeVar

from derl_dsl.elaborate.custom import Origin
from derl_dsl.graph.leaves import source_range
from derl_dsl.prove.analyse import Analysis
from derl_dsl.score.groups import Groups, trainer_of
from derl_dsl.score.reward import Reward, columns_of, compile, trl_columns
from derl_dsl.score.scores import Scores
from derl_dsl.version import __version__
from derl_grammar.limits import WIDE
from derl_grammar.records import record
from derl_grammar.types import List
from derl_runtime import conversations
from derl_runtime.faults import Fault
from derl_runtime.reading import ColumnError
from derl_runtime.sources import plain

logger = logging.getLogger(__name__)

V = TypeVar("V")
SINGLE = 3.4e38  # what a trainer's float32 holds
OnFault = Literal["skip", "raise", "lowest"]
POLICIES: dict[OnFault, str] = {
    "skip": "a fault is None: the completion trains nothing",
    "raise": "a fault is an exception, which the trainer treats as its own",
    "lowest": "a fault scores the lowest value of the proven range, and is counted",
}


class FaultError(RuntimeError):
    """A rollout that could not be scored, where the policy is to say so by an exception."""


@record
class Row:
    """One rollout scored: `value` (None: not applicable, or failed under `skip`), the named parts
    (NaN: not applicable), the outcome (None without one; what failed was not right), whether a
    fault took the reward, the step rewards (None: the program has none, or they failed)."""

    value: float | None
    parts: dict[str, float]
    outcome: float | None
    failed: bool
    steps: list[float] | None = None

    def beside(self, *taken: str) -> dict[str, float]:
        """The parts under names that are not `taken` by the trainer."""
        return beside(self.parts, *taken)


@record
class Rows:
    """B rollouts scored: values, parts by name, outcomes, which failed, faults, step rewards."""

    values: list[float | None]
    parts: dict[str, list[float]]
    outcomes: list[float] | None
    failed: list[bool]
    faults: list[Fault]
    steps: list[list[float] | None] | None = None

    def __getitem__(self, k: int) -> Row:
        parts = {name: values[k] for name, values in self.parts.items()}
        outcome = None if self.outcomes is None else self.outcomes[k]
        steps = None if self.steps is None else self.steps[k]
        return Row(self.values[k], parts, outcome, self.failed[k], steps)

    def __len__(self) -> int:
        return len(self.values)


def score_rows(
    reward: Reward,
    rows: Sequence[Mapping[str, Any]],
    group: int | Sequence[Any] | None = None,
    on_fault: OnFault = "skip",
    others: str = "",
) -> Rows:
    """Score rows, each a mapping from column names to one rollout's values.

    `group` is the size of groups of neighbours or one id a row. Conversations stand for what the
    assistant said last, and give the columns of the suite `chat`. `others` says where the trainer
    has its columns from. Raises ColumnError for a column that a row lacks, FaultError when a
    rollout failed and `on_fault` is "raise".

    >>> reward = compile("fit = 2 * a\\nreward = fit + b", columns={"a": "bool", "b": "bool"})
    >>> found = score_rows(reward, [{"a": True, "b": False}, {"a": None, "b": True}])
    >>> found.values, found.parts["fit"], found.failed
    ([2.0, None], [2.0, nan], [False, True])
    """
    size = group if isinstance(group, int) else None
    ids = None if group is None or isinstance(group, int) else list(group)
    columns = {name: [_value(row, name, others) for row in rows] for name in columns_of(reward)}
    if not columns:  # a constant has no columns to count
        columns = {"completion": [""] * len(rows)}
    scores = reward.score(columns, group_size=size, group=ids)
    values = settled(reward, scores, on_fault)
    parts = {name: part.tolist() for name, part in scores.parts.items()}
    outcome = scores.inputs.get(reward.outcome or "")
    outcomes = None if outcome is None else _outcomes(reward, outcome.tolist())
    steps = None
    if scores.steps is not None:
        steps = [None if row is None else row.tolist() for row in scores.steps]
    return Rows(values, parts, outcomes, scores.failed.tolist(), scores.faults, steps)


def beside(parts: Mapping[str, V], *taken: str) -> dict[str, V]:
    """Parts under names that are not `taken` by the trainer."""
    return {f"part_{n}" if n in taken else n: v for n, v in parts.items()}


def lowest(reward: Reward) -> dict[str, float]:
    """The lowest value that each part can have, of those that always have one and are bounded.

    >>> columns = {"a": "number[-1, 1]?", "b": "number[2, 9]", "c": "number"}
    >>> lowest(compile("fit = 2 * a\\nsize = b - 1\\nx = c\\nreward = b", columns=columns))
    {'size': 1.0}
    """
    graph = reward.graph
    never = {"reward", *reward.params, *graph.valids}
    named = {name: node for name, node in graph.outputs.items() if name not in never}
    known = Analysis(graph, list(named.values()))
    return {name: known[i].lo for name, i in named.items() if abs(known[i].lo) <= SINGLE}


def each(columns: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The rows of a call: a list has a value for each completion, anything else is one for all.

    Raises ColumnError for a list of another length.

    >>> each({"completion": ["a", "b"], "answer": ["1", "2"], "level": 3})[1]
    {'completion': 'b', 'answer': '2', 'level': 3}
    """
    count = len(columns["completion"])
    for name, values in columns.items():
        if isinstance(values, list) and len(values) != count:
            raise ColumnError(f"{name!r} has {len(values)} values for {count} completions")
    return [
        {name: v[k] if isinstance(v, list) else v for name, v in columns.items()}
        for k in range(count)
    ]


def whole_groups(ids: Sequence[Any] | None, *sizes: int) -> Sequence[Any]:
    """The ids of a batch whose groups are all whole; ColumnError where they are not, or not known.

    `sizes` are those that groups have in training and in evaluation.

    >>> whole_groups(["a", "b", "a", "b"], 2)
    ['a', 'b', 'a', 'b']
    """
    if not ids or max(sizes) < 1:
        raise ColumnError("the reward has group functions, and this call has no ids of groups")
    found = sorted(set(Counter(ids).values()))
    if len(found) != 1 or found[0] not in sizes:
        raise ColumnError(
            f"groups of {found} completions instead of {sizes[0]}: a group was cut, or two have "
            "one prompt; make batches of whole groups of different prompts"
        )
    return ids


def settled(reward: Reward, scores: Scores, on_fault: OnFault) -> list[float | None]:
    """The values that a trainer gets: None is not applicable, and what failed is as `on_fault`."""
    values: list[float | None] = [None if v != v else v for v in scores.values.tolist()]
    if on_fault == "skip" or not scores.failed.any():
        return values
    if on_fault == "raise":
        raise FaultError("; ".join(map(str, scores.faults)))
    lo = reward.certificate.lo
    return [lo if f else v for f, v in zip(scores.failed.tolist(), values, strict=True)]


def _outcomes(reward: Reward, found: list[float]) -> list[float]:
    """The outcomes; one that could not be told is the lowest there is: not right."""
    if all(v == v for v in found):
        return found
    graph = reward.graph
    named = {str(graph.source(i)): i for i in graph.inputs(graph.roots())}
    low = source_range(graph, named[str(reward.outcome)]).lo
    return [v if v == v else low for v in found]


def _value(row: Mapping[str, Any], name: str, others: str) -> Any:
    if name not in row:
        given = conversations.column(name, {key: [value] for key, value in row.items()})
        if given is None:
            raise _missing(name, row, others)
        return given[0]
    return row[name]


def _missing(name: str, known: Iterable[Any], others: str) -> ColumnError:
    have = ", ".join(sorted(map(str, known))) or "nothing"
    told = f"; it comes from {others}" if others else ""
    return ColumnError(f"the rollout has no {name!r}; it has: {have}{told}")


class Scorer:
    """A reward as an exported file holds it: text and settings, compiled when first called.

    Threads may share one; it pickles.
    """

    def __init__(
        self,
        text: str,
        *,
        name: str = "reward",
        suite: str | None = None,
        columns: Mapping[str, str] | None = None,
        outcome: str | None = None,
        on_fault: OnFault = "lowest",
        origins: Sequence[Origin] = (),
        others: str = "",
        version: str = __version__,
    ) -> None:
        if on_fault not in POLICIES:
            raise ValueError(f"unknown policy {on_fault!r}; one of {', '.join(POLICIES)}")
        self.text, self.suite, self.columns, self.outcome = text, suite, columns, outcome
        self.on_fault, self.origins, self.version = on_fault, tuple(origins), version
        self.__name__, self.others = name, others
        self._reward: Reward | None = None
        self._lowest: dict[str, float] | None = None
        self._lock = threading.Lock()

    def __getstate__(self) -> dict[str, Any]:
        return {k: v for k, v in self.__dict__.items() if k not in ("_reward", "_lock")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _reward=None, _lock=threading.Lock())

    @property
    def reward(self) -> Reward:
        """The compiled reward."""
        if self._reward is None:
            if self.version != __version__:
                logger.warning(
                    "%s was exported by derl-dsl %s and runs on %s: export it again, primitives "
                    "may have changed", self.__name__, self.version, __version__,
                )  # fmt: skip
            for origin in self.origins:
                origin.load()
            columns = dict(self.columns or {})
            self._reward = compile(self.text, self.suite, columns, self.outcome, limits=WIDE)
        return self._reward

    def row(self, *places: Any) -> dict[str, Any]:
        """One rollout's columns, each from the first of the places (mappings) that has it.

        A column that none has is read out of a conversation, where one is there.
        """
        known = [place for place in places if isinstance(place, Mapping)]
        row: dict[str, Any] = {}
        for name in columns_of(self.reward):
            own = next((place for place in known if name in place), None)
            if own is not None:
                row[name] = own[name]
                continue
            told = (conversations.column(name, {k: [v] for k, v in p.items()}) for p in known)
            given = next((values for values in told if values is not None), None)
            if given is None:
                raise _missing(name, {str(k) for place in known for k in place}, self.others)
            row[name] = given[0]
        return row

    def score_rows(
        self, rows: Sequence[Mapping[str, Any]], group: int | Sequence[Any] | None = None
    ) -> Rows:
        """Score rollouts under this file's policy for faults; see `score_rows`."""
        with self._lock:
            return score_rows(self.reward, rows, group, self.on_fault, self.others)

    def score(self, *places: Any) -> Row:
        """Score one rollout, whose columns are found in the places (mappings)."""
        with self._lock:
            row = self.row(*places)
        return self.score_rows([row])[0]

    @property
    def lists(self) -> list[str]:
        """The columns that hold one value a step."""
        return [n for n, c in columns_of(self.reward).items() if isinstance(plain(c), List)]

    def numbers(self, row: Row, none: float | None = None) -> dict[str, float | None]:
        """The parts where a trainer takes means of them: NaN would be the mean's, too.

        What could not be computed is the lowest value that the part can have, as `lowest` knows it;
        `none` is for the others, and for what does not apply.
        """
        with self._lock:
            if self._lowest is None:
                self._lowest = lowest(self.reward)
        low = self._lowest
        return {n: v if v == v else low.get(n, none) for n, v in row.parts.items()}

    def each_step(self, row: Row, count: int) -> list[float | None]:
        """The rewards of `count` steps: the program's `steps`, else the reward at the last step.

        Raises FaultError where they could not be computed, or are not one a step.
        """
        if self.reward.graph.steps is None:
            return [0.0] * (count - 1) + [row.value]
        if row.steps is None:
            raise FaultError("the step rewards could not be computed: what they read is missing")
        if len(row.steps) != count:
            raise FaultError(
                f"{len(row.steps)} step rewards for {count} steps: `steps` must have one value for "
                "each, so the lists that it reads must, too"
            )
        return list(row.steps)

    def function(self, groups: Groups = None) -> TrlReward:
        """The reward as a TRL function under this file's policy; `groups` as in `with_groups`."""
        return TrlReward(self, groups)


class TrlReward:
    """A scorer in the protocol of TRL; it pickles."""

    def __init__(self, scorer: Scorer, groups: Groups = None) -> None:
        self.scorer, self.groups = scorer, groups
        self.__name__ = scorer.__name__
        self._reward: Reward | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_reward": None}

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
        """The rewards of a batch; without `log_metric` the parts' means are logged at INFO."""
        if self._reward is None:
            self._reward = self.scorer.reward.with_groups(self.groups)
        given = trl_columns(prompts, completions, completion_ids, trainer_state, columns)
        scores = self._reward.score_call(given, trainer_of(log_metric))
        for name, mean in scores.part_means().items():
            if log_metric is not None:
                log_metric(f"parts/{name}", mean)
            else:
                logger.info("%s parts/%s %.6g", self.__name__, name, mean)
        return settled(self._reward, scores, self.scorer.on_fault)
