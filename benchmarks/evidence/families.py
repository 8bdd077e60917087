"""Which three families of reasoning-gym are used: the rule of PREREGISTRATION.md, applied.

    python -m benchmarks.evidence.families --out benchmarks/results/evidence/families.json

The first two conditions are read off the families; the others train the small policy, family by
family in alphabetical order, until three hold, or as many as are asked for. What the file has of
families that were looked at is not done again. Seconds are the processor's, on one core.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from reasoning_gym.factory import DATASETS, create_dataset

from benchmarks.evidence.plan import HERE
from derl_trainers.inner.loop import train_inner
from derl_trainers.policy.answers import greedy_right
from derl_trainers.policy.loading import load_policy
from derl_trainers.policy.tiny import build_policy
from derl_trainers.reading import as_toml
from derl_trainers.settings.run import RunConfig, load_config
from derl_trainers.tasks.base import Task, TaskError
from derl_trainers.tasks.gym import official, scores
from derl_trainers.tasks.load import load_task

LENGTHS = (100, 200, 400, 700)
_ROWS, _LONG, _ANSWER, _DISTINCT = 200, 160, 40, 3072
_SUITE = "math+similarity"  # and gym_score, which the task brings
_LOW, _HIGH, _SECONDS, _WANTED = 0.03, 0.40, 60.0, 3
_HALVINGS, _RATES, _RISE = 3, (1.0, 3.0), 0.03


def readable(family: str) -> str:
    """Why a family fails the first two conditions; empty when it holds them."""
    try:
        stream = create_dataset(family, seed=0, size=2 * _DISTINCT)
        rows = [stream[i] for i in range(_ROWS)]
    except Exception as error:  # noqa: BLE001 - whatever a family does at its defaults, it is out
        return f"cannot be drawn: {type(error).__name__}"
    questions, answers = ([str(row[name]) for row in rows] for name in ("question", "answer"))
    if not all((q + a).replace("\n", "").isprintable() and (q + a).isascii()
               for q, a in zip(questions, answers, strict=True)):  # fmt: skip
        return "not ASCII"
    if max(map(len, questions)) > _LONG or max(map(len, answers)) > _ANSWER:
        return f"questions up to {max(map(len, questions))}, answers {max(map(len, answers))}"
    if not (all(map(_number, answers)) or any(partial(stream, row) for row in rows)):
        return "no score in between"
    distinct: set[str] = set()
    for row in stream:
        distinct.add(row["question"])
        if len(distinct) >= _DISTINCT:
            return ""
    return f"{len(distinct)} distinct problems"


def _number(answer: str) -> bool:
    """Whether an answer is a plain number, to which others are nearer or farther."""
    return re.fullmatch(r"-?\d+(\.\d+)?", answer) is not None


def partial(stream: Any, row: dict[str, Any]) -> bool:
    """Whether some near miss of the gold answer earns a part of the score."""
    gold, rng = str(row["answer"]), random.Random(0)
    at = rng.randrange(len(gold))
    swapped = gold[: at - 1] + gold[at] + gold[at - 1] + gold[at + 1 :] if at else gold
    wrong = "0" if gold[at] != "0" else "1"
    near = (gold[:at] + wrong + gold[at + 1 :], swapped, gold[: len(gold) // 2])
    try:
        return any(0.05 < float(stream.score_answer(text, row)) < 1 for text in near)
    except Exception:  # noqa: BLE001 - a scorer that a wrong answer breaks is no judge
        return False


def teachable(config: RunConfig) -> dict[str, Any]:
    """The first length of teaching with a start in range, and what inner runs make of it."""
    try:
        task = load_task(config.task)
    except TaskError as error:
        return {"out": str(error)}  # teaching takes 4,000 problems beside the 3,072
    tried: list[dict[str, float]] = []
    with tempfile.TemporaryDirectory() as scratch:
        for steps in _lengths(tried):
            tiny = replace(config.policy.tiny, steps=steps)
            path = build_policy(task, tiny, scratch, 100)
            model, tokenizer = load_policy(str(path), config.policy)
            right = greedy_right(model, tokenizer, task.validation, official, config.training)
            tried.append({"steps": steps, "pass_at_1": float(right.mean())})
            if _LOW <= right.mean() <= _HIGH:
                return {"tried": tried, "steps": steps, "runs": runs(config, task, path)}
    return {"tried": tried}


def _lengths(tried: Sequence[Mapping[str, Any]]) -> Iterator[int]:
    """Lengths of teaching: the given ones, and where range is leapt over those in the middle."""
    below = 0
    for steps in LENGTHS:
        yield steps
        if tried[-1]["pass_at_1"] > _HIGH:
            break
        below = steps
    else:
        return
    above = steps
    for _ in range(_HALVINGS):
        middle = (below + above) // 2
        yield middle
        if tried[-1]["pass_at_1"] > _HIGH:
            above = middle
        else:
            below = middle


def runs(config: RunConfig, task: Task, start: Path) -> list[dict[str, float]]:
    """An inner run with the official score as its reward, at each rate."""
    found = []
    for rate in _RATES:
        inner = replace(config.inner, learning_rate=rate * config.inner.learning_rate)
        training = replace(config.training, inner=inner)
        began = time.process_time()
        run = train_inner(_official, start, task.train, task.validation, training, scorer=official)
        seconds = time.process_time() - began
        found.append({"rate": rate, "pass_at_1": run.pass_at_1, "seconds": seconds})
    return found


def holds(one: Mapping[str, Any]) -> bool:
    """Whether a family that could be taught is trained by an inner run, and in time."""
    if "runs" not in one:
        return False
    before, after = one["tried"][-1]["pass_at_1"], max(run["pass_at_1"] for run in one["runs"])
    in_time = all(run["seconds"] <= _SECONDS for run in one["runs"])
    return bool(in_time and after - before >= _RISE)


def _official(completions: list[str], answer: list[str], **_: Any) -> list[float | None]:
    """The family's own score of each completion."""
    return list(map(float, scores(completions, answer)))


def settings(family: str) -> RunConfig:
    """The demo's settings on a family, its question alone as the prompt."""
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch) / "family.toml"
        base = json.dumps(str((HERE / "arithmetic.toml").absolute()))
        text = config_text(family, LENGTHS[-1]).replace('"arithmetic.toml"', base)
        file.write_text(text, "utf-8")
        return load_config(str(file), {})


def config_text(family: str, steps: int) -> str:
    """The config of a family's blocks, with the length of teaching that the rule found."""
    over = {
        "extends": "arithmetic.toml",
        "name": f"evidence-{family.replace('_', '-')}",
        "suite": _SUITE,
        "task": {
            "name": "reasoning-gym",
            "reasoning_gym": {
                "family": family, "seed": 7, "template": "{question}\n", "warmup_size": 4000,
            },
        },
        "policy": {"tiny": {"steps": steps}},
        "inner": {"max_completion_length": 48},
        "meta": {"max_tokens": 128},
    }  # fmt: skip
    return as_toml(over)


def main() -> None:
    """Apply the rule, and write what was found of every family that was looked at."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--wanted", type=int, default=_WANTED, help="families that are enough")
    given = parser.parse_args()
    torch.set_num_threads(1)
    out: Path = given.out
    found: dict[str, Any] = json.loads(out.read_text("utf-8")) if out.exists() else {}
    for family in sorted(set(DATASETS) - set(found)):
        why = readable(family)
        found[family] = {"out": why} if why else teachable(settings(family))
        one = found[family]
        if holds(one):
            one["taken"] = True
            (HERE / f"{family}.toml").write_text(config_text(family, one["steps"]), "utf-8")
        print(family, json.dumps(one), flush=True)
        out.write_text(json.dumps(found, indent=1) + "\n", "utf-8")
        if sum("taken" in each for each in found.values()) == given.wanted:
            break


if __name__ == "__main__":
    main()
