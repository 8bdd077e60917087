"""GRPO training with TRL: failing primitives do not stop it; components and coroutines fit."""

from __future__ import annotations

import logging
import math
from pathlib import Path

import pytest

pytest.importorskip("trl")

from datasets import Dataset
from transformers import AutoModelForCausalLM, AutoTokenizer
from trl import GRPOConfig, GRPOTrainer

import derl_dsl
from derl_dsl.adapters import trl
from derl_dsl.elaborate.custom import REGISTRY
from derl_trainers.inner.loop import train_inner
from derl_trainers.policy.quiet import quiet
from derl_trainers.policy.tiny import build_policy
from derl_trainers.runs.store import Store
from derl_trainers.runs.view import fault_lines
from derl_trainers.settings.run import InnerSection, TaskSection
from derl_trainers.settings.sections import TinySection
from derl_trainers.tasks.arithmetic import ArithmeticSection, arithmetic
from derl_trainers.tasks.base import Task
from tests.trainers.toys import inner, training

STEPS = 5
CONFIG = training(steps=STEPS, prompts=4, num_generations=4, updates=1, max_completion_length=16)
DEADLINE = 0.3
UNTRUSTED = '''
def hangs(completion: text) -> number[0, 1]:
    """Never comes back.

    default: 0
    """
    while True:
        pass


def crashes(completion: text) -> number[0, 1]:
    """Raises.

    default: 0
    """
    return [][len(completion)]


def garbage(completion: text) -> number[0, 1] | None:
    """Gives something else than it says."""
    return completion


def works(completion: text) -> number[0, 1]:
    """The share of digits."""
    return sum([c in "0123456789" for c in completion]) / max(1, len(completion))
'''
REWARD = """\
ok = exact(completion, answer)
digits = works(completion)
a = hangs(completion)
b = crashes(completion)
c = default(garbage(completion), 0.25)
reward = ok + 0.5 * digits + a + b + c
"""


@pytest.fixture(scope="module")
def task() -> Task:
    return arithmetic(size=40, test_size=8, warmup_size=200, terms=3)


@pytest.fixture(scope="module")
def policy(task: Task, tmp_path_factory: pytest.TempPathFactory) -> Path:
    config = TinySection(hidden_size=32, intermediate_size=64, heads=2, steps=15, batch_size=16)
    return build_policy(task, config, tmp_path_factory.mktemp("policies"))


@pytest.fixture
def untrusted(tmp_path: Path):
    path = tmp_path / "untrusted.py"
    path.write_text(UNTRUSTED)
    yield derl_dsl.load_primitives(path, deadline=DEADLINE, workers=1)
    REGISTRY.clear()


class Recorded:
    """A reward that remembers what it was asked and what it said."""

    def __init__(self, reward: derl_dsl.Reward) -> None:
        self.reward, self.faults, self.__name__ = reward, reward.faults, "recorded"
        self.asked: list[tuple[list[str], list[str]]] = []
        self.said: list[list[float | None]] = []

    def __call__(self, completions, answer, **columns):
        self.asked.append((list(completions), list(answer)))
        self.said.append(self.reward(completions=completions, answer=answer, **columns))
        return self.said[-1]


def test_training_goes_on_while_primitives_hang_crash_and_lie(
    task: Task, policy: Path, untrusted, caplog: pytest.LogCaptureFixture
) -> None:
    reward = Recorded(derl_dsl.compile(REWARD, suite="math"))
    with caplog.at_level(logging.WARNING, "derl_runtime.faults"):
        result = train_inner(reward, policy, task.train, task.validation, CONFIG)

    assert len(result.history) == STEPS
    assert all(math.isfinite(record.reward_mean) for record in result.history)
    # Three hanging calls of a deadline each, and a busy machine.
    assert result.reward_seconds < 3 * DEADLINE + 10

    sound = derl_dsl.compile(
        "ok = exact(completion, answer)\n"
        "digits = works(completion)\nreward = ok + 0.5 * digits + 0.25",
        suite="math",
    )
    for (completions, answers), said, record in zip(
        reward.asked, reward.said, result.history, strict=True
    ):
        expected = sound.score({"completion": completions, "answer": answers})
        digits = [sum(c in "0123456789" for c in t) / max(1, len(t)) for t in completions]
        assert expected.parts["digits"].tolist() == digits
        assert said == expected.values.tolist()
        assert record.components["ok"] == pytest.approx(expected.parts["ok"].mean())
        assert record.components["digits"] == pytest.approx(expected.parts["digits"].mean())
        assert (record.components["a"], record.components["c"]) == (0.0, 0.25)

    rows = CONFIG.inner.completions
    told = {(t.name.partition("(")[0], t.kind): (t.batches, t.rows) for t in result.faults}
    for name, kind in (("hangs", "timeout"), ("crashes", "crash"), ("garbage", "protocol")):
        # On a busy machine rows of any of them may miss the deadline.
        failed = {k: rows for (n, k), (_, rows) in told.items() if n == name and k != "quarantined"}
        assert failed.keys() <= {kind, "timeout"}
        assert failed[kind] > 0
        assert sum(failed.values()) == 3 * rows
        assert told[name, "quarantined"] == (2, 2 * rows)
    assert reward.faults.quarantined == ("crashes", "garbage", "hangs")
    summary = str(reward.faults)
    for kind, name in (("timeout", "hangs"), ("crash", "crashes"), ("protocol", "garbage")):
        assert f"{name}(completion): {kind}, " in summary
        assert any(r.message.startswith(f"{kind} in {name}(completion): ") for r in caplog.records)
        assert any(r.message.startswith(f"{name} failed 3 times") for r in caplog.records)
    assert untrusted[0].name == "hangs"


def test_faults_of_a_job_are_in_the_run_store(policy: Path, tmp_path: Path, untrusted) -> None:
    origins = tuple({entry.origin for entry in REGISTRY.values()})
    REGISTRY.clear()
    job = inner(
        "exact(completion, answer) + crashes(completion)", "math", str(policy),
        task=TaskSection(
            arithmetic=ArithmeticSection(size=40, test_size=8, warmup_size=200, terms=3)
        ),
        inner=InnerSection(
            steps=2, prompts=2, num_generations=2, updates=1, max_completion_length=8
        ),
        primitives=origins, quarantine=1,
    )  # fmt: skip
    result = job.run(lambda *_: None)
    (held,) = result["sandbox"].values()
    assert held in ("restricted, strict", "restricted, standard")
    store = Store.create(tmp_path / "run", "test", 0, {}, {})
    with store.running():
        for _ in range(2):
            name = store.add_job("search", "x", 0, "f", "k")
            store.finish_job(name, result["pass_at_1"], 1.0, result)
        name = store.add_job("search", "without faults", 0, "f", "l")
        store.finish_job(name, 0.5, 1.0, {"pass_at_1": 0.5})
    found = {t.kind: (t.name, t.batches, t.rows) for t in store.faults()}
    assert found == {
        "crash": ("crashes(completion)", 2, 8),
        "quarantined": ("crashes(completion)", 2, 8),
    }
    assert fault_lines(store)[2].startswith("  crashes(completion): crash, 8 rows in 2 batches")
    store.close()


@pytest.mark.parametrize("wrap", [lambda f: f, trl.asynchronous], ids=["functions", "coroutines"])
def test_components_train_like_the_reward(task: Task, policy: Path, tmp_path: Path, wrap) -> None:
    reward = derl_dsl.compile(
        "ok = exact(completion, answer)\nshort = 1 - ramp(chars(completion), 2, 40)\n"
        "reward = 0.75 * ok + 0.25 * short",
        suite="math",
    )
    funcs, weights = trl.components(reward)
    seen = []

    def spy(completions, answer, **_):
        seen.append(reward.score({"completion": completions, "answer": answer}))
        return [0.0] * len(completions)

    with quiet():
        model = AutoModelForCausalLM.from_pretrained(policy)
        trainer = GRPOTrainer(
            model=model,
            reward_funcs=[*map(wrap, funcs), spy],
            args=GRPOConfig(
                output_dir=str(tmp_path), max_steps=2, per_device_train_batch_size=8,
                num_generations=4, max_completion_length=16, reward_weights=[*weights, 0.0],
                logging_steps=1, save_strategy="no", report_to="none", disable_tqdm=True,
                bf16=False, use_cpu=True, gradient_checkpointing=False, seed=3,
            ),
            train_dataset=Dataset.from_list(
                [{"prompt": e.prompt, "answer": e.answer} for e in task.train]
            ),
            processing_class=AutoTokenizer.from_pretrained(policy, padding_side="left"),
        )  # fmt: skip
        trainer.train()
    logs = [entry for entry in trainer.state.log_history if "reward" in entry]
    assert len(logs) == len(seen) == 2
    for entry, scores in zip(logs, seen, strict=True):
        assert entry["reward"] == pytest.approx(scores.values.mean(), abs=1e-6)
        for name in ("ok", "short"):
            assert entry[f"rewards/{name}/mean"] == pytest.approx(
                scores.parts[name].mean(), abs=1e-6
            )
