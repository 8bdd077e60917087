"""Files that an attacker can put in a place: what is no regular file is told, and nothing hangs."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

import derl_dsl
from derl_dsl.backends.llvm import cache
from derl_dsl.cli.app import app
from derl_dsl.elaborate.custom import PrimitiveError
from derl_runtime.files import read_regular
from derl_trainers.runs.store import Store, StoreError


def odd(kind: str, folder: Path) -> Path:
    """A path to something that is no file to read."""
    path = folder / "odd"
    if kind == "fifo":
        os.mkfifo(path)
        return path
    if kind == "folder":
        path.mkdir()
        return path
    if kind == "socket":
        import socket

        with socket.socket(socket.AF_UNIX) as made:
            made.bind(str(path))
        return path
    return Path(f"/dev/{kind}")


KINDS = ("fifo", "folder", "socket", "zero", "random", "null", "tty")


@pytest.mark.parametrize("kind", KINDS)
def test_only_regular_files_are_read(kind: str, tmp_path: Path) -> None:
    with pytest.raises(OSError) as caught:  # noqa: PT011 - of any number
        read_regular(odd(kind, tmp_path), 100)
    assert caught.value.strerror


@pytest.mark.parametrize("kind", KINDS)
def test_primitives_are_regular_files(kind: str, tmp_path: Path) -> None:
    with pytest.raises(PrimitiveError, match="cannot read"):
        derl_dsl.load_primitives(odd(kind, tmp_path))


@pytest.mark.parametrize("kind", KINDS)
def test_rewards_are_regular_files(kind: str, tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["check", str(odd(kind, tmp_path))])
    assert done.exit_code == 2
    assert done.exception is None or isinstance(done.exception, SystemExit)


def test_only_so_much_is_read(tmp_path: Path) -> None:
    file = tmp_path / "large"
    file.write_bytes(b"x" * 101)
    with pytest.raises(OSError, match="more than 100 bytes"):
        read_regular(file, 100)


def test_the_lock_of_a_run_follows_no_link_and_empties_no_file(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_text("kept")
    run = tmp_path / "run"
    Store.create(run, "a", 0, {"meta": {"steps": 1}}, {}).close()
    (run / "run.lock").unlink()
    (run / "run.lock").symlink_to(precious)
    with pytest.raises(StoreError, match=r"run\.lock"):
        Store.resume(run, {})
    assert precious.read_text() == "kept"


@pytest.fixture
def objects(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "objects"
    folder.mkdir(mode=0o700)
    monkeypatch.setenv("DERL_CACHE", str(folder))
    cache._folder.cache_clear()
    return folder


def test_the_entry_of_another_program_is_none(objects: Path) -> None:
    cache.write("a", b"code of a")
    assert cache.read("a") == b"code of a"
    (objects / "b").write_bytes((objects / "a").read_bytes())
    (objects / "b").chmod(0o600)
    assert cache.read("b") is None


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_an_entry_that_others_may_write_is_none(objects: Path, mode: int) -> None:
    cache.write("a", b"code")
    (objects / "a").chmod(mode)
    assert cache.read("a") is None


def test_an_entry_that_is_a_link_is_none(objects: Path) -> None:
    cache.write("a", b"code")
    (objects / "c").symlink_to(objects / "a")
    assert cache.read("c") is None


@pytest.mark.parametrize("mode", [0o777, 0o770])
def test_no_cache_below_a_folder_that_others_may_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: int
) -> None:
    open_ = tmp_path / "open"
    (open_ / "objects").mkdir(parents=True, mode=0o700)
    open_.chmod(mode)
    monkeypatch.setenv("DERL_CACHE", str(open_ / "objects"))
    cache._folder.cache_clear()
    assert cache.folder() is None
