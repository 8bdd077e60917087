"""The workers behind math_equal: deadlines, crashes, threads, forks, and nothing left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import numpy as np
import pytest

import derl_dsl
from derl_primitives.equality import math_equal
from derl_primitives.extras import MATH, MissingExtra
from derl_primitives.verification import Failure, Limits, Verifier, pool, process
from derl_primitives.verification.process import Broken, _verdict
from derl_runtime.deadline import BUSY

HANGS = ("5", "9^{9^{9^{9}}}", True)
EASY = [(str(n), f"{n - 1} + 1", True) for n in range(2, 40)]


@pytest.fixture
def verifier():
    found = Verifier(Limits(deadline=1.0, workers=1))
    yield found
    found.close()


def pids(verifier: Verifier) -> list[int]:
    return [process.popen.pid for process in verifier._processes]


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    stat = Path(f"/proc/{pid}/stat")
    return not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] == "Z"


def test_verdicts_are_asked_for_once(verifier):
    assert verifier.verdicts(EASY[:3]) == [True] * 3
    assert verifier.verdicts([*EASY[:3], ("5", "6 + 1", True)]) == [True, True, True, False]
    assert verifier.counts == {"asked": 7, "kept": 3}


def test_what_is_kept_is_bounded():
    small = Verifier(Limits(kept=2, workers=1))
    small.verdicts(EASY[:5])
    small.verdicts(EASY[4:5])
    small.verdicts(EASY[:1])
    assert small.counts["kept"] == 1
    small.close()


def test_a_verdict_that_hangs_is_a_timeout_and_the_others_arrive(verifier):
    verifier.verdicts(EASY[:1])
    start = time.monotonic()
    found = verifier.verdicts([*EASY[:10], HANGS, *EASY[10:20]])
    seconds = time.monotonic() - start
    assert found[10] == Failure("timeout", "math-verify: no verdict after 1 s")
    assert found[:10] + found[11:] == [True] * 20
    assert seconds < 1 + 20  # and a fresh worker, which imports SymPy
    assert verifier.counts["restarts"] == 1  # after its first turn
    start = time.monotonic()
    assert verifier.verdicts([HANGS]) == [found[10]]  # never tried again in silence
    assert time.monotonic() - start < 0.5


def test_a_killed_worker_is_a_crash_of_one_row(verifier):
    verifier.limits = Limits(deadline=9.0, quick=9.0, workers=1)
    verifier.verdicts(EASY[:1])
    (pid,) = pids(verifier)
    threading.Timer(0.2, os.kill, (pid, signal.SIGKILL)).start()
    found = verifier.verdicts([HANGS, *EASY[1:4]])
    assert found == [Failure("crash", "math-verify: it ended by signal 9"), True, True, True]
    assert gone(pid)


def test_a_worker_that_died_between_calls_costs_nothing(verifier):
    verifier.verdicts(EASY[:1])
    (pid,) = pids(verifier)
    os.kill(pid, signal.SIGKILL)
    time.sleep(0.05)
    assert verifier.verdicts(EASY[1:3]) == [True, True]
    assert verifier.counts["crash"] == 0


def test_a_worker_that_cannot_start_is_no_endless_loop(monkeypatch, tmp_path):
    script = tmp_path / "broken.py"
    script.write_text("raise SystemExit(3)")
    monkeypatch.setattr(process, "_SCRIPT", script)
    broken = Verifier(Limits(workers=1))
    (found,) = broken.verdicts(EASY[:1])
    assert isinstance(found, Failure)
    assert (found.kind, found.asked) == ("crash", False)
    assert broken.verdicts(EASY[1:2])[0] == found
    broken.close()


def test_a_call_has_an_end():
    slow = Verifier(Limits(deadline=30, workers=1))
    slow.verdicts(EASY[:1])
    slow.limits = Limits(deadline=30, call=2.0, workers=1)
    start = time.monotonic()
    found = slow.verdicts([EASY[1], HANGS, EASY[2]])
    assert time.monotonic() - start < 2 * (1 + BUSY) + 6
    assert found[::2] == [True, True]  # what hangs had its turn, and then waited for the others
    assert found[1] == Failure("timeout", "math-verify: 2.09 s are over")
    slow.limits = Limits(deadline=30, workers=1)
    assert slow.verdicts(EASY[3:4]) == [True]  # no late reply reaches another call
    slow.close()


def test_power_towers_cost_one_deadline_and_no_right_answer():
    towers = [("5", f"9^{{9^{{9^{{{k}}}}}}}", True) for k in range(9, 49)]
    busy = Verifier(Limits(call=8.0, quick=0.05, request=0.0, workers=2))
    busy.verdicts(EASY[:1])
    start = time.monotonic()
    found = busy.verdicts([*towers, *EASY])
    assert time.monotonic() - start < 8 * (1 + BUSY) + 10
    assert found[40:] == [True] * len(EASY)
    assert all(isinstance(f, Failure) and f.asked for f in found[:40])
    busy.close()


def test_whether_the_gold_answer_is_why_is_asked_within_the_same_call(verifier):
    tower = HANGS[1]
    found = verifier.verdicts([HANGS, (tower, "5", True), EASY[0]])
    assert [f.asked for f in found[:2] if isinstance(f, Failure)] == [True, False]
    assert found[2] is True
    known = dict(verifier._known)
    assert isinstance(known[tower, "0", True], Failure)
    assert known[HANGS[0], "0", True] is False
    before = verifier.counts["restarts"]
    assert verifier.verdicts([HANGS, (tower, "6", True)])[0] == found[0]
    assert verifier.counts["restarts"] <= before + 2


def test_those_that_were_late_share_what_is_left(verifier):
    verifier.verdicts(EASY[:1])
    verifier.limits = Limits(deadline=60.0, call=3.0, request=0.0, quick=0.05, workers=1)
    towers = [("5", f"9^{{9^{{9^{{{k}}}}}}}", True) for k in range(9, 13)]
    found = verifier.verdicts(towers)
    assert all(isinstance(f, Failure) and f.asked for f in found)
    assert not any(request in verifier._known for request in towers)  # none had all its time


def test_threads_share_a_verifier(verifier):
    found: dict[int, list] = {}

    def ask(k: int) -> None:
        found[k] = verifier.verdicts([(str(n), f"{n - k} + {k}", True) for n in range(20)])

    threads = [threading.Thread(target=ask, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {k: [True] * 20 for k in range(4)}
    assert len(pids(verifier)) == 1


def test_a_forked_child_has_workers_of_its_own():
    code = """
        import os
        from derl_primitives.equality import math_equal
        from derl_primitives.verification import shared

        assert math_equal(["\\\\boxed{1+1}"], ["2"]).tolist() == [True]
        (before,) = [p.popen.pid for p in shared()._processes]
        child = os.fork()
        if child == 0:
            assert math_equal(["\\\\boxed{1+2}"], ["3"]).tolist() == [True]
            (mine,) = [p.popen.pid for p in shared()._processes]
            shared().close()
            os._exit(0 if mine != before else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert math_equal(["\\\\boxed{2+2}"], ["4"]).tolist() == [True]
        assert [p.popen.pid for p in shared()._processes] == [before]
        print("fine")
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, timeout=60
    )
    assert done.stdout == "fine\n", done.stderr


@pytest.mark.parametrize("busy", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_a_killed_host_leaves_no_worker(busy):
    code = f"""
        import time
        from derl_primitives.verification import Limits, Verifier

        verifier = Verifier(Limits(deadline=1.0, workers=1))
        verifier.verdicts([("2", "1 + 1", True)])
        print(verifier._processes[0].popen.pid, flush=True)
        if {busy}:
            verifier.limits = Limits(deadline=1000.0, workers=1)  # this host would wait
            verifier.verdicts([{HANGS}])
        time.sleep(60)
    """
    host = subprocess.Popen([sys.executable, "-c", textwrap.dedent(code)], stdout=subprocess.PIPE)
    worker = int(host.stdout.readline())
    time.sleep(0.3)
    host.kill()
    host.wait()
    host.stdout.close()
    end = time.monotonic() + 30
    while not gone(worker) and time.monotonic() < end:
        time.sleep(0.05)
    assert gone(worker)


REPLIES = [b"", b"true", b"[]", b"[1]", b"[true, 1]", b"[true", b"[null]", b"\xff", b"[" * 10_000]


@pytest.mark.parametrize("line", REPLIES, ids=range(len(REPLIES)))
def test_what_is_no_reply_is_refused(line):
    with pytest.raises(Broken):
        _verdict(line)


def test_faults_of_a_program_name_rows_and_class(monkeypatch):
    short = Verifier(Limits(deadline=1.0, workers=1))
    monkeypatch.setattr(pool, "_shared", short)
    reward = derl_dsl.compile("1.0 * math_equal(completion, answer)", suite="verify")
    texts = ["\\boxed{1+4}", f"\\boxed{{{HANGS[1]}}}", "\\boxed{4}"]
    found = reward.score({"completion": texts, "answer": ["5"] * 3})
    short.close()
    # What a text can cause is failed, and told; not applicable is what nobody could judge.
    np.testing.assert_array_equal(found.values, [1.0, 0.0, 0.0])
    (fault,) = found.faults
    assert (fault.kind, fault.rows) == ("timeout", (1,))
    assert "no verdict after 1 s" in fault.message


def test_a_gold_answer_that_hangs_is_nobodys_verdict(monkeypatch):
    short = Verifier(Limits(deadline=0.5, workers=1))
    monkeypatch.setattr(pool, "_shared", short)
    found = math_equal(["\\boxed{5 + x}", "\\boxed{4 + 1}"], [HANGS[1], "5"])
    short.close()
    np.testing.assert_array_equal(np.asarray(found), [np.nan, 1.0])


def test_rows_that_hang_are_never_quarantined(monkeypatch):
    short = Verifier(Limits(deadline=0.2, quick=0.1, workers=1))
    monkeypatch.setattr(pool, "_shared", short)
    reward = derl_dsl.compile("1.0 * math_equal(completion, answer)", suite="verify")
    for k in range(5):
        texts = [f"\\boxed{{9^{{9^{{9^{{{n}}}}}}}}}" for n in (10 * k + 9, 10 * k + 10)]
        assert reward.score({"completion": texts, "answer": ["5"] * 2}).values.tolist() == [0, 0]
    assert reward.score({"completion": ["\\boxed{2+3}"], "answer": ["5"]}).values.tolist() == [1]
    short.close()


def test_workers_stand_behind_walls():
    walled = Verifier(Limits(workers=1))
    walled.verdicts(EASY[:1])
    (pid,) = pids(walled)
    status = Path(f"/proc/{pid}/status").read_text()
    walled.close()
    assert "\nSeccomp:\t2\n" in status
    assert "\nNoNewPrivs:\t1\n" in status
    assert "\nUid:\t0\t" not in status


def test_without_math_verify_the_message_says_what_to_install(monkeypatch):
    monkeypatch.setattr(type(MATH), "missing", property(lambda self: True))
    with pytest.raises(MissingExtra, match=r"math_equal needs math-verify.*'derl-dsl\[math\]'"):
        math_equal(["\\boxed{1}"], ["1"])
    with pytest.raises(ValueError, match=r"pip install 'derl-dsl\[math\]'"):
        derl_dsl.compile("1.0 * math_equal(completion, answer)", suite="verify")
