"""Workers, devices, signals, and what a run gives back."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import weakref
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("trl")


from derl_trainers.cli.shared import ended_as_by_ctrl_c
from derl_trainers.estimates import quantile
from derl_trainers.inner.loop import train_inner
from derl_trainers.runs.executors import devices
from derl_trainers.runs.executors.base import Event
from derl_trainers.runs.executors.local import Workers
from derl_trainers.tasks.base import Task
from tests.trainers.toys import GROUP, math_reward

pytestmark = pytest.mark.xdist_group("training")


class Seen:
    """A job that says which GPU it sees."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.seconds = seconds

    def depends(self) -> dict[str, Any]:
        return {}

    def run(self, progress: Any) -> dict[str, Any]:
        import time

        time.sleep(self.seconds)
        return {"device": os.environ.get(devices.VARIABLE)}


def test_each_worker_sees_one_device_and_a_hung_job_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]), prepend=os.pathsep)
    workers = Workers(2, devices=("4", "5"), timeout=8.0)
    events: list[Event] = []
    try:
        for name in range(2):
            workers.submit(name, Seen(0.5))
        workers.submit(2, Seen(600))
        while sum(e.kind in ("done", "failed") for e in events) < 3:
            workers.poll(events.append, block=True)
    finally:
        workers.close()
    done = [e.result["device"] for e in events if e.kind == "done"]
    assert sorted(done) == ["4", "5"]
    (hung,) = [e for e in events if e.kind == "failed"]
    assert "its job was ended after [executor] timeout = 8 seconds" in hung.error


def test_a_process_takes_one_of_several_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(devices.VARIABLE, "0, 1,2")
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    found = devices.visible()
    assert found == ("0", "1", "2")
    devices.take_one(found)
    assert os.environ[devices.VARIABLE] == "2"
    assert [devices.of_worker(found, k) for k in range(4)] == ["0", "1", "2", "0"]
    assert devices.of_worker(("0",), 3) is None
    # Under torchrun each process has its own by its rank.
    monkeypatch.setenv(devices.VARIABLE, "0,1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    devices.take_one(devices.visible())
    assert os.environ[devices.VARIABLE] == "0,1"


def test_sigterm_ends_as_ctrl_c_does() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt), ended_as_by_ctrl_c():
        os.kill(os.getpid(), signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) is before


def test_the_t_quantile_is_that_of_its_degrees_of_freedom() -> None:
    known = {1: 12.70620, 7: 2.364624, 30: 2.042272, 31: 2.039513, 60: 2.000298, 300: 1.967903}
    assert [quantile(n) for n in known] == pytest.approx([*known.values()], rel=5e-5)


@pytest.mark.slow
def test_a_token_budget_ends_all_processes_of_torchrun_alike(tmp_path: Path) -> None:
    sets = [
        "inner.prompts=2", "inner.num_generations=4", "inner.updates=1",
        "inner.max_completion_length=12", "task.arithmetic.size=40",
        "task.arithmetic.test_size=10", "task.arithmetic.terms=3",
        "task.arithmetic.warmup_size=200", "policy.tiny.steps=20",
        "policy.tiny.hidden_size=32", "policy.tiny.heads=2", "budget.tokens=150",
    ]  # fmt: skip
    command = [
        sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2", "-m", "derl_dsl",
        "train", "-e", "g1 + 0.1*g4", "-s", "derl-math", "--steps", "4", "--out", "out",
        *(part for one in sets for part in ("--set", one)),
    ]  # fmt: skip
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("budget of 150 tokens reached") == 1
    found = json.loads((tmp_path / "out" / "metrics.json").read_text())
    # Four completions a process and step, and both count.
    assert found["tokens"] >= 150
    assert found["steps"] == 2


def test_a_run_gives_back_its_memory(
    task: Task, policy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import derl_trainers.inner.loop as module

    seen: list[Any] = []
    real = module._trainer

    def kept(*arguments: Any) -> Any:
        trainer = real(*arguments)
        seen.extend(map(weakref.ref, (trainer, trainer.model)))
        return trainer

    monkeypatch.setattr(module, "_trainer", kept)
    train_inner(
        math_reward("g3 + chars(completion) / 100"), policy, task.train, task.validation, GROUP
    )
    assert [ref() for ref in seen] == [None, None]
