"""What is known of processors and who had them: it says when a turn, or a batch, is over."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest

from derl_runtime import deadline
from derl_runtime.deadline import BUSY
from derl_runtime.sandbox import turns

_SPINS = "import threading\ndef f():\n    while True: pass\nthreading.Thread(target=f).start()\n"


@pytest.fixture
def spinning():
    """A process whose first thread sleeps while another one spins."""
    code = f"{_SPINS}print(1, flush=True)\nimport time\ntime.sleep(1000)"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        yield child
        child.kill()


def test_a_process_sleeps_when_all_its_threads_do(spinning):
    assert not any(turns.sleeps(spinning.pid) for _ in range(50))
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        while not turns.sleeps(child.pid):
            time.sleep(0.01)
        child.kill()


def test_children_and_what_was_reaped_of_them(spinning):
    assert spinning.pid in turns.children(os.getpid())
    assert turns.children(spinning.pid) == []
    before = turns.reaped(os.getpid())
    code = "import time\nwhile time.process_time() < 0.1: pass"
    subprocess.run([sys.executable, "-c", code], check=True)
    assert turns.reaped(os.getpid()) - before >= 0.1 - 0.04  # four counts, each in whole ticks


def test_processors_are_idle_at_most_all_the_time():
    start, before = time.monotonic(), turns.idle()
    time.sleep(0.1)
    spent = turns.idle() - before
    most = (time.monotonic() - start) * len(os.sched_getaffinity(0))
    assert 0 <= spent <= most + 0.02 * len(os.sched_getaffinity(0))  # it is counted in ticks


@pytest.mark.parametrize(
    ("waited", "used", "put_off"),
    [
        (5.0, 8.0, 0.0),  # its jobs waited for one another
        (5.0, 4.0, 1.0),  # others had half of the processors for two seconds
        (0.5, 4.0, 0.5),  # they had them while its jobs slept
        (1e9, -1e9, BUSY * 1.0),
    ],
)
def test_a_deadline_is_put_off_by_what_others_took(monkeypatch, waited, used, put_off):
    told = {"used": 0.0, "now": 100.0}
    monkeypatch.setattr(deadline, "time", SimpleNamespace(monotonic=lambda: told["now"]))
    ends = deadline.Deadline(1.0, 4, lambda: told["used"], lambda: waited)
    assert ends.left() == 1.0
    told.update(used=used, now=102.0)
    assert ends.left() == put_off - 1
