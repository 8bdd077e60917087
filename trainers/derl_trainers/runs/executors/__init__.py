"""Executors: where jobs are computed. In this process, in warm worker processes, or on Ray.

All take jobs with `submit` and report with `poll`, in one thread: whoever owns the run store is
the only one who writes it.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from derl_trainers.runs.executors.base import Event as Event
from derl_trainers.runs.executors.base import Executor as Executor
from derl_trainers.runs.executors.local import InProcess, Workers
from derl_trainers.runs.executors.local import prepare as prepare
from derl_trainers.settings.run import ExecutorSection


def threads_of(config: ExecutorSection, small: bool) -> int:
    """Torch threads of each local worker; `small` says that the policy is the one built here.

    >>> threads_of(ExecutorSection(workers=2), small=True)
    1
    >>> threads_of(ExecutorSection(threads=3), small=True)
    3
    """
    if config.threads or small:
        return config.threads or 1
    at_once = 1 if config.kind == "inprocess" else config.workers
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return max(1, (cores or 1) // at_once)


def make_executor(
    config: ExecutorSection, devices: Sequence[str] = (), small: bool = True
) -> Executor:
    """The executor of a config; its workers are starting when this returns.

    `devices` are the GPUs that local workers get in turn, where the config names none; `small` says
    that the policy is the one built here, which one thread serves best.

    Raises ConfigError when Ray is wanted and is not installed, not to be reached, or lacks what a
    worker needs.
    """
    threads = threads_of(config, small)
    if config.kind == "inprocess":
        return InProcess(threads)
    if config.kind == "workers":
        gpus = config.devices or devices
        return Workers(config.workers, config.retries, gpus, config.timeout, threads)
    from derl_trainers.runs.executors.ray import RayWorkers

    return RayWorkers(config)
