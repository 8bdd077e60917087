"""Rollouts that trainers dump, recognised by what they hold and read under our names.

- TRL (`log_completions`): Parquet of step, prompt, completion, a column a reward, advantage.
- verl (`trainer.rollout_data_dir`): JSON lines of input, output, gts, score, step and its extras.
- verifiers v1 and prime-rl (`traces.jsonl`): episodes with their traces, or traces.

What is no dump of these is left as it is. A dump is taken for one by columns that only it has, and
the note says what became of them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

from derl_grammar.records import record

Columns = dict[str, list[Any]]


@record
class Dump:
    """A kind of dump: its name, the columns that tell it, and how it is read."""

    name: str
    marks: tuple[frozenset[str], ...]
    read: Callable[[Columns], Columns]

    def note(self, columns: Columns) -> str:
        """What became of the columns of a dump."""
        after = self.read({n: list(values) for n, values in columns.items()})
        renamed = [(a, b) for a, b in _VERL.items() if a in columns and a not in after]
        if renamed:
            own, ours = zip(*renamed, strict=True)
            hidden = [b for _, b in renamed if b in columns]
            more = f"; its own {', '.join(hidden)} left out" if hidden else ""
            return f"{self.name}: {', '.join(own)} read as {', '.join(ours)}{more}"
        return f"{self.name}: read as {', '.join(after)}"


def find_dump(names: Collection[str]) -> Dump | None:
    """The kind of dump whose columns these are, if any.

    >>> rows = {"input": ["2+2="], "output": ["4"], "gts": ["4"], "score": [1.0], "step": [3]}
    >>> find_dump(rows).note(rows)
    'verl rollouts: input, output, gts read as prompt, completion, answer'
    """
    return next((d for d in DUMPS if any(marks <= set(names) for marks in d.marks)), None)


def is_grader(names: Collection[str]) -> bool:
    """Whether columns are those of an OpenAI grader, which is a reward and no rows."""
    known = ({"operation", "reference"}, {"evaluation_metric", "reference"}, {"calculate_output"})
    rows = "completion" in names or "type" not in names
    return not rows and any(marks <= set(names) for marks in known)


_VERL = {"input": "prompt", "output": "completion", "gts": "answer"}


def _verl(columns: Columns) -> Columns:
    """A mapping as ground truth is its fields, as the exported file reads it.

    A reward's own extra of one of our names (`answer`, what it took for one) is left out.
    """
    found = {_VERL[name]: values for name, values in columns.items() if name in _VERL}
    for name, values in columns.items():
        if name not in _VERL:
            found.setdefault(name, values)
    golds = found.get("answer")  # none where a part of a file has none
    if golds and all(isinstance(gold, Mapping) for gold in golds):
        del found["answer"]
        for name in dict.fromkeys(name for gold in golds for name in gold):
            found.setdefault(str(name), [gold.get(name) for gold in golds])
    return found


def _trl(columns: Columns) -> Columns:
    return columns


def _verifiers(columns: Columns) -> Columns:
    """One row a trace: the task's fields, what the policy said last, rewards and metrics."""
    count = len(next(iter(columns.values())))
    rows = []
    for k in range(count):
        row = {name: values[k] for name, values in columns.items()}
        traces = row.get("traces")
        for trace in traces if isinstance(traces, list) else [row]:
            rows.append(_trace({"task": row.get("task"), **_table(trace)}))
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: [row.get(name) for row in rows] for name in names}


def _trace(trace: Mapping[str, Any]) -> dict[str, Any]:
    data = _table(_table(trace.get("task")).get("data"))
    nodes = trace.get("nodes")
    nodes = [n for n in nodes if isinstance(n, Mapping)] if isinstance(nodes, list) else []
    said = [n["message"] for n in nodes if n.get("sampled") and _role(n) == "assistant"]
    row = {k: v for k, v in data.items() if v is not None and not isinstance(v, list | dict)}
    for name in ("prompt", "answer"):
        if data.get(name) is not None:
            row[name] = data[name]
    row["completion"] = (said[-1].get("content") or "") if said else ""
    row["truncated"] = trace.get("stop_condition") in _CUT
    for name, reward in _table(trace.get("rewards")).items():
        row[f"reward_{name}"] = _weighted(_table(reward))
    row.update({f"metric_{n}": v for n, v in _table(trace.get("metrics")).items()})
    row["ok"] = trace.get("ok")
    return row


def _table(value: Any) -> Mapping[str, Any]:
    """A part of a trace; what is no mapping holds nothing."""
    return value if isinstance(value, Mapping) else {}


def _weighted(reward: Mapping[str, Any]) -> float | None:
    score, weight = reward.get("score"), reward.get("weight", 1.0)
    numbers = isinstance(score, int | float) and isinstance(weight, int | float)
    return score * weight if numbers else None


_CUT = ("max_turns", "max_input_tokens", "max_output_tokens", "max_total_tokens")


def _role(node: Mapping[str, Any]) -> str:
    return str(_table(node.get("message")).get("role", ""))


DUMPS = (
    Dump("verl rollouts", (frozenset({"input", "output", "gts", "score"}),), _verl),
    Dump(
        "TRL's logged completions",
        (frozenset({"step", "prompt", "completion", "advantage"}),),
        _trl,
    ),
    Dump(
        "traces of verifiers",
        (frozenset({"task", "traces"}), frozenset({"task", "nodes", "rewards"})),
        _verifiers,
    ),
)
