"""The executor on Ray, with real worker processes of a real cluster on this machine."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("ray")
pytest.importorskip("trl")

from derl_trainers.runs.executors import Event, Executor, InProcess, make_executor
from derl_trainers.runs.executors.ray import RayWorkers
from derl_trainers.runs.jobs import PolicyJob
from derl_trainers.settings import run as c
from derl_trainers.tasks.arithmetic import ArithmeticSection
from tests.trainers import toy_jobs
from tests.trainers.toy_jobs import Broken, Sleep, Square
from tests.trainers.toys import inner, placed

TASK = c.TaskSection(arithmetic=ArithmeticSection(size=80, test_size=16, warmup_size=400, terms=3))
TINY = c.TinySection(hidden_size=32, intermediate_size=64, heads=2, steps=40, batch_size=32)
POLICY = c.PolicySection(tiny=TINY)
INNER = c.InnerSection(steps=2, prompts=4, num_generations=4, updates=2)
SECTION = c.ExecutorSection(kind="ray", workers=2)


def collect(executor: Executor, jobs: int) -> list[Event]:
    return toy_jobs.collect(executor, jobs, seconds=240)


def started(executor: Executor, job: int, events: list[Event], times: int = 1) -> int:
    """Wait until the job has started so often; the process id of its worker."""
    while True:
        found = [e.worker for e in events if e.kind == "started" and e.job == job]
        if len(found) == times:
            return found[-1]
        assert not any(e.kind == "failed" and e.job == job for e in events), events
        executor.poll(events.append, block=True)


@pytest.fixture(scope="module")
def workers() -> Iterator[RayWorkers]:
    with pytest.MonkeyPatch.context() as patch:
        # The cluster inherits it: its workers unpickle the jobs of toy_jobs.py.
        patch.setenv("PYTHONPATH", str(Path(__file__).parents[2]), prepend=os.pathsep)
        executor = make_executor(SECTION)
        assert isinstance(executor, RayWorkers)
        yield executor
        executor.close()


def test_an_inner_run_gives_the_numbers_of_this_process(
    workers: RayWorkers, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    policy = PolicyJob(TASK, POLICY, str(tmp_path / "policy"), 0)
    workers.submit(0, policy)
    (built,) = [e for e in collect(workers, 1) if e.kind == "done"]
    start = placed(policy, built.result)
    job = inner("g1 + 0.5 * g2", "derl-math", start, 3, task=TASK, inner=INNER)
    jobs = [job, replace(job, seed=4, save_to=str(tmp_path / "trained"))]
    here, there = InProcess(), workers
    for executor in (here, there):
        for name, each in enumerate(jobs):
            executor.submit(name, each)
    events = collect(there, 2)
    expected = [e.result for e in collect(here, 2) if e.kind == "done"]
    found = [e.result for e in sorted(events, key=lambda e: e.job) if e.kind == "done"]
    for one, other in zip(expected, found, strict=True):
        assert one["history"] == other["history"]
        assert one["pass_at_1"] == other["pass_at_1"]
        assert one["tokens"] == other["tokens"]
    assert expected[0]["history"] != expected[1]["history"]
    assert (tmp_path / "trained" / "config.json").is_file()
    assert next(e.kind for e in events if e.job == 0) == "started"
    assert {e.step for e in events if e.job == 0 and e.kind == "progress"} >= {2}
    assert capfd.readouterr() == ("", "")


def test_errors_and_killed_workers_concern_their_own_run(
    workers: RayWorkers, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    mark = tmp_path / "mark"
    events: list[Event] = []
    workers.submit(1, Sleep(60, str(mark)))
    workers.submit(2, Broken())
    workers.submit(3, Square(3))
    victim = started(workers, 1, events)
    while not mark.exists():
        workers.poll(events.append, block=False)
        assert not any(e.kind == "failed" and e.job == 1 for e in events), events
    os.kill(victim, signal.SIGKILL)
    events += collect(workers, 3 - sum(e.kind in ("done", "failed") for e in events))
    ends = {e.job: e for e in events if e.kind in ("done", "failed")}
    assert ends[2].error.splitlines()[0] == "ValueError: no such thing"
    assert sum(e.kind == "started" and e.job == 2 for e in events) == 1
    assert (ends[3].kind, ends[3].result["threads"]) == ("done", "1")
    # The run of the dead worker started again in another one.
    (lost,) = [e for e in events if e.kind == "lost"]
    assert (lost.job, lost.worker) == (1, victim)
    assert lost.error.startswith(f"worker {victim} on ")
    assert lost.error.splitlines()[0].endswith(" died: killed or crashed")
    assert ends[1].kind == "done"
    assert ends[1].result["pid"] != victim
    assert capfd.readouterr() == ("", "")


@pytest.mark.slow
def test_a_run_whose_worker_dies_each_time_fails_at_last(workers: RayWorkers) -> None:
    events: list[Event] = []
    workers.submit(1, Sleep(60))
    for times in (1, 2):
        os.kill(started(workers, 1, events, times), signal.SIGKILL)
    (failed,) = [e for e in collect(workers, 1) if e.kind == "failed"]
    assert failed.error.splitlines()[0].endswith("died: killed or crashed; tried 2 times")


@pytest.mark.slow
def test_an_idle_worker_that_died_costs_no_run(
    workers: RayWorkers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers.queue, "retries", 0)
    workers.submit(1, Sleep(1))
    workers.submit(2, Sleep(1))
    collect(workers, 2)
    victims = [slot.pid for slot in workers.slots if slot.pid]
    for pid in victims:
        os.kill(pid, signal.SIGKILL)
    # Ray knows of a death some time after it.
    calls = [slot.call for slot in workers.slots if slot.pid]
    _, unknown = workers.ray.wait(calls, num_returns=len(calls), timeout=240)
    assert not unknown
    workers.submit(3, Square(3))
    assert collect(workers, 1)[-1].result["pid"] not in victims


_OWNER = """
import sys, time
sys.path.insert(0, {folder!r})
from tests.trainers.toy_jobs import Sleep
from derl_trainers.runs.executors import make_executor
from derl_trainers.settings.run import ExecutorSection
executor = make_executor(ExecutorSection(kind="ray", workers=2))
try:
    executor.submit(1, Sleep(600))
    while True:
        executor.poll(lambda e: print(e.kind, e.worker, flush=True), block=True)
except KeyboardInterrupt:
    executor.close()
    print("closed", flush=True)
"""


@pytest.mark.slow
@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGKILL])
def test_nothing_is_left_of_an_owner_that_is_ended(end: signal.Signals) -> None:
    folder = str(Path(__file__).parents[2])
    owner = subprocess.Popen(
        [sys.executable, "-c", _OWNER.format(folder=folder)],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, "PYTHONPATH": folder},
    )
    assert owner.stdout is not None
    kind, worker = owner.stdout.readline().split()
    assert kind == "started"
    os.killpg(owner.pid, end) if end == signal.SIGINT else owner.kill()
    rest = owner.stdout.read()
    assert rest == ("closed\n" if end == signal.SIGINT else "")
    owner.wait(60)
    # Ray's agents, which hold nothing, look for their dead cluster for a minute or two.
    limit = time.monotonic() + (30 if end == signal.SIGINT else 180)
    while Path(f"/proc/{worker}").exists() or _of_session(owner.pid):
        assert time.monotonic() < limit, _of_session(owner.pid)
        time.sleep(0.1)


def _of_session(leader: int) -> list[str]:
    """Command lines of the processes of a session, or that Ray started for it."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = stat.read_text().rpartition(")")[2].split()
            if int(fields[3]) == leader and fields[0] != "Z":
                found.append((stat.parent / "cmdline").read_text().replace("\0", " "))
    return found


def test_missing_ray_is_told_with_the_fix(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(c.ConfigError, match=r"needs Ray: pip install 'derl-dsl\[ray\]'"):
        make_executor(SECTION)


def test_no_cluster_is_told_with_its_address() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    code = (
        "from derl_trainers.settings.run import ExecutorSection\n"
        "from derl_trainers.runs.executors import make_executor\n"
        f"make_executor(ExecutorSection(kind='ray', address={address!r}))\n"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    last = found.stderr.strip().splitlines()[-1]
    assert f"ConfigError: [executor] address: no Ray cluster at '{address}': " in last
    assert "Connection refused" in last
