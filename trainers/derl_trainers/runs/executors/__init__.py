"""Executors: where jobs are computed. In this process, in warm worker processes, or on Ray.

All take jobs with `submit` and report with `poll`, in one thread: whoever owns the run store is
the only one who writes it.
"""

from __future__ import annotations

from collections.abc import Sequence

from derl_trainers.runs.executors.base import Event as Event
from derl_trainers.runs.executors.base import Executor as Executor
from derl_trainers.runs.executors.local import InProcess, Workers
from derl_trainers.runs.executors.local import prepare as prepare
from derl_trainers.settings.run import ExecutorSection


def make_executor(config: ExecutorSection, devices: Sequence[str] = ()) -> Executor:
    """The executor of a config; its workers are starting when this returns.

    `devices` are the GPUs that local workers get in turn, where the config names none.

    Raises ConfigError when Ray is wanted and is not installed, not to be reached, or lacks what a
    worker needs.
    """
    if config.kind == "inprocess":
        return InProcess()
    if config.kind == "workers":
        return Workers(config.workers, config.retries, config.devices or devices, config.timeout)
    from derl_trainers.runs.executors.ray import RayWorkers

    return RayWorkers(config)
