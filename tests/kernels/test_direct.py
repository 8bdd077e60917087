"""The straight way to a score and the shares of threads have the bits of the general way."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

import derl_dsl
from derl_dsl.backends import prepared, team, threads
from derl_dsl.score.direct import Direct
from derl_dsl.score.reward import Reward
from derl_dsl.score.scores import Scores

TYPES = {
    "a": "number[0, 1]", "b": "number[-4, 4]", "ok": "bool", "k": "number{0, 0.5, 2}",
    "free": "number", "xs": "list[number[0, 1]]",
}  # fmt: skip
PROGRAMS = [
    "0.4 * a + 0.3 * b - 0.2 * k + 0.1 * min(free, 3)",
    "low = min(a, b)\nreward = 1 - low if ok and a > 0.25 else (k * b if b > 0 else skip)",
    "n = exp(-abs(b))\nm = n * a\nreward = tanh(m) + sigmoid(b) - cos(k)",
    "g = group_mean(a)\nreward = clip((a - g) / (group_std(a) + 0.1), -2, 2) + 0.2 * group_rank(b)",
    "reward = group_quantile(b, 0.3, where=ok) + (a if ok else skip)",
]
LISTS = [
    "m = mean(xs)\nreward = m + 0.5 * max(xs) * a",
    "sum(xs * (xs > mean(xs))) / 20 + group_mean(a)",
]
GROUP = 4


@pytest.fixture(params=["vm", "native", "auto"])
def backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def batch(rows: int, seed: int = 0) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    return {
        "a": rng.random(rows), "b": rng.uniform(-4, 4, rows), "ok": rng.random(rows) < 0.5,
        "k": rng.choice([0, 0.5, 2], rows), "free": rng.normal(size=rows) * 1e3,
        "xs": [rng.random(n).tolist() for n in rng.integers(0, 9, rows)],
    }  # fmt: skip


def generally(reward: Reward, columns: dict[str, Any], size: int | None) -> Scores:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Direct, "columns", lambda *_: None)
        patch.setattr(Direct, "outputs", lambda *_: None)
        return reward.score(columns, group_size=size)


def same(one: Scores, other: Scores) -> None:
    assert one.values.tobytes() == other.values.tobytes()
    assert one.failed.tolist() == other.failed.tolist()
    assert one.faults == other.faults
    for first, second in ((one.parts, other.parts), (one.inputs, other.inputs)):
        assert list(first) == list(second)
        assert all(first[k].tobytes() == second[k].tobytes() for k in first)


def straight(reward: Reward, columns: dict[str, Any], size: int | None) -> bool:
    return reward._direct.columns(columns, size) is not None


@pytest.mark.parametrize("text", PROGRAMS)
@pytest.mark.parametrize("rows", [4, 1028, 9000])
def test_the_straight_way_is_the_general_one(backend: str, text: str, rows: int) -> None:
    reward = derl_dsl.compile(text, columns=TYPES, backend=backend)
    size = GROUP if reward.uses_groups else None
    for seed in range(3):
        columns = batch(rows, seed)
        columns.pop("xs")
        assert straight(reward, columns, size)
        found = reward.score(columns, group_size=size)
        same(found, generally(reward, columns, size))
        before = found.values.copy()
        reward.score(batch(rows, seed + 9), group_size=size)
        assert found.values.tobytes() == before.tobytes()  # what was given is not written over


@pytest.mark.parametrize(
    ("name", "value"),
    [("a", np.nan), ("a", 1.5), ("a", -np.inf), ("ok", 2), ("k", 1), ("free", np.inf)],
)
def test_what_is_no_value_of_its_type_is_told_as_ever(name: str, value: float) -> None:
    reward = derl_dsl.compile("0.1 * min(a + k, free) + ok", columns=TYPES)
    columns = batch(64)
    columns[name] = columns[name].astype(float)
    columns[name][7] = value
    found = reward.score(columns)
    assert np.flatnonzero(found.failed).tolist() == [7]
    assert found.faults[0].name == name
    same(found, generally(reward, columns, None))


def test_columns_as_they_come() -> None:
    reward = derl_dsl.compile("0.5 * a + ok", columns=TYPES)
    plain = batch(256)
    frozen = plain["a"].copy()
    frozen.flags.writeable = False
    wide = np.repeat(plain["a"], 2)[::2]
    for a in (frozen, wide, plain["a"].astype(np.float32), plain["a"] > 0.5, plain["a"].tolist()):
        columns = {"a": a, "ok": plain["ok"].astype(int), "unused": [None] * 256, "one": 3}
        same(reward.score(columns), generally(reward, columns, None))
    with pytest.raises(ValueError, match="different numbers of rows"):
        reward.score({"a": plain["a"], "ok": plain["ok"][:-1]})
    with pytest.raises(ValueError, match="no whole number of groups of 3"):
        reward.score({"a": plain["a"], "ok": plain["ok"]}, group_size=3)
    assert len(reward.score({"a": np.zeros(0), "ok": np.zeros(0)}).values) == 0


def test_threads_share_a_reward() -> None:
    reward = derl_dsl.compile(PROGRAMS[1], columns=TYPES)
    wanted = {seed: reward.score(batch(300, seed)).values.tobytes() for seed in range(4)}
    begin = threading.Barrier(4)

    def score(seed: int) -> bool:
        begin.wait()
        columns = batch(300, seed)
        return all(reward.score(columns).values.tobytes() == wanted[seed] for _ in range(50))

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(score, range(4)))
    assert pickle.loads(pickle.dumps(reward)).score(batch(300, 0)).values.tobytes() == wanted[0]


@pytest.mark.parametrize("text", [*PROGRAMS, *LISTS])
@pytest.mark.parametrize("rows", [4 * 1024 + 4, 20_000])
def test_shares_of_threads_have_the_bits_of_one(
    backend: str, text: str, rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    columns = batch(rows)
    reward = derl_dsl.compile(text, columns=TYPES, backend=backend)
    size = GROUP if reward.uses_groups else None
    monkeypatch.setattr(threads, "cores", lambda: 1)
    one = reward.score(columns, group_size=size)
    bound = reward.bind(columns, group_size=size)().copy()
    for cores in (2, 3):
        monkeypatch.setattr(threads, "cores", lambda cores=cores: cores)
        monkeypatch.setattr(threads, "_ROWS", 64)
        monkeypatch.setattr(threads, "_ROWS_OF_LISTS", 64)
        monkeypatch.setattr(prepared, "_TOGETHER", 2)
        again = derl_dsl.compile(text, columns=TYPES, backend=backend)
        same(again.score(columns, group_size=size), one)
        assert again.bind(columns, group_size=size)().tobytes() == bound.tobytes()


def test_uneven_groups_in_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    keys = np.repeat(np.arange(3000), rng.integers(1, 9, 3000))
    columns = batch(len(keys))
    reward = derl_dsl.compile(PROGRAMS[3], columns=TYPES, backend="native")
    monkeypatch.setattr(threads, "cores", lambda: 1)
    one = reward.score(columns, group=keys, uneven=True)
    monkeypatch.setattr(threads, "cores", lambda: 3)
    same(reward.score(columns, group=keys, uneven=True), one)


def test_how_many_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DERL_THREADS", "3")
    threads.cores.cache_clear()
    try:
        assert threads.cores() == 3
        assert [threads.threads(n, False) for n in (64, 200_000, 10**7)] == [1, 2, 3]
        assert threads.threads(20_000, True) == 2
    finally:
        threads.cores.cache_clear()


@pytest.mark.parametrize(
    ("count", "takers"), [(0, 4), (1, 1), (2, 5), (7, 3), (1024, 2), (999, 64)]
)
def test_parts_are_all_blocks_once_and_long_ones_first(count: int, takers: int) -> None:
    parts = threads.cut(count, takers)
    assert [k for first, last in parts for k in range(first, last)] == list(range(count))
    sizes = [last - first for first, last in parts]
    assert sizes == sorted(sizes, reverse=True)
    assert count == 0 or min(sizes) > 0


def test_threads_that_never_wake_leave_nothing_undone(monkeypatch: pytest.MonkeyPatch) -> None:
    columns = batch(300_000)
    reward = derl_dsl.compile(PROGRAMS[0], columns=TYPES, backend="native")
    monkeypatch.setattr(threads, "cores", lambda: 1)
    one = reward.score(columns)
    monkeypatch.setattr(threads, "cores", lambda: 3)
    started: list[int] = []
    alone = team.Team()
    monkeypatch.setattr(alone, "_start", started.append)
    monkeypatch.setattr(team, "team", lambda: alone)
    again = derl_dsl.compile(PROGRAMS[0], columns=TYPES, backend="native")
    same(again.score(columns), one)
    assert started == [1, 2]

    def refused(k: int) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(alone, "_start", refused)
    same(again.score(columns), one)


def test_several_threads_may_score_large_batches_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    columns = batch(300_000)
    monkeypatch.setattr(threads, "cores", lambda: 1)
    one = derl_dsl.compile(PROGRAMS[0], columns=TYPES, backend="native").score(columns)
    monkeypatch.setattr(threads, "cores", lambda: 3)

    def score(_: int) -> None:
        reward = derl_dsl.compile(PROGRAMS[0], columns=TYPES, backend="native")
        for _ in range(10):
            same(reward.score(columns), one)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(score, range(4)))


ENDS = """
import os, time
import numpy as np
import derl_dsl

columns = {"a": np.linspace(0, 1, 400_000)}
reward = derl_dsl.compile("a * a", columns={"a": "number[0, 1]"}, backend="native")
expected = columns["a"] ** 2
for pause in (0, 0, 0.05, 0):  # the threads sleep in between
    time.sleep(pause)
    assert np.array_equal(reward.score(columns).values, expected)
child = os.fork()
if child == 0:
    # An exit that runs what was to run at the end of the first process, too.
    raise SystemExit(0 if np.array_equal(reward.score(columns).values, expected) else 1)
assert os.waitpid(child, 0)[1] == 0
"""


@pytest.mark.parametrize("wait", ["", "time.sleep(0.05)"], ids=["awake", "asleep"])
def test_threads_are_gone_when_the_process_ends_and_in_a_fork(wait: str) -> None:
    environment = {**os.environ, "DERL_THREADS": "3"}
    command = [sys.executable, "-c", f"{ENDS}\n{wait}"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
