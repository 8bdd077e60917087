"""A deadline for what an environment does: one that hangs or raises loses its episode, not the run.

In the main thread of a process, where runs are computed, a timer's signal ends Python code that
does not come back. ScienceWorld's Java process has a deadline of its own.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import TypeVar

from derl_trainers.tasks.environments.base import EnvironmentFault

T = TypeVar("T")


class _Late(BaseException):
    """Raised by the timer; no environment's `except Exception` swallows it."""


def _late(_signal: int, _frame: FrameType | None) -> None:
    raise _Late


def guarded(call: Callable[[], T], seconds: float) -> T:
    """What `call` gives; EnvironmentFault when it raises, or gives nothing within the seconds.

    >>> guarded(lambda: 1 / 0, 1.0)
    Traceback (most recent call last):
    derl_trainers.tasks.environments.base.EnvironmentFault: the environment raised \
ZeroDivisionError: division by zero
    """
    try:
        return _timed(call, seconds)
    except EnvironmentFault:
        raise
    except _Late:
        raise EnvironmentFault(f"the environment gave no answer in {seconds:g} s") from None
    except Exception as error:
        said = (str(error).splitlines() or [""])[0][:200]
        raise EnvironmentFault(f"the environment raised {type(error).__name__}: {said}") from error


def _timed(call: Callable[[], T], seconds: float) -> T:
    if threading.current_thread() is not threading.main_thread():
        return call()
    before = signal.signal(signal.SIGALRM, _late)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        return call()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)
