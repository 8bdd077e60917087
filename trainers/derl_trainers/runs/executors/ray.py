"""The executor on Ray: inner runs in warm worker processes of this machine or of a cluster.

Each worker is an actor, not a task, since it must stay warm: Ray ends a task's process when it is
idle and others are wanted, and after every task that has a GPU, and the imports of the next one
take longer than a short inner run. An actor keeps its process, its resources and its GPU.
"""

from __future__ import annotations

import contextlib
import logging
import math
import os
import pickle
import socket
import time
from dataclasses import dataclass
from queue import SimpleQueue
from threading import Thread
from typing import Any

from derl_trainers.runs.executors.base import (
    ENVIRONMENT,
    Event,
    Listener,
    Queue,
    Task,
    compute,
    warm_up,
)
from derl_trainers.runs.jobs import Job
from derl_trainers.settings.run import ConfigError, ExecutorSection

_INHERITED = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")  # local workers have all of it
_OBJECT_STORE = 128 * 2**20  # bytes; jobs and results are small, and /dev/shm may be
# What Ray says of a worker's end, and what that means.
_CAUSES = (
    ("node has died", "its node died"),
    ("OUT_OF_MEMORY", "killed, for its node ran out of memory"),
    ("SYSTEM_ERROR", "killed or crashed"),
)


class Host:
    """What lives in a worker process: jobs in, events out, computed by one thread.

    The calls of Ray take turns with the job, so it has a thread; the same for all jobs, since the
    walled processes of untrusted primitives end with the thread that started them.
    """

    def __init__(self, threads: int, folder: str) -> None:
        # Paths of jobs may be relative to where the owner runs; a node may lack that folder, and
        # then only paths that all nodes share will do.
        with contextlib.suppress(FileNotFoundError):
            os.chdir(folder)
        warm_up(threads)
        self.jobs: SimpleQueue[tuple[int, bytes]] = SimpleQueue()
        self.events: SimpleQueue[Event] = SimpleQueue()
        Thread(target=self._work, args=(threads,), daemon=True).start()

    def where(self) -> tuple[int, str]:
        """Process id and name of the machine."""
        return os.getpid(), socket.gethostname()

    def begin(self, name: int, job: bytes) -> None:
        """Compute a pickled job; the one before is done."""
        self.jobs.put((name, job))

    def news(self) -> list[Event]:
        """The events since the last call; waits for one."""
        events = [self.events.get()]
        while not self.events.empty():
            events.append(self.events.get())
        return events

    def _work(self, threads: int) -> None:
        import torch

        from derl_trainers.policy.quiet import quiet

        torch.set_num_threads(threads)  # of this thread, too
        with quiet():
            while True:
                name, job = self.jobs.get()
                compute(name, _Pickled(job), self.events.put)


@dataclass(frozen=True, slots=True)
class _Pickled:
    """A job that is unpickled when it runs: what it lacks in the worker is an error of its own."""

    job: bytes

    def run(self, progress: Any) -> dict[str, Any]:
        found: Job = pickle.loads(self.job)
        return found.run(progress)


@dataclass(slots=True)
class _Slot:
    """A worker as its owner sees it; `call` is the pending answer: `where` first, then `news`.

    `actor` is None for one that died before it was ready. `task` is what it computes, since
    `since`.
    """

    actor: Any
    call: Any
    pid: int = 0
    node: str = ""
    task: Task | None = None
    since: float = 0.0

    @property
    def idle(self) -> bool:
        return self.pid > 0 and self.task is None


class RayWorkers:
    """Warm workers on Ray; a cluster of this machine is started and ended with them.

    Raises ConfigError when Ray is not installed, not to be reached, or this machine lacks what the
    workers need.
    """

    def __init__(self, config: ExecutorSection) -> None:
        self.config = config
        self.ray = _load_ray()
        self.connected_here = _connect(self.ray, config)
        self.queue = Queue(config.retries)
        threads = max(1, int(config.cpus))
        environment = {**ENVIRONMENT, "OMP_NUM_THREADS": str(threads)}
        environment |= {name: os.environ[name] for name in _INHERITED if name in os.environ}
        if not config.gpus:
            environment["CUDA_VISIBLE_DEVICES"] = ""
        self.actor = self.ray.remote(Host).options(
            num_cpus=config.cpus,
            num_gpus=config.gpus,
            runtime_env={"env_vars": environment},
            max_restarts=0,
            max_concurrency=2,  # `begin` while `news` waits
        )
        self.threads = threads
        self.slots = [self._start() for _ in range(config.workers)]

    def _start(self) -> _Slot:
        actor = self.actor.remote(self.threads, os.getcwd())
        return _Slot(actor, actor.where.remote())

    def submit(self, name: int, job: Job) -> None:
        """Queue a job and hand it to a worker as soon as one is ready."""
        self.queue.waiting.append(Task(name, job))
        self._dispatch()

    def _dispatch(self) -> None:
        for i, slot in enumerate(self.slots):
            if not self.queue.waiting:
                return
            # An idle worker has no news but that of its death.
            if slot.actor is None or (slot.idle and self._answered([slot], wait=False)):
                self.slots[i] = self._start()
            elif slot.idle:
                slot.task, slot.since = self.queue.waiting.popleft(), time.monotonic()
                slot.actor.begin.remote(slot.task.name, pickle.dumps(slot.task.job))

    def poll(self, listener: Listener, block: bool) -> None:
        """Hand over the events there are; a worker's death concerns its job and no other."""
        work = bool(self.queue.waiting) or any(slot.task is not None for slot in self.slots)
        alive = [slot for slot in self.slots if slot.actor is not None]
        for slot in self._answered(alive, wait=block and work):
            for event in self._news(slot):
                listener(event)
        self._dispatch()

    def _answered(self, slots: list[_Slot], wait: bool) -> list[_Slot]:
        """Those whose call is answered; with `wait`, at least one."""
        calls = {slot.call: slot for slot in slots}
        if not calls:
            return []
        if wait:
            self.ray.wait(list(calls), num_returns=1)
        ready, _ = self.ray.wait(list(calls), num_returns=len(calls), timeout=0)
        return [calls[call] for call in ready]

    def _news(self, slot: _Slot) -> list[Event]:
        try:
            answer = self.ray.get(slot.call)
        except self.ray.exceptions.RayError as error:
            return self._death(slot, str(error))
        slot.call = slot.actor.news.remote()
        if not slot.pid:
            slot.pid, slot.node = answer
            return []
        if answer[-1].kind in ("done", "failed"):
            slot.task = None
        events: list[Event] = answer
        return events

    def _death(self, slot: _Slot, said: str) -> list[Event]:
        """A worker is gone, or out of reach, which is the same; its job is lost."""
        self.ray.kill(slot.actor)
        at = self.slots.index(slot)
        if slot.pid:
            self.slots[at] = self._start()
            known = (means for sign, means in _CAUSES if sign in said)
            how = f"worker {slot.pid} on {slot.node} died: {next(known, _last_line(said))}"
            task, seconds = slot.task, time.monotonic() - slot.since
        else:
            # Started again when there is a job for it; each failure costs a job one of its tries,
            # so that workers that cannot start come to an end.
            slot.actor = None
            how = f"a worker could not start: {_last_line(said)}"
            task, seconds = self.queue.waiting.popleft() if self.queue.waiting else None, 0.0
        if task is None:
            return []
        return [self.queue.lost(task, slot.pid, seconds, how, said)]

    def close(self) -> None:
        """End the workers at once, also in the middle of a job, and the cluster started here."""
        self.queue.waiting.clear()
        for slot in self.slots:
            if slot.actor is not None:
                self.ray.kill(slot.actor)
        self.slots.clear()
        if self.connected_here:
            self.ray.shutdown()


def _last_line(text: str) -> str:
    return text.strip().splitlines()[-1].strip()


def _load_ray() -> Any:
    """Ray, told to be quiet and to send nothing home."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    # Whether a worker without a GPU sees one is set here, not by a default that changes.
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    try:
        import ray
    except ImportError:
        raise ConfigError("[executor] kind: 'ray' needs Ray: pip install 'derl-dsl[ray]'") from None
    return ray


def _connect(ray: Any, config: ExecutorSection) -> bool:
    """Start or join a cluster; False where the caller has done so."""
    if ray.is_initialized():
        return False
    quiet = {"logging_level": logging.ERROR, "log_to_driver": False}
    # A worker's death is an event here; Ray would print it into the screen as well.
    ray._private.worker._worker_logs_enabled = False
    if config.address == "local":
        ray.init(
            address="local",
            num_cpus=math.ceil(config.workers * config.cpus),
            include_dashboard=False,
            object_store_memory=_OBJECT_STORE,
            **quiet,
        )
    else:
        try:
            _reach(config.address)
            ray.init(address=config.address, **quiet)
        except (OSError, RuntimeError, ValueError, ImportError) as error:
            said = str(error).strip().splitlines()[0]
            raise ConfigError(
                f"[executor] address: no Ray cluster at {config.address!r}: {said}; "
                "one with token authentication wants RAY_AUTH_MODE=token here, too"
            ) from error
    _check_resources(ray, config)
    return True


def _reach(address: str) -> None:
    """Ray tries for two minutes to connect where nobody listens; so it is asked first."""
    host, colon, port = address.rpartition(":")
    if colon and "/" not in host and port.isdecimal():  # not "auto", not "ray://…"
        socket.create_connection((host.strip("[]"), int(port)), timeout=10).close()


def _check_resources(ray: Any, config: ExecutorSection) -> None:
    """What is missing here is an error; a cluster may still get it, so there it is a warning."""
    if config.address == "local":
        there, wanted = ray.cluster_resources().get("GPU", 0.0), config.workers * config.gpus
        if wanted > there:
            ray.shutdown()
            raise ConfigError(
                f"[executor] gpus: {config.workers} workers of {config.gpus:g} need {wanted:g}, "
                f"and this machine has {there:g}; gpus = 0 computes on the CPU"
            )
        return
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    if not any(
        node.get("CPU", 0) >= config.cpus and node.get("GPU", 0) >= config.gpus for node in nodes
    ):
        logging.getLogger(__name__).warning(
            "no node of the Ray cluster has %g CPUs and %g GPUs for a worker: waiting for one",
            config.cpus,
            config.gpus,
        )
