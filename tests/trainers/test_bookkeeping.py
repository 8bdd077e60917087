"""What a result depends on, and where it lies."""

from __future__ import annotations

import os
import shutil
from contextlib import closing
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("trl")

from rich.console import Console

import derl_dsl
from derl_trainers.outer.cold_start import _depends
from derl_trainers.outer.compare import check_same, searches
from derl_trainers.outer.meta import meta_train, warm_start
from derl_trainers.policy import loading
from derl_trainers.policy.loading import ModelMissing, load_model
from derl_trainers.runs import store as store_module
from derl_trainers.runs.held import changed, held
from derl_trainers.runs.jobs import Policy, digest, inner_job
from derl_trainers.runs.memo import Memo
from derl_trainers.runs.runner import JobFailed
from derl_trainers.runs.store import Store, StoreError
from derl_trainers.runs.view import View
from derl_trainers.settings.run import (
    RunConfig,
    load_config,
    load_custom,
    parse_config,
)
from derl_trainers.tasks.base import TaskError
from derl_trainers.tasks.contents import content
from derl_trainers.tasks.load import load_task
from tests.trainers.test_meta import MINI, toml
from tests.trainers.toys import a_run, rows

pytestmark = pytest.mark.xdist_group("training")


def test_a_cold_start_is_known_by_suite_and_settings(tmp_path: Path) -> None:
    with closing(Store.create(tmp_path / "run", "t", 0, MINI, {})) as store:
        run = a_run(parse_config(MINI), store)
        config = run.config
        others = [
            replace(config, suite="derl-math[-g3]"),
            replace(config, seed=1),
            replace(config, meta=replace(config.meta, hidden_size=32)),
            replace(config, meta=replace(config.meta, cold_steps=7)),
        ]
        digests = [_depends(run), *(_depends(replace(run, config=other)) for other in others)]
        assert len(set(digests)) == len(digests)
        # What only the search reads makes no other cold start.
        later = replace(config, meta=replace(config.meta, steps=9, penalty="flat"))
        assert _depends(replace(run, config=later)) == digests[0]


def test_a_run_folder_can_be_moved(tmp_path: Path) -> None:
    settings = parse_config({**MINI, "proposer": {"kind": "evolution"}})
    with closing(Store.create(tmp_path / "a", "t", 0, MINI, {})) as store:
        before, _ = warm_start(a_run(settings, store))
    shutil.move(tmp_path / "a", tmp_path / "b")
    with closing(Store.resume(tmp_path / "b", {})) as store:
        after, _ = warm_start(a_run(settings, store))
        assert after.identity == before.identity
        assert Path(after.path).is_relative_to(tmp_path / "b")
        assert Path(after.path).exists()
        assert len(store.rows("SELECT * FROM jobs")) == 2
        # Where only its policy was left behind, it is built again.
        shutil.rmtree(tmp_path / "b" / "policy")
        assert warm_start(a_run(settings, store))[0] == after
        assert Path(after.path).exists()


def test_an_edit_in_mid_run_changes_nothing(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    source = 'def mine(completion: text) -> number[0, 1]:\n    """Mine."""\n    return {}\n'
    file.write_text(source.format("0.25"))
    config = parse_config({**MINI, "primitives": [str(file)], "sandbox": {"level": "reduced"}})
    kept = tmp_path / "run" / "primitives"
    kept.parent.mkdir()
    try:
        begun = load_custom(config, kept)
        file.write_text(source.format("0.75"))
        assert load_custom(config, kept) == begun
        file.unlink()  # a run that goes on needs it no more
        assert load_custom(config, kept) == begun
        assert "0.25" in begun[-1].source  # type: ignore[attr-defined]
    finally:
        derl_dsl.elaborate.custom.REGISTRY.clear()


def test_content_is_what_lies_there_wherever_it_lies(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "x").write_text("1")
    (tmp_path / "y").write_text("1")
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    assert content(str(tmp_path / "a")) == content(str(tmp_path / "b"))
    assert content(str(tmp_path / "y")) == content(str(tmp_path / "a" / "x"))
    (tmp_path / "b" / "x").write_text("22")
    assert content(str(tmp_path / "a")) != content(str(tmp_path / "b"))
    # Also of one whose size and times are set back to what they were.
    before, times = content(str(tmp_path / "y")), (tmp_path / "y").stat()
    (tmp_path / "y").write_text("2")
    os.utime(tmp_path / "y", ns=(times.st_atime_ns, times.st_mtime_ns))
    assert content(str(tmp_path / "y")) != before
    assert content("") is None
    assert content("some/hub-id") is None


def test_large_weights_differ_by_any_byte_of_theirs(tmp_path: Path) -> None:
    # Merged adapters of the inner layers leave both ends of the file as they were.
    for name, byte in (("a", b"1"), ("b", b"2")):
        with (tmp_path / name).open("wb") as file:
            file.truncate(80 << 20)
            file.seek(40 << 20)
            file.write(byte)
    assert content(str(tmp_path / "a")) != content(str(tmp_path / "b"))


def test_two_weights_of_one_name_are_unpacked_apart(
    tmp_path: Path, policy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loading, "load_model", lambda _: load_model(policy))
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "model.gguf").write_text(name)
    one, other = (loading.unpacked(str(tmp_path / n / "model.gguf"), tmp_path) for n in "ab")
    assert one != other
    assert loading.unpacked(str(tmp_path / "a" / "model.gguf"), tmp_path) == one


def data_run(folder: Path, policy: Path) -> RunConfig:
    """A search over rows of a file, with a policy that lies in a folder."""
    data, test = rows(folder / "a.jsonl", 40), rows(folder / "t.jsonl", 9, 100)
    return parse_config({
        **MINI, "suite": "math", "policy": {"model": str(policy)},
        "task": {"name": "rows", "data": data, "test": test},
        "proposer": {"kind": "evolution"}, "executor": {"kind": "inprocess"},
    })  # fmt: skip


def test_problems_that_change_on_the_way_are_no_longer_those(tmp_path: Path, policy: Path) -> None:
    config = data_run(tmp_path, policy)
    files = held(config)
    with closing(Store.create(tmp_path / "run", "t", 0, config.to_json(), {})) as store:
        store.note_start(files)
        run = replace(a_run(config, store), held=files)
        run.check()
        start = Policy(str(policy), content(str(policy)) or "")
        job = run.job(start, "boxed(completion)", 0, "search")
        assert load_task(config.task).train[0].prompt
        rows(tmp_path / "a.jsonl", 41)
        # Warm workers would train on the old ones, and those that start now on the new ones.
        assert len(load_task(config.task).train) == 32
        with pytest.raises(TaskError, match="its problems changed while the run was under way"):
            job.run(lambda *_: None)
        with pytest.raises(JobFailed, match=r"\[task\]: holds something else than when the run"):
            run.check()
    with pytest.raises(StoreError, match=r"run: \[task\]: holds something else .* put it back"):
        meta_train(config, tmp_path / "run", View(Console(file=StringIO())), resume=True)
    with closing(Store.open(tmp_path / "run")) as store:
        assert len(store.versions()) == 1  # nothing was begun
    rows(tmp_path / "a.jsonl", 40)
    assert not changed(files, held(config))


def test_a_file_that_trl_reads_is_part_of_what_a_result_depends_on(
    tmp_path: Path, policy: Path
) -> None:
    file = tmp_path / "zero.json"
    config = data_run(tmp_path, policy)
    config = replace(config, trl={"deepspeed": str(file)})
    start = Policy(str(policy), "0")

    def now() -> tuple[str, dict[str, str]]:
        return digest(inner_job(config, (), start, "g1", 0, "search")), held(config)

    file.write_text("{}")
    first, before = now()
    file.write_text('{"zero_optimization": {"stage": 3}}')
    second, after = now()
    assert first != second
    assert changed(before, after).startswith("[trl] deepspeed: holds something else")


def test_a_memo_that_is_none_is_told(tmp_path: Path) -> None:
    (tmp_path / "inner-runs.db").write_text("no database" * 100)
    with pytest.raises(StoreError, match=r"inner-runs.db: no results can be shared here"):
        Memo(tmp_path / "inner-runs.db", {})


def test_a_comparison_goes_on_with_its_own_settings_alone(tmp_path: Path) -> None:
    (tmp_path / "mini.toml").write_text(toml(MINI))
    todo = searches(tmp_path, ["frozen"], [3])
    config, flags = str(tmp_path / "mini.toml"), ["inner.prompts=4"]
    check_same(todo, config, flags)  # nothing was begun
    begun = load_config(config, {"inner.prompts": 4, "proposer.kind": "frozen"})
    begun = replace(begun, seed=3)
    Store.create(todo[0].folder, "mini", 3, begun.to_json(), {}).close()
    check_same(todo, config, flags)
    with pytest.raises(StoreError, match=r"other settings \(inner.prompts: 4, now 2\)"):
        check_same(todo, config, [])
    (tmp_path / "mini.toml").write_text(toml({**MINI, "final": {"seeds": 3}}))
    with pytest.raises(StoreError, match=r"other settings \(final.seeds: 2, now 3\)"):
        check_same(todo, config, flags)


def test_a_step_that_the_machine_broke_is_done_again(tmp_path: Path) -> None:
    with closing(Store.create(tmp_path / "run", "t", 0, {}, {})) as store:
        record = {"completion": "g1", "formula": "g1", "stage": None, "diagnostics": [],
                  "key": "k", "certificate": None, "meta_reward": None}  # fmt: skip
        for step, rewards in ((1, [0.5, None]), (2, [None, None])):
            for name, reward in zip(store.add_proposals(step, [record] * 2), rewards, strict=True):
                job = store.add_job("search", "x", 0, "g1", "k")
                store.score_proposal(name, "faulted" if reward is None else "trained", job, reward)
        assert store.steps_scored() == 1


@pytest.mark.parametrize("section", ["policy", "meta"])
def test_a_model_that_is_not_there_is_told_before_a_run_begins(
    tmp_path: Path, section: str
) -> None:
    table = {**MINI, section: {**MINI[section], "model": str(tmp_path / "none")}}
    with pytest.raises(ModelMissing, match="none: no such model file or folder"):
        meta_train(parse_config(table), tmp_path / "run", View(Console(file=StringIO())))
    assert not (tmp_path / "run").exists()


def test_a_policy_that_is_replaced_is_no_longer_that_one(tmp_path: Path, policy: Path) -> None:
    shutil.copytree(policy, tmp_path / "mine")
    config = data_run(tmp_path, tmp_path / "mine")
    files = held(config)
    start = Policy(str(tmp_path / "mine"), content(str(tmp_path / "mine")) or "")
    start.check()
    (tmp_path / "mine" / "generation_config.json").write_text("{}")
    assert changed(files, held(config)).startswith("[policy] model: holds something else")
    with pytest.raises(TaskError, match="holds another policy than when the run began"):
        start.check()
    # What a search's own runs leave has no such digest, nor has an id of the hub.
    Policy(str(tmp_path / "mine"), "abc/def/0").check()
    Policy("gpt2", "gpt2").check()


def test_of_two_runs_that_begin_in_one_folder_one_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second has seen the folder empty, too, before the first wrote there."""
    folder, real = tmp_path / "run", store_module._lock
    made: list[Store] = []

    def late(run_dir: Path) -> Any:
        monkeypatch.setattr(store_module, "_lock", real)
        made.append(Store.create(run_dir, "first", 0, MINI, {}))
        return real(run_dir)

    monkeypatch.setattr(store_module, "_lock", late)
    with pytest.raises(StoreError, match="another process works on this run"):
        Store.create(folder, "second", 0, {}, {})
    with closing(made[0]) as first:
        first.finish_job(first.add_job("start", "a", 0), 0.5, 1.0, {"pass_at_1": 0.5})
        with closing(Store.open(folder)) as seen:
            assert seen.run()["name"] == "first"
            assert len(seen.rows("SELECT * FROM jobs")) == 1
    # The lock of one that was killed before it wrote anything is in nobody's way.
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / store_module.LOCK).touch()
    Store.create(tmp_path / "other", "t", 0, {}, {}).close()


def test_a_clock_that_is_set_back_costs_no_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(Store.create(tmp_path / "run", "t", 0, {}, {})) as store:
        with store.phase("search"):
            monkeypatch.setattr(store_module.time, "time", lambda: 5.0)
        assert 0 <= store.rows("SELECT seconds FROM phases")[0]["seconds"] < 60


def test_versions_and_places_are_in_the_store(tmp_path: Path) -> None:
    with closing(Store.create(tmp_path / "run", "t", 0, MINI, {"trl": "1"})) as store:
        assert store.versions() == [{"trl": "1"}]
    with closing(Store.resume(tmp_path / "run", {"trl": "2"})) as store:
        assert store.versions() == [{"trl": "1"}, {"trl": "2"}]
        with store.db:
            store.db.execute("UPDATE starts SET host = 'another', pid = 1")
            store.db.execute("UPDATE run SET pid = 999999999")
        # Of another machine's processes nothing is known.
        assert store.run()["status"] == "running"
