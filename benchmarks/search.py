"""How many reward programs a second `derl-dsl search` screens on logged rollouts."""

from __future__ import annotations

import os
from functools import cache, partial
from importlib.resources import files
from pathlib import Path
from typing import Any

from benchmarks.run import Benchmark, Contender
from derl_dsl.generate.unparse import expression_text
from derl_dsl.score.reward import compile
from derl_dsl.tools.evaluate.evaluation import Question
from derl_dsl.tools.search.forest import Forest
from derl_dsl.tools.search.islands import Island, Settings, Task, explore
from derl_dsl.tools.search.problem import Problem, pose
from derl_dsl.tools.search.screen import Screen
from derl_runtime.data import read_rows

_COPIES = 11  # of 240 rows: 2,640
_PROGRAMS, _SEARCHED, _SIZE = 500, 200_000, 20


@cache
def rollouts() -> tuple[dict[str, Any], Problem]:
    """2,640 completions of GSM8K problems in groups of four, and what is searched on them."""
    rows = read_rows(Path(str(files("derl_dsl.examples") / "gsm8k.jsonl")))
    data: dict[str, Any] = {name: list(values) * _COPIES for name, values in rows.items()}
    count = len(rows["problem_id"])
    data["group"] = [f"{p} {k // count}" for k, p in enumerate(data["problem_id"])]
    question = Question("", suite="math+length", outcome="is_correct", group="group")
    return data, pose(question, data)


def screening() -> Benchmark:
    """The same number of programs, screened together and one by one."""
    data, problem = rollouts()
    part = problem.screened
    island = Island(problem.features, part, _SIZE)
    kept = island.run(Task("0", 5000, ())).kept
    screen, forest = Screen(problem.features, part), Forest(problem.features, _SIZE)
    known = [expression_text(forest.expression(forest.plant(e.tree))) for e in kept]
    texts = [known[k % len(known)] for k in range(_PROGRAMS)]
    columns = {name: [data[name][i] for i in part.index] for name in ("completion", "answer")}
    keys = [data["group"][i] for i in part.index]

    def one_by_one() -> None:
        for text in texts:
            values = compile(text, "math+length").score(columns, group=keys).values
            screen.survey(values[None])

    return Benchmark(
        "search-screening",
        f"Programs proposed, run and judged on {part.rows:,} rollouts, one core",
        (
            Contender(
                "derl-dsl search",
                lambda: island.run(Task("1", _PROGRAMS, kept[:50])),
                "terms with ranges, run many at once",
            ),
            Contender("compile and score", one_by_one, "given texts, checked and scored each"),
        ),
        rounds=5,
        unit="programs/s",
        amount=_PROGRAMS,
        target=1e6 / 60 / 2,
        budget=5,
    )


def all_cores() -> Benchmark:
    """A whole search with a process for each core, their start included."""
    _, problem = rollouts()
    workers = os.cpu_count() or 1
    settings = Settings(_SEARCHED, None, _SIZE, seed=0, workers=workers)
    run = partial(explore, problem.features, problem.screened, settings)
    return Benchmark(
        "search-all-cores",
        f"A search of {_SEARCHED:,} programs on {problem.screened.rows:,} rollouts, "
        f"{workers} processes",
        (Contender("derl-dsl search", run, "processes started, rounds, archive"),),
        rounds=3,
        unit="programs/s",
        amount=_SEARCHED,
        target=1e6 / 60,
        quick=False,
    )


def benchmarks() -> list[Benchmark]:
    """The benchmarks of this file."""
    return [screening(), all_cores()]
