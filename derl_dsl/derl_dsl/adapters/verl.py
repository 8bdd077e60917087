"""verl: a file with `compute_score`, which verl calls for one sample at a time.

`custom_reward_function.path` is the file, `custom_reward_function.name` is `compute_score`. verl
has no groups there, no progress and no "not applicable": `problems` says which rewards that rules
out.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from typing import Any

from derl_dsl.adapters import codes
from derl_dsl.elaborate.custom import Module, Origin, SourceFile, origins_of
from derl_dsl.graph.ir import GROUP
from derl_dsl.score.reward import Reward, compile
from derl_grammar.diagnostics import Diagnostic, Report
from derl_grammar.limits import WIDE
from derl_grammar.spans import Source
from derl_runtime.columns import ColumnError
from derl_runtime.sources import Apply, Column, primitives_of
from derl_runtime.sources import Source as Input

logger = logging.getLogger(__name__)

# What verl's call gives under names of its own.
_GIVEN = ("completion", "answer", "data_source")
_ABSENT = {
    "progress": "verl does not say how much of the training is done",
    "completion_ids": "verl gives the completion as text, not as tokens",
}


def columns_of(reward: Reward) -> dict[str, Column]:
    """The columns that a reward reads, by name."""
    found: dict[str, Column] = {}

    def visit(source: Input) -> None:
        if isinstance(source, Column):
            found.setdefault(source.name, source)
        elif isinstance(source, Apply):
            for arg in source.args:
                visit(arg)

    for i in reward.graph.inputs(reward.graph.roots()):
        visit(reward.graph.source(i))
    return found


def problems(reward: Reward, path: str = "<reward>") -> list[Diagnostic]:
    """Why verl cannot score with this reward; none when it can."""
    graph, report = reward.graph, Report(Source(reward.text, path))
    for i in graph.used(graph.roots()):
        node, place = graph.nodes[i], graph.places[i]
        if node.op in GROUP:
            message = f"{node.op} needs a group, and verl scores one sample at a time"
            hint = "leave it out, or train with TRL or verifiers, which pass whole groups"
            report.add(codes.GROUPED, place, message, hint)
        elif node.op == "input":
            for name in _columns_below(graph.source(i)) & _ABSENT.keys():
                message = f"{graph.source(i)} reads {name!r}: {_ABSENT[name]}"
                report.add(codes.NOT_GIVEN, place, message, "put a number in its place")
    if "reward" in graph.valids:
        place = graph.places[graph.outputs["reward"]]
        message = "the reward is not applicable for some samples, and verl takes numbers alone"
        report.add(codes.NO_VALUE, place, message, "say what such a sample gets: default(…, 0)")
    return report.sorted()


def _columns_below(source: Input) -> set[str]:
    if isinstance(source, Apply):
        return set().union(*map(_columns_below, source.args))
    return {source.name} if isinstance(source, Column) else set()


class Scorer:
    """`compute_score` of one reward, compiled when it is first called.

    `solution_str` is the column `completion`, `ground_truth` the column `answer`; all others come
    from `extra_info` by name. The result has `score`, the named parts, and `faults`, how many
    inputs failed: such a sample scores the value of the reward's range that is nearest to 0.
    """

    def __init__(
        self,
        text: str,
        suite: str | None = None,
        columns: Mapping[str, str] | None = None,
        outcome: str | None = None,
        origins: Sequence[Origin] = (),
    ) -> None:
        self._settings = (text, suite, dict(columns or {}), outcome)
        self._origins = tuple(origins)
        self._reward: Reward | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        return (Scorer, (*self._settings, self._origins))

    @property
    def reward(self) -> Reward:
        """The compiled reward."""
        if self._reward is None:
            for origin in self._origins:
                origin.load()
            self._reward = compile(*self._settings, limits=WIDE)
        return self._reward

    def __call__(
        self,
        data_source: Any,
        solution_str: str,
        ground_truth: Any,
        extra_info: Any = None,
        **_: Any,
    ) -> dict[str, float]:
        """The score of one sample, and its parts; ColumnError for an input that is missing."""
        reward = self.reward
        given = {"completion": solution_str, "answer": ground_truth, "data_source": data_source}
        extra = extra_info if isinstance(extra_info, Mapping) else {}
        row = {}
        for name in columns_of(reward):
            if name not in given and name not in extra:
                have = ", ".join(map(str, extra)) or "nothing"
                raise ColumnError(f"extra_info has no {name!r}; it has: {have}")
            row[name] = [given[name] if name in given else extra[name]]
        scores = reward.score(row)
        score = float(scores.values[0])
        if math.isnan(score):
            score = min(max(0.0, reward.certificate.lo), reward.certificate.hi)
        parts = {name: float(values[0]) for name, values in scores.parts.items()}
        return {"score": score, **parts, "faults": float(len(scores.faults))}


_FILE = '''\
"""A reward for verl, exported from {name} by derl-dsl {version}.

    custom_reward_function.path=THIS_FILE
    custom_reward_function.name=compute_score

The completion is solution_str, the answer is ground_truth{others}.
It needs the package derl-dsl. Change the reward and export it again rather than edit this file.
"""

from derl_dsl.adapters.verl import Scorer
{imports}
REWARD = (
{lines}
)

_score = Scorer(REWARD, {settings})


def compute_score(data_source, solution_str, ground_truth, extra_info=None, **kwargs):
    """The score of one sample, and the parts it is made of."""
    return _score(data_source, solution_str, ground_truth, extra_info, **kwargs)
'''


def export(
    reward: Reward,
    name: str,
    suite: str | None = None,
    columns: Mapping[str, str] | None = None,
    outcome: str | None = None,
) -> str:
    """The text of the file; `name` says in it where the reward came from.

    Raises ValueError when verl cannot score with this reward: ask `problems` first.
    """
    from derl_dsl import __version__

    found = problems(reward, name)
    if found:
        raise ValueError(found[0].message)
    others = [c for c in columns_of(reward) if c not in _GIVEN]
    used = [
        p
        for i in reward.graph.inputs(reward.graph.roots())
        for p in primitives_of(reward.graph.source(i))
    ]
    origins = origins_of(used)
    settings = f"suite={suite!r}, columns={dict(columns or {})!r}, outcome={outcome!r}"
    if origins:
        settings += f", origins=({', '.join(map(_written, origins))},)"
    return _FILE.format(
        name=name.replace("\\", "/").replace('"""', "'''"),
        version=__version__,
        others=f";\nfrom extra_info by name come {', '.join(others)}" if others else "",
        imports=_imports(origins),
        lines="\n".join(f"    {line!r}" for line in reward.text.splitlines(keepends=True)),
        settings=settings,
    )


def _imports(origins: Sequence[Origin]) -> str:
    names = set()
    for origin in origins:
        names |= {"Declared", "SourceFile"} if isinstance(origin, SourceFile) else {"Module"}
    found = f"from derl_dsl.elaborate.custom import {', '.join(sorted(names))}\n" if names else ""
    if "SourceFile" in names:
        found += "from derl_runtime.walls import SandboxSettings\n"
    return found


def _written(origin: Origin) -> str:
    """An origin as source text; untrusted source travels in it and still runs in the sandbox."""
    if isinstance(origin, SourceFile):
        return (
            f"SourceFile({origin.path!r}, {origin.source!r}, {origin.declared!r}, "
            f"{origin.settings!r})"
        )
    assert isinstance(origin, Module)
    return repr(origin)
