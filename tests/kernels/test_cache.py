"""Object code on disk: kept, checked, made anew, and safe with many processes at once."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from derl_dsl.backends.llvm import cache

SCORE = """
import numpy as np, derl_dsl
r = derl_dsl.compile("clip(a * {factor}, 0, 1) + group_mean(b)", backend="{backend}",
                     columns={{"a": "number[0, 1]", "b": "number[0, 1]"}})
values = r.score({{"a": np.linspace(0, 1, 64), "b": np.linspace(1, 0, 64)}}, group_size=8).values
print(values.tobytes().hex())
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    where = tmp_path / "objects"
    monkeypatch.setenv("DERL_CACHE", str(where))
    return where


def score(backend: str, factor: float = 0.5) -> str:
    program = SCORE.format(backend=backend, factor=factor)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_an_entry_comes_back(folder: Path) -> None:
    cache.write("a" * 64, b"some code")
    assert cache.read("a" * 64) == b"some code"
    assert cache.read("b" * 64) is None


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[:-1],
        lambda data: b"",
        lambda data: b"\x00" + data[1:],
        lambda data: data[:-1] + bytes([data[-1] ^ 1]),
        lambda data: data + b"more",
    ],
    ids=["cut off", "empty", "other magic", "a bit flipped", "longer"],
)
def test_a_broken_entry_is_dropped(folder: Path, damage: object) -> None:
    cache.write("c" * 64, b"some code")
    path = folder / ("c" * 64)
    path.write_bytes(damage(path.read_bytes()))  # type: ignore[operator]
    assert cache.read("c" * 64) is None
    assert not path.exists()


def test_a_folder_others_can_write_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    where = tmp_path / "shared"
    where.mkdir()
    where.chmod(0o777)
    monkeypatch.setenv("DERL_CACHE", str(where))
    cache.write("d" * 64, b"code of a stranger")
    assert list(where.iterdir()) == []
    assert cache.read("d" * 64) is None


def test_the_oldest_entries_go_first(folder: Path) -> None:
    for k in range(6):
        cache.write(f"{k}" * 64, bytes(1000))
        os.utime(folder / (f"{k}" * 64), (k, k))
    cache.sweep(folder, largest=3_500)
    assert sorted(p.name[0] for p in folder.iterdir()) == ["3", "4", "5"]


@pytest.mark.parametrize("backend", ["vm", "native"])
def test_rewards_survive_a_damaged_cache(folder: Path, backend: str) -> None:
    expected = score("reference")
    assert score(backend) == expected
    entries = list(folder.iterdir())
    assert entries
    times = {p.name: p.stat().st_mtime_ns for p in entries}
    # Read again, not built again.
    assert score(backend) == expected
    assert {p.name: p.stat().st_mtime_ns for p in folder.iterdir()} == times
    for path in entries:
        path.write_bytes(path.read_bytes()[:-7])
    assert score(backend) == expected
    assert all(p.stat().st_mtime_ns != times[p.name] for p in folder.iterdir())


def test_an_entry_that_is_no_object_is_built_again(folder: Path) -> None:
    expected = score("native")
    for path in list(folder.iterdir()):
        cache.write(path.name, b"not an object file, but whole")
    assert score("native") == expected


def test_constants_share_code(folder: Path) -> None:
    score("native", 0.25)
    before = {p.name for p in folder.iterdir()}
    score("native", 0.75)
    assert {p.name for p in folder.iterdir()} == before


def test_many_processes_at_once(folder: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        found = set(pool.map(score, ["native", "vm"] * 2))
    assert len(found) == 1
    assert not [p for p in folder.iterdir() if p.name.startswith("new-")]


def test_without_a_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DERL_CACHE", "off")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert score("vm") == score("reference")
    assert list(tmp_path.iterdir()) == []
