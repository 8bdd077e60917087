"""What a reward costs beside the training it serves, and what the runtime adds to primitives."""

from __future__ import annotations

import itertools
import json
import tempfile
import threading
from pathlib import Path
from typing import Any

import derl_dsl
from benchmarks.run import Benchmark, Contender
from derl_dsl.elaborate.custom import REGISTRY
from derl_runtime.batch import Batch
from derl_runtime.cache import Cache
from derl_runtime.sources import Apply, Column

_ROWS = 1024
_REWARD = "g1 + 0.5 * g2 + 0.2 * g3 * g4"
_WARM_STEPS = 150
_COMPLETIONS = Path(derl_dsl.__file__).parent / "examples" / "gsm8k.jsonl"


class _Steps:
    """A GRPO run of the demo's inner loop that goes on by one sampling step when it is told to."""

    def __init__(self) -> None:
        self.reward = derl_dsl.compile(_REWARD, suite="derl-math")
        self.seen: list[dict[str, Any]] = []
        self._go, self._done = threading.Semaphore(0), threading.Semaphore(0)
        self._error: BaseException | None = None
        threading.Thread(target=self._train, daemon=True).start()
        self._wait()

    def step(self) -> None:
        """One sampling of 128 completions, their rewards, and the updates on them."""
        self._go.release()
        self._wait()

    def _wait(self) -> None:
        self._done.acquire()
        if self._error is not None:
            raise self._error

    def _pause(self, step: int, *_: object) -> None:
        self._done.release()
        self._go.acquire()

    def _scored(self, **columns: Any) -> list[float | None]:
        self.seen.append(columns)
        return self.reward(**columns)

    def _train(self) -> None:
        try:
            self._run()
        except BaseException as error:  # noqa: BLE001 - told to whoever waits for the next step
            self._error = error
            self._done.release()

    def _run(self) -> None:
        import torch

        from derl_trainers.inner.loop import train_inner
        from derl_trainers.policy.tiny import build_policy
        from derl_trainers.settings.run import BudgetSection, InnerSection, TinySection
        from derl_trainers.settings.sections import Training
        from derl_trainers.tasks.load import load_task
        from derl_trainers.tasks.table import TaskSection

        # As in the demo's workers.
        torch.set_num_threads(1)
        task = load_task(TaskSection())
        with tempfile.TemporaryDirectory(prefix="derl-bench-") as folder:
            policy = build_policy(task, TinySection(steps=_WARM_STEPS), folder, 0)
            training = Training(inner=InnerSection(steps=1000), budget=BudgetSection())
            train_inner(
                self._scored, policy, task.train, task.validation, training, progress=self._pause
            )


def _share() -> tuple[Contender, ...]:
    steps = _Steps()
    batches = steps.seen

    calls = itertools.count()

    def score() -> None:
        # What was scored in training is changed a little: nothing may remember it.
        last, call = batches[-1], next(calls)
        completions = [f"{text} {call}" for text in last["completions"]]
        steps.reward(**{**last, "completions": completions})

    return (
        Contender("the reward", score, f"`{_REWARD}` over 128 new completions"),
        Contender(
            "a step of TRL",
            steps.step,
            "sampling 128 completions, the reward, four updates; one torch thread",
            compared=False,
        ),
    )


def _gsm8k() -> dict[str, list[str]]:
    """1,024 real completions and their answers; no two alike."""
    rows = [json.loads(line) for line in _COMPLETIONS.read_text("utf-8").splitlines()]
    picked = [rows[i % len(rows)] for i in range(_ROWS)]
    return {
        "completion": [f"{row['completion']}\n({i})" for i, row in enumerate(picked)],
        "answer": [row["answer"] for row in picked],
    }


def _cached() -> tuple[Contender, ...]:
    from dataclasses import replace

    from derl_dsl.elaborate.scope import build_scope

    data, cache = _gsm8k(), Cache()
    primitive = build_scope("math").primitives["exact"]
    columns = tuple(Column(p.name, p.type) for p in primitive.params)

    def evaluate(cost: str, kept: Cache) -> None:
        Batch(data, cache=kept).values(Apply(replace(primitive, cost=cost), columns))

    return (
        Contender(
            "seen before",
            lambda: evaluate("parse", cache),
            "the columns are hashed, the values come from the cache",
        ),
        Contender(
            "new, kept",
            lambda: evaluate("parse", Cache()),
            "hashed, evaluated, kept",
        ),
        Contender(
            "evaluated",
            lambda: evaluate("scan", Cache()),
            "as a scan is: not hashed, done again for every batch",
        ),
    )


def _untrusted() -> tuple[Contender, ...]:
    folder = Path(tempfile.mkdtemp(prefix="derl-bench-"))
    source = folder / "no_op.py"
    source.write_text("def no_op(completion: text) -> number[0, 1]:\n    return 1\n")
    columns = {"completion": "text"}
    trusted = derl_dsl.compile("min(chars(completion), 1)", suite="length")
    does = "a reward that calls it: hashed, two or more processes behind walls"
    calls = itertools.count()
    texts = ["word " * 409] * _ROWS

    def score(reward: derl_dsl.Reward) -> None:
        call = next(calls)
        reward.score({"completion": [f"{text}{call}" for text in texts]})

    try:
        derl_dsl.load_primitives(source)
    except derl_dsl.PrimitiveError as error:
        first = Contender("untrusted no-op", None, str(error))
    else:
        reward = derl_dsl.compile("1 * no_op(completion)", columns=columns)
        REGISTRY.clear()
        first = Contender("untrusted no-op", lambda: score(reward), does)
    length = Contender("chars", lambda: score(trusted), "a trusted primitive, in this process")
    return first, length


def benchmarks() -> list[Benchmark]:
    """The benchmarks of this file."""
    return [
        Benchmark(
            "runtime-reward-share",
            "The reward beside a GRPO step of the demo's inner loop (at most 2% of it)",
            _share,
            rounds=12,
            target=0.01,
            quick=False,
        ),
        Benchmark(
            "runtime-cache",
            "A primitive over 1,024 real completions: `exact`, by content",
            _cached,
            rounds=15,
        ),
        Benchmark(
            "runtime-untrusted",
            "A reward of an untrusted no-op over 1,024 texts of 2 kB",
            _untrusted,
            rounds=20,
            target=0.025,
        ),
    ]
